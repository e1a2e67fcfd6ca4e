"""A bound on the size of an auxiliary variable."""

import jax
import jax.numpy as jnp
import optax

from upperhand.schedule import positive
from upperhand.types import Scalar, Tree


def radius_of(radius: float | None) -> float | None:
    """The setting `radius`, checked: above 0, or none. Raises: ValueError."""
    return None if radius is None else positive("radius", radius)


def within(radius: float | Scalar | None, tree: Tree) -> Tree:
    """The nearest tree whose norm, of all its numbers together, is at most the radius; the tree where there is none."""
    if radius is None:
        return tree
    norm = optax.tree.norm(tree)
    factor = jnp.where(norm > radius, radius / jnp.maximum(norm, radius), 1.0)
    return jax.tree.map(lambda leaf: leaf * factor.astype(leaf.dtype), tree)
