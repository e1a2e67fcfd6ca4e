"""Rewards that a designer adds to what the agent wants anyway."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.types import Scalar


def taxed_goal(cell: np.ndarray, is_goal: np.ndarray, budget: float) -> Callable:
    """A goal that pays 1, and a budget of taxes spread over the cells; the last weight is what is not spent.

    r_x(s) = 1 at the goal, else −budget · softmax(x)(cell(s))

    Args:
      cell: [S] number of the cell of each state, below N.
      is_goal: [S] whether a state stands on its goal.
      budget: of reward, shared by the N cells and what is not spent.
    Returns: reward(x [N + 1], s, a) → [].
    """

    def reward(x, s, a) -> Scalar:
        tax = budget * jax.nn.softmax(x)[jnp.asarray(cell, jnp.int32)[s]]
        return jnp.where(jnp.asarray(is_goal)[s], jnp.ones((), x.dtype), -tax)

    return reward


def spent(x: jax.Array, budget: float) -> Scalar:
    """What the taxes of `taxed_goal` add up to, budget · (1 − softmax(x)(last)). Returns: []."""
    return budget * (1 - jax.nn.softmax(x)[-1])


def added(own: np.ndarray, cell: np.ndarray, most: float) -> Callable:
    """What the agent gets anyway, and a bonus or a toll of the cell it is in.

    r_x(s, a) = own(s, a) + most · x(cell(s))

    Args:
      own: [S, A].
      cell: [S] number of the cell of each state, below N.
      most: bonus where x is 1.
    Returns: reward(x [N], s, a) → [].
    """

    def reward(x, s, a) -> Scalar:
        return jnp.asarray(own, x.dtype)[s, a] + most * x[jnp.asarray(cell, jnp.int32)[s]]

    return reward
