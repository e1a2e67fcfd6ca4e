"""One quadratic form of x that every state and action shares."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from upperhand.types import Scalar


def quadratic(gain: np.ndarray, form: np.ndarray) -> Callable:
    """A reward that every pair has its own share of; the form is evaluated once for all pairs.

    r_x(s, a) = gain(s, a) · xᵀ form x

    Args:
      gain: [S, A].
      form: [d, d], symmetric or not.
    Returns: reward(x [d], s, a) → [].
    """
    even = (form + form.T) / 2

    def reward(x, s, a) -> Scalar:
        return jnp.asarray(gain, x.dtype)[s, a] * jnp.dot(x, jnp.asarray(even, x.dtype) @ x)

    return reward
