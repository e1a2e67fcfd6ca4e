"""Four rooms with a goal that is drawn anew for every episode, as one world whose state is (goal, cell)."""

from collections.abc import Sequence

import numpy as np

from upperhand.mdps.mdp import MDP, sparse

PLAN = """\
#############
#.....#.....#
#.....#.....#
#...........#
#.....#.....#
#.....#.....#
##.####.....#
#.....###.###
#.....#.....#
#.....#.....#
#...........#
#.....#.....#
#############
"""
MAP = np.array([list(row) for row in PLAN.splitlines()])
"""[13, 13] of '#' and '.', rows downwards."""
CELLS = np.argwhere(MAP == ".")
"""[104, 2] the free cells (row, column), in the order of their numbers."""
WALLS = np.argwhere(MAP == "#")
"""[65, 2] the walls (row, column)."""
MOVES = np.array([(-1, 0), (0, 1), (1, 0), (0, -1)])
"""[4, 2] change of (row, column) by each action: up, right, down, left."""


def number(cell: Sequence[int]) -> int:
    """The number of a free cell (row, column), 0 … 103. Raises: ValueError for a cell that is not free."""
    found = np.flatnonzero((np.asarray(cell) == CELLS).all(-1)) if len(cell) == 2 else []
    if len(found) != 1:
        raise ValueError(f"a free cell (row, column) of the four rooms is wanted: got {tuple(cell)}.")
    return int(found[0])


def four_rooms_world(
    *,
    goals: Sequence[Sequence[int]] = ((1, 9), (11, 11)),
    start: Sequence[int] = (4, 1),
    slip: float = 0.44,
    discount: float = 0.99,
) -> MDP:
    """Four rooms of 104 cells, once for every goal. State 104·g + c is cell number c while goal g holds.

    An episode draws its goal by the law of the first state and keeps it: the copies of the rooms never meet. In the
    goal's cell it ends. One kernel: a model that is planned in and the world that is drawn from are this one world.

    Args:
      goals: cells (row, column), one for each copy of the rooms, equally likely.
      start: cell (row, column) where every episode starts.
      slip: probability that one of the three other moves happens, spread evenly, in [0, 1]; 0.44 is the published
        model's .56/.1467, 0.33 the classical .67/.11.
      discount: γ in [0, 1), per step.
    Returns: MDP with S = 104·goals, A = 4, K = 4; every action has the same successors.
    Raises: ValueError for a slip outside [0, 1], no goals, a cell that is not free.
    Reference: the environment of HPGD, "Contextual Bilevel Reinforcement Learning", NeurIPS 2024, arXiv 2406.01575
      (from the authors' code; their simulator slips less often than their model, here both are one kernel).
    """
    if not 0 <= slip <= 1:
        raise ValueError(f"slip must lie in [0, 1]: got {slip!r}.")
    if not len(goals):
        raise ValueError("goals must hold at least one cell (row, column): got none.")
    places, C, G = [number(goal) for goal in goals], len(CELLS), len(goals)
    target = CELLS[:, None] + MOVES  # [C, 4, 2]
    stays = MAP[target[..., 0], target[..., 1]] == "#"
    target = np.where(stays[..., None], CELLS[:, None], target)
    index = np.full(MAP.shape, -1)
    index[CELLS[:, 0], CELLS[:, 1]] = np.arange(C)
    follows = index[target[..., 0], target[..., 1]]  # [C, 4]
    follows = (follows + C * np.arange(G)[:, None, None]).reshape(G * C, 1, 4)
    law = np.full((4, 4), slip / 3)
    np.fill_diagonal(law, 1 - slip)
    ending = np.zeros((G * C, 4))
    ending[C * np.arange(G) + places] = 1
    first = np.zeros(G * C)
    first[C * np.arange(G) + number(start)] = 1 / G
    probability = law * (1 - ending[..., None])
    return sparse(np.broadcast_to(follows, (G * C, 4, 4)), probability, start=first, ending=ending, discount=discount)
