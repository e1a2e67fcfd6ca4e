"""Central differences along the coordinates of a flat x."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.types import Scalar


def neighbours(x: Float[Array, " dx"], h: float | Scalar) -> Float[Array, "2 dx dx"]:
    """The points x + h e_i, then x − h e_i, i = 0 … dx − 1. Returns: [2, dx, dx]."""
    steps = h * jnp.eye(x.size, dtype=x.dtype)
    return x[None, None] + jnp.stack([steps, -steps])


def central(values: Float[Array, "2 dx"], h: float | Scalar) -> Float[Array, " dx"]:
    """( f(x + h e_i) − f(x − h e_i) ) / (2h) from the values at the neighbours; its bias is O(h²). Returns: [dx]."""
    return (values[0] - values[1]) / (2 * h)
