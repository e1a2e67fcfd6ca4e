"""The zero-order hypergradient: a central difference along one random direction."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from upperhand.types import Key, Scalar, Tree


def direction(key: Key, x: Tree) -> Tree:
    """Standard normal numbers like x. Returns: like x."""
    leaves, structure = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))
    drawn = [jax.random.normal(key, leaf.shape, leaf.dtype) for key, leaf in zip(keys, leaves, strict=True)]
    return jax.tree.unflatten(structure, drawn)


def along_direction(
    evaluate: Callable[[Tree, Any], tuple[Scalar, Any]], key: Key, x: Tree, radius: float | Scalar, known: Any
) -> tuple[Scalar, Tree, Any]:
    """Φ around x, and its derivative there, from two evaluations.

    dx = ( Φ(x + h Z) − Φ(x − h Z) ) Z / (2h)        Z ~ N(0, I)

    E dx is the gradient of Φ smoothed by N(0, h²I), O(h²) from ∇Φ; on a quadratic Φ it is ∇Φ, for every h, and
    E ‖dx‖² = (dim(x) + 2) ‖∇Φ‖². The published forward form, from Φ(x + h Z) − Φ(x), has h²/4 · E ‖Z‖² (ZᵀHZ)² more.

    Args:
      evaluate: (x, what is known there) → Φ(x), and what is then known; both points in one vmap, so that random numbers
        that it closes over are the same for both.
      key: used once.
      x: the upper variable.
      radius: h, in units of x.
      known: of x + h Z and of x − h Z, by a leading axis [2].
    Returns: the mean of both values, like x, and what is known by a leading axis. Cost: two evaluations.
    Reference: the zero-order baseline in the authors' code of HPGD, forward there; the central form is derived.
    """
    z = direction(key, x)
    ends = jax.tree.map(lambda x, z: jnp.stack([x + radius * z, x - radius * z]), x, z)
    values, found = jax.vmap(evaluate)(ends, known)
    slope = (values[0] - values[1]) / (2 * radius)
    return jnp.mean(values), jax.tree.map(lambda z: slope * z, z), found
