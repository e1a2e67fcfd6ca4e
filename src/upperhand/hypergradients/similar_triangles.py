"""The accelerated update of similar triangles: three points, one gradient, weights that grow as theory has them."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from upperhand.schedule import unit
from upperhand.types import Scalar, Tree


class Triangle(NamedTuple):
    """Where it stands; weights are in units of the base step."""

    x: Tree  # output, a weighted mean of all z
    z: Tree  # what descends
    total: Scalar  # A, sum of the weights so far


class Ahead(NamedTuple):
    """An update, before its gradient is known."""

    at: Tree  # where the gradient is wanted
    weight: Scalar  # a of this update
    total: Scalar  # A + a


def begin(x: Tree) -> Triangle:
    """All three points at x."""
    return Triangle(x, x, jnp.zeros((), jnp.result_type(*jax.tree.leaves(x))))


def between(x: Tree, z: Tree, ahead: Ahead) -> Tree:
    """((total − weight) x + weight z)/total: from x towards z by the new weight's share."""
    share = ahead.weight / ahead.total
    return jax.tree.map(lambda x, z: x + share.astype(x.dtype) * (z - x), x, z)


def look(triangle: Triangle, weight: Scalar) -> Ahead:
    """Where the gradient of the next update is wanted. Returns: Ahead."""
    weight = weight.astype(triangle.total.dtype)
    ahead = Ahead(triangle.x, weight, triangle.total + weight)
    return ahead._replace(at=between(triangle.x, triangle.z, ahead))


def turn(triangle: Triangle, ahead: Ahead, z: Tree) -> Triangle:
    """After z has moved. Returns: Triangle."""
    return Triangle(between(triangle.x, z, ahead), z, ahead.total)


def growth(holder: float) -> Callable[[Scalar], Scalar]:
    """k → k^(2ν/(1+ν)), how the weights of the k-th update grow: linearly for ν = 1, not at all for ν = 0.

    Raises: ValueError where ν is not in [0, 1].
    """
    unit("holder", holder)
    return lambda count: jnp.asarray(count, float) ** (2 * holder / (1 + holder))


def base_step(accuracy: float, holder: float, smoothness: float, slack: float = 1.0) -> float:
    """The base step of theory: (ε/2)^((1−ν)/(1+ν)) / ( 2^(2ν/(1+ν)) · slack · M^(2/(1+ν)) ).

    With it A_k ≥ slack L_k a_k², L_k = (2A_k/(a_k ε))^((1−ν)/(1+ν)) M^(2/(1+ν)), and without noise, at slack 1,
    f − f* ≤ R²/(2A) + ε/2.

    Args:
      accuracy: ε, wanted of f − f*.
      holder, smoothness: ν and M of ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν.
      slack: at least 1; noise asks for more.
    Reference: form recalled from arXiv 2106.05958, proof derived. Its slack of 16384 ln²(4N/β) is of no use.
    """
    power = 1 + holder
    return (accuracy / 2) ** ((1 - holder) / power) / (2 ** (2 * holder / power) * slack * smoothness ** (2 / power))
