"""Four rooms: the published numbering, doors and kernel rows, and that the copies of the rooms never meet."""

import inspect

import numpy as np
import pytest

from probes import kernel
from upperhand.mdps.four_rooms import CELLS, MOVES, WALLS, four_rooms_world, number
from upperhand.mdps.mdp import shared_successors

NUMBERS = {(1, 1): 0, (1, 9): 7, (4, 1): 31, (8, 4): 66, (11, 11): 103}  # published


def is_free(i: int, j: int) -> bool:
    """The plan in words: an outer wall, one wall down and one across each half, and four doors."""
    outside = i in (0, 12) or j in (0, 12)
    down = j == 6 and i not in (3, 10)
    across = (i == 6 and 1 <= j <= 5 and j != 2) or (i == 7 and 7 <= j <= 11 and j != 9)
    return not (outside or down or across)


def test_the_plan_and_the_numbers():
    free = [(i, j) for i in range(13) for j in range(13) if is_free(i, j)]
    np.testing.assert_array_equal(CELLS, free)
    assert len(CELLS) == 104 and len(WALLS) == 169 - 104
    assert {cell: number(cell) for cell in NUMBERS} == NUMBERS
    for door in ((3, 6), (10, 6), (6, 2), (7, 9)):
        assert 0 <= number(door) < 104
    for wall in ((0, 0), (6, 6), (6, 1), (7, 7), (1, 6), (13, 1), (3, 6, 0)):
        with pytest.raises(ValueError, match="free cell"):
            number(wall)


def by_hand(slip: float, goals) -> np.ndarray:
    """[G, 104, 4, G, 104] move by move."""
    G, index = len(goals), {tuple(cell): c for c, cell in enumerate(CELLS.tolist())}
    P = np.zeros((G, 104, 4, G, 104))
    for g, goal in enumerate(goals):
        for (i, j), c in index.items():
            for action in range(4):
                for happens, (di, dj) in enumerate([(-1, 0), (0, 1), (1, 0), (0, -1)]):
                    to = (i + di, j + dj) if is_free(i + di, j + dj) else (i, j)
                    P[g, c, action, g, index[to]] += (1 - slip if happens == action else slip / 3) * ((i, j) != goal)
    return P


@pytest.mark.parametrize("goals", [((1, 9), (11, 11)), ((3, 6),), ((1, 1), (2, 2), (1, 1))])
@pytest.mark.parametrize("slip", [0.0, 0.33, 0.44, 1.0])
def test_kernel(slip, goals):
    mdp, C = four_rooms_world(slip=slip, goals=goals), 104 * len(goals)
    np.testing.assert_allclose(kernel(mdp), by_hand(slip, goals).reshape(C, 4, C), atol=1e-15)
    ends = np.zeros((len(goals), 104))
    ends[np.arange(len(goals)), [number(goal) for goal in goals]] = 1
    np.testing.assert_array_equal(mdp.ending, np.repeat(ends.reshape(-1, 1), 4, 1))
    assert shared_successors(mdp) is not None and mdp.successor.shape == (C, 4, 4) and mdp.discount == 0.99


def test_published_rows():
    """At the start (4, 1), a wall to the left: up is .56, right .44/3, down .44/3, and the bump .44/3."""
    P = kernel(four_rooms_world())
    np.testing.assert_allclose(P[31, 0, [number((3, 1)), number((4, 2)), number((5, 1)), 31]], [0.56, *3 * [0.44 / 3]])
    classical = kernel(four_rooms_world(slip=0.33))
    np.testing.assert_allclose(classical[number((2, 3)), 0, number((1, 3))], 0.67)
    np.testing.assert_allclose(classical[number((3, 5)), 1, number((3, 6))], 0.67)  # through a door
    np.testing.assert_allclose(classical[number((2, 5)), 1, number((2, 5))], 0.67)  # against the wall beside it
    assert MOVES.shape == (4, 2)


def test_start():
    mdp = four_rooms_world(start=(8, 4))
    np.testing.assert_array_equal(np.flatnonzero(mdp.start), [66, 104 + 66])
    np.testing.assert_allclose(mdp.start[[66, 170]], 0.5)
    np.testing.assert_allclose(four_rooms_world().start[[31, 135]], 0.5)


BAD = {
    "slip": ({"slip": 1.2}, "slip"),
    "slip nan": ({"slip": float("nan")}, "slip"),
    "no goals": ({"goals": ()}, "goal"),
    "a goal in a wall": ({"goals": ((6, 6),)}, "(6, 6)"),
    "a start in a wall": ({"start": (0, 0)}, "(0, 0)"),
    "discount": ({"discount": 1.0}, "discount"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_refuses(case):
    change, told = BAD[case]
    with pytest.raises(ValueError) as caught:
        inspect.unwrap(four_rooms_world)(**change)
    assert told in str(caught.value) and "\n" not in str(caught.value)
