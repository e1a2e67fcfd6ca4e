"""A grid of cells, four moves, slips and walls."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from upperhand.mdps.mdp import MDP, sparse

MOVES = np.array([(0, 1), (1, 0), (0, -1), (-1, 0)])
"""[4, 2] change of the two coordinates by each action."""


def gridworld(
    size: int = 10,
    *,
    slip: float = 0.1,
    walls: Iterable[Sequence[float]] = (),
    start: ArrayLike | None = None,
    discount: float = 0.95,
) -> MDP:
    """A square grid. State size·i + j is cell (i, j); a move off the grid or into a wall stays.

    With probability slip, spread evenly, one of the three other moves happens instead.

    Args:
      size: cells a side.
      slip: probability of another move, in [0, 1].
      walls: cells (i, j) that nobody enters; they keep their states, and nobody starts there.
      start: [size²] law of the first state; uniform over the free cells where not given.
      discount: γ in [0, 1), per step.
    Returns: MDP with S = size², A = 4, K = 4.
    Raises: ValueError for a size below 2, a slip outside [0, 1], a wall off the grid, a start in a wall.
    """
    if not isinstance(size, int | np.integer) or size < 2:
        raise ValueError(f"size must be a whole number of cells, at least 2: got {size!r}.")
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must lie in [0, 1]: got {slip!r}.")
    given = [tuple(cell) for cell in walls]
    if any(len(cell) != 2 or not all(0 <= i < size and i == int(i) for i in cell) for cell in given):
        raise ValueError(f"walls must be cells (i, j) in 0 … {size - 1}: got {given}.")
    walls = np.array(given, int).reshape(-1, 2)
    cells = positions(size).astype(int)
    blocked = np.zeros((size, size), bool)
    blocked[walls[:, 0], walls[:, 1]] = True
    if blocked.all():
        raise ValueError("walls must leave at least one free cell: they cover the grid.")
    target = np.clip(cells[:, None] + MOVES, 0, size - 1)  # [S, 4, 2]
    stays = blocked[target[..., 0], target[..., 1]]
    target = np.where(stays[..., None], cells[:, None], target)
    states = (target[..., 0] * size + target[..., 1]).astype(np.int32)  # [S, 4]
    law = np.full((4, 4), slip / 3)
    np.fill_diagonal(law, 1 - slip)
    S, free = size * size, ~blocked.ravel()
    start = free / free.sum() if start is None else np.asarray(start, np.float64)
    if start.shape == (S,) and start[~free].any():
        raise ValueError("start must give walls no probability.")
    successor = np.broadcast_to(states[:, None, :], (S, 4, 4))
    return sparse(successor, np.broadcast_to(law, (S, 4, 4)), start=start, discount=discount)


def positions(size: int) -> np.ndarray:
    """The cells' coordinates (i, j), [size², 2], in the order of the states."""
    return np.stack(np.meshgrid(np.arange(size), np.arange(size), indexing="ij"), -1).reshape(-1, 2).astype(float)
