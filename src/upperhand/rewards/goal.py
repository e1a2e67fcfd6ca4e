"""Rewards that make a place attractive."""

from collections.abc import Callable, Iterable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.actions import total
from upperhand.types import Scalar


def goal(positions: np.ndarray, width: float) -> Callable:
    """A bump of reward around a movable goal.

    r_x(s) = exp( −‖position(s) − x‖² / (2 width²) )

    Args:
      positions: [S, d] coordinates of the states, in cells.
      width: in cells.
    Returns: reward(x [d], s, a) → [], at most 1.
    """

    def reward(x, s, a) -> Scalar:
        offset = jnp.asarray(positions, x.dtype)[s] - x
        return jnp.exp(-total(offset**2) / (2 * width**2))

    return reward


def weighted_goals(states: int) -> Callable:
    """A budget of reward spread over the states.

    r_x(s) = softmax(x)(s)

    Args:
      states: S.
    Returns: reward(x [S], s, a) → [], in (0, 1), summing to 1 over the states.
    """

    def reward(x, s, a) -> Scalar:
        return jax.nn.softmax(x)[s]

    return reward


def bumps(positions: np.ndarray, table: Iterable[Sequence[float]], scale: float = 1.0) -> Callable:
    """A fixed reward that is a sum of bumps.

    u(s) = scale · Σ_b height_b · exp( −‖position(s) − (i_b, j_b)‖² / (2 width_b²) )

    Args:
      positions: [S, 2] coordinates of the states, in cells.
      table: rows (i, j, width, height).
      scale: of the whole, for example 1 − γ.
    Returns: reward(x, s, a) → [], the same for every x.
    """
    field = sum(
        height * np.exp(-((positions - np.array([i, j])) ** 2).sum(-1) / (2 * width**2))
        for i, j, width, height in table
    )
    field = scale * np.broadcast_to(np.asarray(field, float), positions.shape[:1])

    def reward(x, s, a) -> Scalar:
        return jnp.asarray(field, jnp.result_type(float))[s]

    return reward
