"""The grid against a slow construction of its own, cell by cell."""

import inspect

import numpy as np
import pytest

from probes import kernel
from upperhand.mdps import gridworld
from upperhand.mdps.gridworld import MOVES, positions


def slow(size: int, slip: float, walls) -> np.ndarray:
    """[S, A, S]: walk each move by hand; a slip is one of the other three."""
    P = np.zeros((size * size, 4, size * size))
    moves = {0: (0, 1), 1: (1, 0), 2: (0, -1), 3: (-1, 0)}
    for i in range(size):
        for j in range(size):
            for action in range(4):
                for happens, (di, dj) in moves.items():
                    to = (i + di, j + dj)
                    inside = 0 <= to[0] < size and 0 <= to[1] < size and to not in walls
                    ni, nj = to if inside else (i, j)
                    P[size * i + j, action, size * ni + nj] += 1 - slip if happens == action else slip / 3
    return P


@pytest.mark.parametrize("size", [2, 3, 6])
@pytest.mark.parametrize("slip", [0.0, 0.1, 0.44, 1.0])
@pytest.mark.parametrize("walled", [False, True])
def test_geometry(size, slip, walled):
    rng = np.random.default_rng(size)
    walls = tuple({tuple(map(int, cell)) for cell in rng.integers(0, size, (size, 2))}) if walled else ()
    mdp = gridworld(size, slip=slip, walls=walls)
    np.testing.assert_allclose(kernel(mdp), slow(size, slip, walls), atol=1e-15)
    assert mdp.successor.shape == (size**2, 4, 4) and not mdp.ending.any()
    start = np.array([(i, j) not in walls for i in range(size) for j in range(size)], float)
    np.testing.assert_allclose(mdp.start, start / start.sum())


def test_nobody_enters_a_wall():
    walls = ((1, 1), (2, 0))
    P = kernel(gridworld(4, slip=0.3, walls=walls))
    into = [4 * i + j for i, j in walls]
    outside = [s for s in range(16) if s not in into]
    assert not P[outside][..., into].any()


def test_moves_and_positions():
    np.testing.assert_array_equal(MOVES, [(0, 1), (1, 0), (0, -1), (-1, 0)])
    np.testing.assert_array_equal(positions(3), [(i, j) for i in range(3) for j in range(3)])


def test_start_may_be_given():
    start = np.eye(9)[4]
    np.testing.assert_array_equal(gridworld(3, start=start).start, start)


BAD = {
    "size 1": ({"size": 1}, "size", "1"),
    "size a half": ({"size": 2.5}, "size", "2.5"),
    "slip above 1": ({"slip": 1.5}, "slip", "1.5"),
    "slip below 0": ({"slip": -0.1}, "slip", "-0.1"),
    "slip nan": ({"slip": float("nan")}, "slip", "nan"),
    "wall off the grid": ({"walls": [(0, 3)]}, "walls", "0, 3"),
    "wall below 0": ({"walls": [(-1, 0)]}, "walls", "-1, 0"),
    "all walls": ({"size": 2, "walls": [(0, 0), (0, 1), (1, 0), (1, 1)]}, "walls", "free"),
    "walls of three numbers": ({"walls": [(0, 1, 2)]}, "walls", "0, 1, 2"),
    "walls of four numbers": ({"walls": [(0, 1, 2, 2)]}, "walls", "0, 1, 2, 2"),
    "walls of a half": ({"walls": [(0.5, 1)]}, "walls", "0.5"),
    "start in a wall": ({"walls": [(0, 0)], "start": np.eye(9)[0]}, "start", "wall"),
    "start's shape": ({"start": np.ones(4) / 4}, "start", r"\(4,\)"),
    "start's sum": ({"start": np.ones(9)}, "start", "9"),
    "discount": ({"discount": 1.0}, "discount", "1.0"),
}


@pytest.mark.parametrize("case", BAD)
def test_gridworld_refuses(case):
    change, name, told = BAD[case]
    with pytest.raises(ValueError, match=told) as caught:
        inspect.unwrap(gridworld)(**({"size": 3} | change))  # as a user has it, without the tests' type checks
    assert name in str(caught.value) and "\n" not in str(caught.value)
