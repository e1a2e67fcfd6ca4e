"""The tables of Gymnasium's toy-text worlds, read from the installed package."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from upperhand.mdps.mdp import MDP, sparse

NAMES = ("FrozenLake", "CliffWalking", "Taxi")
"""The worlds that have a table."""


def toytext_world(
    name: str, *, discount: float = 0.99, options: Mapping[str, Any] | None = None
) -> tuple[MDP, np.ndarray]:
    """A toy-text world and its own reward, from the table of its newest version.

    r(s, a) = Σ prob · reward        P(s, a, s') = Σ prob over the entries that do not end the episode

    What ends an episode goes to `ending`, so the rows of terminal states are never read on. Time limits are not in the
    table.

    Args:
      name: one of NAMES, without a version.
      discount: γ in [0, 1), per step.
      options: of the world, as `gymnasium.make` takes them, for example {"map_name": "8x8"}.
    Returns: MDP, reward [S, A].
    Raises: ValueError where Gymnasium is not installed, the name is unknown, or an option is.
    """
    if name not in NAMES:
        raise ValueError(f"a toy-text world must be one of {', '.join(NAMES)}: got {name!r}.")
    try:
        import gymnasium
    except ImportError:
        raise ValueError("toy-text worlds need Gymnasium: pip install 'upperhand[worlds]'.") from None
    kinds = [kind for kind in gymnasium.registry.values() if kind.name == name and not kind.namespace]
    newest = max(kinds, key=lambda kind: kind.version or 0)
    try:
        world = gymnasium.make(newest.id, **(options or {})).unwrapped
    except (TypeError, KeyError) as error:
        raise ValueError(f"{newest.id} refuses the options {dict(options or {})}: {error}.") from None
    return from_table(world.P, world.initial_state_distrib, discount=discount)


def from_table(
    table: Mapping[int, Mapping[int, list]], start: np.ndarray, *, discount: float
) -> tuple[MDP, np.ndarray]:
    """A world and its reward from a table of outcomes.

    Args:
      table: table[s][a] is a list of (probability, next state, reward, whether the episode ends).
      start: [S] law of the first state.
      discount: γ in [0, 1), per step.
    Returns: MDP, reward [S, A]; entries with the same next state are added up.
    """
    S, A = len(table), len(table[0])
    r, ending, rows = np.zeros((S, A)), np.zeros((S, A)), {}
    for s, a in np.ndindex(S, A):
        row = rows[s, a] = {}
        for probability, after, reward, ends in table[s][a]:
            r[s, a] += probability * reward
            if ends:
                ending[s, a] += probability
            else:
                row[int(after)] = row.get(int(after), 0.0) + probability
    K = max(1, *map(len, rows.values()))
    successor = np.broadcast_to(np.arange(S)[:, None, None], (S, A, K)).copy()  # where there are fewer: itself, never
    probability = np.zeros((S, A, K))
    for (s, a), row in rows.items():
        successor[s, a, : len(row)] = list(row)
        probability[s, a, : len(row)] = list(row.values())
    return sparse(successor, probability, start=np.asarray(start), ending=ending, discount=discount), r
