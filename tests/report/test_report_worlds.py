"""Grids of rows and columns: rows downwards, rectangles, goals of the world, and what x pays."""

import numpy as np
import pytest
from made_up_run import write_run
from matplotlib.collections import QuadMesh
from matplotlib.patches import Rectangle

from upperhand.report import maps, words
from upperhand.report.folder import read

ROWS, COLUMNS = 3, 6


@pytest.fixture
def folder(tmp_path):
    """Two seeds in a world of 3 rows and 6 columns that is entered in its lower left corner."""
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100, dx=18)
    occupancy = np.zeros((2, ROWS, COLUMNS))
    occupancy[:, 2, 0], occupancy[:, 1, 4] = 0.6, 0.4
    start = np.zeros((ROWS, COLUMNS))
    start[2, 0] = 1
    np.savez(
        out / "maps.npz",
        reward=np.zeros((2, ROWS, COLUMNS)),
        occupancy=occupancy,
        greedy=np.ones((2, ROWS, COLUMNS), int),
        payment=np.arange(36.0).reshape(2, ROWS, COLUMNS) - 20,
        upper_reward=np.arange(18.0).reshape(ROWS, COLUMNS) - 9,
        moves=np.array([(-1, 0), (0, 1)]),
        walls=np.array([(2, 3)]),
        start=start,
        goals=np.array([(0, 5), (1, 1)]),
        rows_down=np.asarray(1),
    )
    return read(out)


def tiles(axes) -> np.ndarray:
    """The numbers of the tiles, by (vertical, horizontal) place."""
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    return np.asarray(mesh.get_array()).reshape(ROWS, COLUMNS)


def test_rows_run_downwards(folder):
    axes = maps.grid(folder).axes[0]
    np.testing.assert_array_equal(tiles(axes), np.arange(18.0).reshape(ROWS, COLUMNS) - 9)
    assert axes.get_xlim() == (-0.5, 5.5) and axes.get_ylim() == (2.5, -0.5)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("column", "row")
    assert [p.get_xy() for p in axes.patches if isinstance(p, Rectangle)] == [(2.5, 1.5)]
    (discs,) = [c for c in axes.collections if hasattr(c, "get_widths")]
    assert sorted(map(tuple, discs.get_offsets().tolist())) == [(0, 2), (4, 1)]
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert [tuple(np.sign(np.subtract(a.xy, a.xyann)).astype(int)) for a in arrows] == [(1, 0), (1, 0)]  # to the right


def test_stars_and_frame(folder):
    axes = maps.grid(folder).axes[0]
    (stars,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert stars.get_label() == "goal" and sorted(stars.get_xydata().tolist()) == [[1, 1], [5, 0]]
    (frame,) = [line for line in axes.lines if len(line.get_xydata()) == 5]
    np.testing.assert_allclose(frame.get_xydata()[:4].mean(0), (0, 2))
    assert "the stars are the goals" in words.captions(folder)["grid"]


def test_no_frame_where_starts_are_spread(folder):
    folder.maps["start"] = np.full((ROWS, COLUMNS), 1 / 18)
    axes = maps.grid(folder).axes[0]
    assert not [line for line in axes.lines if len(line.get_xydata()) == 5]


def test_payment_is_of_the_median_seed(folder):
    axes = maps.payment(folder).axes[0]
    wanted = np.arange(36.0).reshape(2, ROWS, COLUMNS)[maps.median_seed(folder)] - 20
    np.testing.assert_array_equal(tiles(axes), wanted)
    assert words.captions(folder)["payment"]
    del folder.maps["payment"]
    assert maps.payment(folder) is None
    assert len(maps.seeds(folder).axes) == 3
