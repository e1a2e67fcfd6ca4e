"""The figures show the folder's numbers, the right way round."""

import json

import numpy as np
import pytest
from made_up_run import BEST, made_up_maps, phi, write_run
from matplotlib.collections import LineCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_rgba
from matplotlib.patches import Rectangle

from upperhand.report import curves, maps, style
from upperhand.report.folder import read
from upperhand.report.statistics import interval


def change(out, edit):
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    (out / "rows.jsonl").write_text("".join(json.dumps(edit(row) or row) + "\n" for row in rows))


def line_of(axes, data):
    return [line for line in axes.lines if len(line.get_ydata()) == len(data) and np.allclose(line.get_ydata(), data)]


def test_curve_holds_the_seeds_and_their_middle(tmp_path):
    folder = read(write_run(tmp_path / "run", seeds=6, steps=1000, every=100, maps=False))
    found = curves.curve(folder, "gap")
    np.testing.assert_array_equal(found.seeds, folder.rows["gap"])
    assert found.along[0].tolist() == [64.0 * step for step in range(0, 1001, 100)]
    np.testing.assert_allclose(found.middle, np.sort(folder.rows["gap"], 0)[1:5].mean(0))
    np.testing.assert_array_equal(found.low, interval(folder.rows["gap"]).low)
    error = curves.curve(folder, "hypergradient_error")  # the first row has none
    assert error.seeds.shape == (6, 10) and error.along[0, 0] == 6400
    assert curves.curve(folder, "nothing") is None


def test_long_runs_are_thinned_with_their_ends_kept(tmp_path):
    folder = read(write_run(tmp_path / "run", seeds=2, steps=900, every=1, dx=3, maps=False))
    found = curves.curve(folder, "value")
    assert found.seeds.shape == (2, curves.POINTS)
    assert found.along[0, 0] == 0 and found.along[0, -1] == 64 * 900


def test_a_method_without_samples_is_drawn_over_updates(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100, maps=False)
    assert curves.progress(read(out))[1].startswith("samples")
    change(out, lambda row: row.update(samples=0))
    along, label = curves.progress(read(out))
    assert label == "updates" and along.tolist() == [[0, 100, 200, 300]] * 2


def test_gap_is_floored_and_says_so(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=300, every=100, maps=False)
    change(out, lambda row: row.update(gap={0: 2.0, 100: 0.5, 200: 0.01, 300: -0.5}[row["step"]]))
    (axes,) = curves.gap(read(out)).axes
    drawn = np.array([line.get_ydata() for line in axes.lines if len(line.get_ydata()) == 4])
    assert line_of(axes, np.full(2, 0.02)), "what counts as near"
    floor = drawn[:, -1]
    assert (drawn[:, :3] == [2.0, 0.5, 0.01]).all() and ((floor > 0) & (floor < 0.01)).all()
    assert axes.get_yscale() == "log" and axes.get_ylim()[0] < floor.min() and axes.get_ylim()[1] > 2.0
    assert any("floored" in text.get_text() for text in axes.texts)
    change(out, lambda row: row.update(gap=0.5))
    (axes,) = curves.gap(read(out)).axes
    assert not any("floored" in text.get_text() for text in axes.texts)


def test_value_shows_the_best_known_and_the_interquartile_mean(tmp_path):
    folder = read(write_run(tmp_path / "run", seeds=5, steps=300, every=100, maps=False))
    (axes,) = curves.value(folder).axes
    assert line_of(axes, np.full(2, -0.5)), "the best known value is −0.5"
    assert len(line_of(axes, np.sort(folder.rows["value"], 0)[1:4].mean(0))) == 1
    assert all(line_of(axes, seed) for seed in folder.rows["value"])


def test_schedules_draw_what_the_rows_tell(tmp_path):
    folder = read(write_run(tmp_path / "run", seeds=2, steps=300, every=100, maps=False))
    warm, strict = curves.schedules(folder).axes
    assert line_of(warm, folder.rows["temperature"][0]) and line_of(strict, folder.rows["penalty"][0])
    assert warm.get_yscale() == strict.get_yscale() == "log"


def test_landscape_is_not_transposed(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=600, every=100)
    folder = read(out)
    axes = maps.landscape(folder).axes[0]
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    places, shown = mesh.get_coordinates().reshape(-1, 2), np.asarray(mesh.get_array()).ravel()
    np.testing.assert_allclose(shown, -phi(places), atol=1e-12)
    star = [line for line in axes.lines if line.get_marker() == "*"]
    assert np.ravel(star[0].get_data()).tolist() == BEST.tolist()
    ends = [np.transpose(line.get_data()) for line in axes.lines if line.get_marker() == "o"]
    assert any(np.array_equal(end, folder.rows["x"][:, 0]) for end in ends)
    assert any(np.array_equal(end, folder.rows["x"][:, -1]) for end in ends)


def test_paths_fade_in(tmp_path):
    axes = maps.landscape(read(write_run(tmp_path / "run", seeds=1, steps=2000, every=100))).axes[0]
    paths = [c for c in axes.collections if type(c) is LineCollection]
    assert len(paths) == 2
    for path in paths:
        assert (np.diff(path.get_colors()[:, 3]) >= 0).all() and path.get_colors()[-1, 3] > path.get_colors()[0, 3]


def test_grid_shows_the_median_seed_where_it_is(tmp_path):
    out = write_run(tmp_path / "run", seeds=5, steps=300, every=100)
    ends = {0: 0.3, 1: 0.0, 2: 0.1, 3: 0.9, 4: float("nan")}
    change(out, lambda row: row.update(gap=ends[row["seed"]]) if row["step"] == 300 else None)
    folder = read(out)
    assert maps.median_seed(folder) == 2  # of 0.0, 0.1, 0.3, 0.9 the lower middle; what diverged does not count
    assert maps.other_seeds(folder) == [0, 1, 3, 4]
    stored = dict(np.load(out / "maps.npz"))
    stored["greedy"][:] = 1  # (1, 0): to the right
    stored["occupancy"][:] = 0
    stored["occupancy"][2, 7, 3], stored["occupancy"][2, 1, 4] = 0.8, 0.2
    np.savez(out / "maps.npz", **stored)
    folder = read(out)
    axes = maps.grid(folder).axes[0]
    (discs,) = [c for c in axes.collections if hasattr(c, "get_widths")]
    assert discs.get_offsets().tolist() == [[1, 4], [7, 3]]
    areas = discs.get_widths() ** 2
    assert areas[1] / areas[0] == pytest.approx(4.0)
    arrows = [text for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert sorted(tuple(np.sign(np.subtract(text.xy, text.xyann)).astype(int)) for text in arrows) == [(1, 0), (1, 0)]
    walls = [p.get_xy() for p in axes.patches if isinstance(p, Rectangle)]
    assert walls == [(1.5, 5.5), (2.5, 5.5)]
    star = [line for line in axes.lines if line.get_marker() == "*"]
    assert np.ravel(star[0].get_data()).tolist() == folder.rows["x"][2, -1].tolist()
    (mesh,) = [c for c in axes.collections if isinstance(c, QuadMesh)]
    assert np.asarray(mesh.get_array()).reshape(10, 10)[2, 7] == stored["upper_reward"][7, 2]
    assert not any(isinstance(c, PolyCollection) for c in axes.collections)


def test_a_long_x_has_no_path_and_a_star_at_the_most_rewarded_cell(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100, dx=100)
    stored = made_up_maps(np.array([[3.0, 8.0], [6.0, 1.0]]))
    np.savez(out / "maps.npz", **{k: v for k, v in stored.items() if k not in ("axis", "landscape", "best_x", "best")})
    folder = read(out)
    assert maps.landscape(folder) is None
    axes = maps.grid(folder).axes[0]
    star = [line for line in axes.lines if line.get_marker() == "*"]
    middle = [[3.0, 8.0], [6.0, 1.0]][maps.median_seed(folder)]
    assert np.ravel(star[0].get_data()).tolist() == middle


def test_good_is_blue_and_bad_is_orange():
    bad, good = style.GOOD_BAD(0.0), style.GOOD_BAD(1.0)
    assert good[2] > good[0] and bad[0] > bad[2]
    assert min(style.GOOD_BAD(0.5)[:3]) > 0.9 and to_rgba(style.BLUE)[2] > to_rgba(style.BLUE)[0]


def test_a_constant_schedule_still_has_ticks(tmp_path):
    out = write_run(tmp_path / "run", seeds=1, steps=300, every=100, maps=False)
    change(out, lambda row: row.update(temperature=0.03))
    axes = curves.schedules(read(out)).axes[0]
    low, high = axes.get_ylim()
    assert [tick for tick in axes.get_yticks() if low <= tick <= high]
