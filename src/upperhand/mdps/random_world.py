"""A random world, each pair with its own number of successors."""

import numpy as np

from upperhand.mdps.mdp import MDP, dense
from upperhand.schedule import whole


def random_world(states: int = 10, actions: int = 5, *, discount: float = 0.5, seed: int = 3) -> MDP:
    """A world drawn at random; the first state is uniform and no episode ends.

    Each (s, a) has n successors, n uniform on 1 … S − 1 and the states distinct, with weights uniform on (0, 1),
    normalised.

    Args:
      states, actions: S, at least 2, and A.
      discount: γ in [0, 1), per step.
      seed: of NumPy's default generator.
    Returns: MDP with K the largest n that was drawn.
    Raises: ValueError for a size that is too small.
    Reference: the synthetic task of M-SoBiRL, "Bilevel Reinforcement Learning via the Development of Hyper-gradient
      without Lower-Level Convexity", AISTATS 2025 (from the authors' code; another random generator).
    """
    if whole("states", (states,), 1)[0] < 2:
        raise ValueError(f"states must be at least 2: got {states!r}.")
    whole("actions", (actions,), 1)
    random = np.random.default_rng(seed)
    kernel = np.zeros((states, actions, states))
    for row in kernel.reshape(-1, states):
        follow = random.choice(states, random.integers(1, states), replace=False)
        row[follow] = 1 - random.random(len(follow))  # in (0, 1]
        row /= row.sum()
    return dense(kernel, discount=discount)
