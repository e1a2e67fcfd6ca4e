"""The two linear solves of a fixed policy: its values and its occupancy, dense or matrix-free."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.mdps.mdp import MDP, chain, expect, push


class Resolvent(NamedTuple):
    """Solves with I − γ P_π."""

    values: Callable[[MDP, Float[Array, "S A"], Float[Array, " S"]], Float[Array, " S"]]  # (I − γ P_π) v = b
    visits: Callable[[MDP, Float[Array, "S A"], Float[Array, " S"]], Float[Array, " S"]]  # (I − γ P_π)ᵀ d = b


def _matrix(mdp: MDP, pi: Float[Array, "S A"]) -> Float[Array, "S S"]:
    return jnp.eye(mdp.states, dtype=pi.dtype) - mdp.discount * chain(mdp, pi)


@jax.custom_batching.sequential_vmap
def _factored(matrix, b):
    return jnp.linalg.solve(matrix, b)


def _solve(matrix: Float[Array, "S S"], b: Float[Array, " S"]) -> Float[Array, " S"]:
    """The solution of matrix v = b; members of a batch one after another.

    LU of a batch splits it over the threads that may already be waiting in another LU: in jaxlib 0.10.2, two of them
    side by side stop for ever. The linear solve is custom because a sequential one alone has no reverse derivative.
    """
    return jax.lax.custom_linear_solve(
        lambda v: matrix @ v,
        b,
        solve=lambda _, b: _factored(matrix, b),
        transpose_solve=lambda _, b: _factored(matrix.T, b),
    )


def _dense_values(mdp, pi, b):
    return _solve(_matrix(mdp, pi), b)


def _dense_visits(mdp, pi, b):
    return _solve(_matrix(mdp, pi).T, b)


dense = Resolvent(_dense_values, _dense_visits)
"""By LU factors: S² memory, S³ time. For up to a few thousand states."""


def sweeps(tolerance: float = 1e-10, most: int = 100_000) -> Resolvent:
    """Matrix-free, by the contraction itself.

    v ← b + γ P_π v        d ← b + γ P_πᵀ d

    Args:
      tolerance: bound on the error relative to the size of the solution (sup norm for v, sum norm for d), down to
        rounding.
      most: sweeps at most.
    Returns: Resolvent. Cost: about log(tolerance)/log γ sweeps of S·A·K, memory S·A·K.
    """

    def fixed_point(sweep, b, gamma, size):
        least = jnp.maximum(tolerance * (1 - gamma), 4 * jnp.finfo(b.dtype).eps)  # below, v moves by its rounding only

        def unfinished(carry):
            v, change, count = carry
            return (change * gamma > least * size(v)) & (count < most)

        def body(carry):
            v, _, count = carry
            new = sweep(v)
            return new, size(new - v), count + 1

        start = (b, jnp.asarray(jnp.inf, b.dtype), 0)
        return jax.lax.while_loop(unfinished, body, start)[0]

    def values(mdp, pi, b):
        sweep = lambda v: b + mdp.discount * jnp.sum(pi * expect(mdp, v), -1)  # noqa: E731
        return fixed_point(sweep, b, mdp.discount, lambda v: jnp.max(jnp.abs(v)))

    def visits(mdp, pi, b):
        sweep = lambda d: b + mdp.discount * push(mdp, d[:, None] * pi)  # noqa: E731
        return fixed_point(sweep, b, mdp.discount, lambda d: jnp.sum(jnp.abs(d)))

    return Resolvent(values, visits)


def warm(n: int, *, v: Float[Array, " S"] | None = None, d: Float[Array, " S"] | None = None) -> Resolvent:
    """Matrix-free as `sweeps`, a fixed number of them, from solutions of systems that were nearly the same.

    Args:
      n: sweeps.
      v, d: where `values` and `visits` start, [S]; a solve whose start is not given may not be asked for.
    Returns: Resolvent; what is left of the start's error shrinks by γⁿ. Cost: n sweeps of S·A·K a solve.
    """

    def values(mdp, pi, b):
        return jax.lax.fori_loop(0, n, lambda _, v: b + mdp.discount * jnp.sum(pi * expect(mdp, v), -1), v)

    def visits(mdp, pi, b):
        return jax.lax.fori_loop(0, n, lambda _, d: b + mdp.discount * push(mdp, d[:, None] * pi), d)

    return Resolvent(values, visits)


def occupancy(mdp: MDP, pi: Float[Array, "S A"], resolvent: Resolvent = dense) -> Float[Array, "S A"]:
    """Discounted visits of each state and action.

    μ(s, a) = d(s) π(a|s)        d = (I − γ P_πᵀ)⁻¹ start

    Returns: [S, A], summing to 1/(1 − γ) where no episode ends. Cost: one solve.
    """
    return resolvent.visits(mdp, pi, jnp.asarray(mdp.start, pi.dtype))[:, None] * pi


def evaluate(
    mdp: MDP, pi: Float[Array, "S A"], r: Float[Array, "S A"], resolvent: Resolvent = dense
) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
    """Values of a fixed policy.

    V = (I − γ P_π)⁻¹ Σ_a π r        Q = r + γ P V

    Returns: V [S], Q [S, A]. Cost: one solve.
    """
    v = resolvent.values(mdp, pi, jnp.sum(pi * r, -1))
    return v, r + mdp.discount * expect(mdp, v)


def is_small(mdp: MDP) -> bool:
    """Whether LU factors (S³ a solve, some 15 solves) are quicker than sweeps (S·A·K each, 1/(1 − γ) times some 20).

    A discount that is traced counts as 0.95; where episodes may end, sweeps settle sooner and count 0.4 as many.
    """
    gamma = mdp.discount if isinstance(mdp.discount, int | float) else 0.95
    may_end = isinstance(mdp.ending, np.ndarray) and mdp.ending.any()
    return mdp.states**2 <= 60 * mdp.actions * mdp.successor.shape[-1] / (1 - gamma) * (0.4 if may_end else 1.0)


def suitable(mdp: MDP, tolerance: float = 1e-7) -> Resolvent:
    """LU factors where the world is small, else sweeps to a tolerance; see `is_small`. Returns: Resolvent."""
    return dense if is_small(mdp) else sweeps(tolerance)
