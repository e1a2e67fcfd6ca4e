"""Mazes: everything free can be reached, (0, 0) is free, and each has the shape of its name."""

import inspect

import numpy as np
import pytest

from probes import kernel
from upperhand.mdps import gridworld
from upperhand.mdps.mazes import MAZES, maze


def reached(size: int, walls) -> set:
    """Cells that a walk from (0, 0) can reach."""
    found, edge = {(0, 0)}, [(0, 0)]
    while edge:
        i, j = edge.pop()
        for cell in ((i + 1, j), (i - 1, j), (i, j + 1), (i, j - 1)):
            if cell not in found and cell not in walls and min(cell) >= 0 and max(cell) < size:
                found.add(cell)
                edge.append(cell)
    return found


@pytest.mark.parametrize("size", [5, 6, 9, 10, 13, 16])
@pytest.mark.parametrize("name", MAZES)
def test_every_free_cell_is_reached(name, size):
    walls = set(maze(name, size))
    assert (0, 0) not in walls
    assert len(reached(size, walls)) == size**2 - len(walls)
    assert (len(walls) > 0) == (name != "open")


def test_rooms_are_joined_by_four_doors():
    walls = set(maze("rooms", 10))
    doors = {(5, 2), (5, 7), (2, 5), (7, 5)}
    assert walls == {(i, j) for i in range(10) for j in range(10) if 5 in (i, j)} - doors
    assert len(reached(10, walls | doors)) == 25


def test_the_spiral_is_one_corridor():
    """No branch: a free cell has two free neighbours, but for the ends and the last turn; the end is far away."""
    size, walls = 9, set(maze("spiral", 9))
    free = reached(size, walls)
    near = [sum((i + di, j + dj) in free for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1))) for i, j in free]
    assert sorted(near)[:2] == [1, 1] and set(sorted(near)[2:]) == {2}
    assert {(0, 0), (8, 0), (8, 8), (0, 8), (0, 2), (6, 2), (6, 6), (2, 6), (2, 4), (4, 4)} <= free
    assert {(0, 1), (7, 1), (7, 7), (1, 7), (1, 3)} <= walls


def test_the_comb_opens_on_one_edge():
    walls = set(maze("comb", 10))
    assert walls == {(i, j) for i in (2, 5, 8) for j in range(1, 10)}
    assert len(reached(10, walls | {(2, 0)})) == 20


@pytest.mark.parametrize("name", MAZES[1:])
def test_a_world_of_it(name):
    """Ten steps by the kernel reach as many cells as ten steps by hand."""
    walls = set(maze(name, 10))
    P = kernel(gridworld(10, slip=0.3, walls=maze(name, 10))).sum(1) > 0
    seen, near = np.eye(1, 100)[0] > 0, {(0, 0)}
    for _ in range(10):
        seen = seen | (seen @ P)
        steps = {(i + di, j + dj) for i, j in near for di, dj in ((1, 0), (-1, 0), (0, 1), (0, -1))}
        near |= {(i, j) for i, j in steps if min(i, j) >= 0 and max(i, j) < 10} - walls
    assert {divmod(s, 10) for s in np.flatnonzero(seen)} == near


@pytest.mark.parametrize(("words", "told"), [(("ring", 10), "open, rooms, spiral, comb"), (("spiral", 4), "size")])
def test_it_refuses(words, told):
    with pytest.raises(ValueError, match=told) as caught:
        inspect.unwrap(maze)(*words)
    assert "\n" not in str(caught.value)
