"""The hypergradient from samples, with a truncated series in place of the inverse Hessian: one random term of it."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array
from jaxtyping import Key as TypedKey

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials
from upperhand.schedule import positive, whole
from upperhand.types import Key, Scalar, Tree

GRADIENTS = 3
"""Partial gradients of an estimate: two of upper, one of lower."""


class Estimate(NamedTuple):
    """What one draw tells at a point; of several their mean."""

    upper: Scalar
    lower: Scalar
    dx: Tree  # like x: of ∇Φ(x)
    dy: Tree  # like y: of ∇_y lower
    products: Scalar  # second-order products that were wanted


def estimator(
    problem: Bilevel, terms: int, smoothness: float
) -> Callable[[Key, tuple[Tree, Tree], Tree, Tree], Estimate]:
    """An estimate of the hypergradient and of ∂_y lower, from one upper and `terms` lower batches.

        dx = ∂ₓ upper(ξ) − ∇²_xy lower(ζ₀) [ (terms/L) Π_{i=1..k} ( I − ∇²_yy lower(ζᵢ)/L ) ] ∂_y upper(ξ)
        dy = ∂_y lower(ζ₀)                                             k uniform on 0 … terms − 1, L = smoothness

    Where the Hessian is H, the mean over k of (terms/L) (I − H/L)^k is H⁻¹ ( I − (I − H/L)^terms ): its distance from
    H⁻¹ is (1/μ) (1 − μ/L)^terms, μ the least eigenvalue of H.

    Args:
      problem: the losses and their batches.
      terms: K, of the series.
      smoothness: L, at least the largest eigenvalue of ∇²_yy lower.
    Returns: (key, (x, y) to draw at, x, y) → Estimate; the same key and place give the same batches and the same k.
    Raises: ValueError for terms or a smoothness out of their range.
    Cost: a call is 3 partial gradients and k + 1 products; an upper and `terms` lower batches by the book, those
      after ζ_k never looked at.
    Reference: that of `sbio_bred`.
    """
    whole("terms", (terms,), 1)
    positive("smoothness", smoothness)

    def estimate(key, place, x, y):
        key_upper, key_lower, key_k = jax.random.split(key, 3)
        k = jax.random.randint(key_k, (), 0, terms)
        draw = lambda i: problem.draw_lower(jax.random.fold_in(key_lower, i), *place)  # noqa: E731
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, *place))

        def factor(i, z):
            _, product = curved(problem.lower, x, y, draw(i)).products(z)
            return optax.tree.add_scale(z, -1 / smoothness, product)

        z = jax.lax.fori_loop(1, k + 1, factor, upper.dy)
        lower = curved(problem.lower, x, y, draw(0))
        cross, _ = lower.products(optax.tree.scale(terms / smoothness, z))
        return Estimate(upper.loss, lower.loss, optax.tree.sub(upper.dx, cross), lower.dy, k.astype(jnp.float32) + 1)

    return estimate


def mean(estimate: Callable[[Key], Estimate], keys: TypedKey[Array, " B"]) -> Estimate:
    """The mean of an estimate over keys [B]; its products are summed."""
    each = jax.vmap(estimate)(keys)
    found = jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)
    return found._replace(products=jnp.sum(each.products))
