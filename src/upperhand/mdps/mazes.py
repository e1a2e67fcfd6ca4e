"""Walls of three mazes for a square grid, each with every free cell reachable and (0, 0) free."""

import numpy as np

MAZES = ("open", "rooms", "spiral", "comb")
"""No walls; four rooms with four doors; one corridor that winds inwards; corridors that open on one edge."""


def maze(name: str, size: int) -> tuple[tuple[int, int], ...]:
    """The walls of a maze.

    Args:
      name: one of MAZES.
      size: cells a side.
    Returns: cells (i, j).
    Raises: ValueError for an unknown name, or a size below 5 with walls.
    """
    if name not in MAZES:
        raise ValueError(f"maze must be one of {', '.join(MAZES)}: got {name!r}.")
    if name == "open":
        return ()
    if size < 5:
        raise ValueError(f"size must be at least 5 cells for the maze {name!r}: got {size!r}.")
    free = {"rooms": _rooms, "spiral": _spiral, "comb": _comb}[name](size)
    return tuple((int(i), int(j)) for i, j in np.argwhere(~free))


def _rooms(size: int) -> np.ndarray:
    """Two walls that cross in the middle, and a door in the middle of each of their arms."""
    free, middle = np.ones((size, size), bool), size // 2
    free[middle, :] = free[:, middle] = False
    doors = [middle // 2, (middle + size) // 2]
    free[middle, doors] = free[doors, middle] = True
    return free


def _spiral(size: int) -> np.ndarray:
    """A corridor one cell wide from (0, 0) along the edge and inwards; walls one cell thick between its turns."""
    free = np.zeros((size, size), bool)
    legs, turns = [size - 1, *np.repeat(np.arange(size - 1, 0, -2), 2)], [(1, 0), (0, 1), (-1, 0), (0, -1)]
    i = j = 0
    free[0, 0] = True
    for leg, length in enumerate(legs):
        for _ in range(length):
            i, j = i + turns[leg % 4][0], j + turns[leg % 4][1]
            free[i, j] = True
    return free


def _comb(size: int) -> np.ndarray:
    """A wall every third column, open at its first cell only."""
    free = np.ones((size, size), bool)
    free[2 : size - 1 : 3, 1:] = False
    return free
