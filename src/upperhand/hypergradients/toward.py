"""A part of the way from one tree to another: the moving averages and relaxed steps of the single-loop methods."""

import jax
import jax.numpy as jnp

from upperhand.types import Scalar, Tree


def toward(old: Tree, new: Tree, share: float | Scalar) -> Tree:
    """old + share (new − old). Returns: like old, also in its types."""
    return jax.tree.map(lambda a, b: a + (jnp.asarray(share, a.dtype) * (b - a)).astype(a.dtype), old, new)
