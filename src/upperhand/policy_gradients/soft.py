"""The entropy-regularised lower level, solved exactly."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from upperhand.actions import log_probabilities, log_total, probabilities, total
from upperhand.mdps.mdp import MDP, expect
from upperhand.policy_gradients.linear import Resolvent, dense
from upperhand.types import Scalar

Number = float | Scalar
"""A number, or an array of no axes."""


class Soft(NamedTuple):
    """The solution of a soft Bellman equation."""

    v: Float[Array, " S"]  # V(s) = τ log Σ_a exp(Q(s, a)/τ)
    q: Float[Array, "S A"]  # Q = r + γ P V
    pi: Float[Array, "S A"]  # π(a|s) = exp((Q(s, a) − V(s))/τ)
    error: Float[Array, ""]  # bound on max |V − V*|, from the last change of V; rounding comes on top
    sweeps: Int[Array, ""]  # sweeps or policy iterations done


def backup(mdp: MDP, r: Float[Array, "S A"], tau: Number, v: Float[Array, " S"]) -> Float[Array, " S"]:
    """One soft Bellman backup, V ← τ log Σ_a exp((r + γ P V)/τ). Returns: [S]. Cost: S·A·K."""
    return tau * log_total((r + mdp.discount * expect(mdp, v)) / tau)


def value_iteration(
    mdp: MDP,
    r: Float[Array, "S A"],
    tau: Number,
    *,
    v: Float[Array, " S"] | None = None,
    tolerance: float = 1e-10,
    most: int = 100_000,
) -> Soft:
    """Soft value iteration, for any number of states.

    V ← τ log Σ_a exp((r + γ P V)/τ)        error ≤ γ/(1 − γ) · last change of V

    Args:
      mdp, r: world and reward [S, A].
      tau: temperature, above 0, in units of reward.
      v: where to start, [S]; at 0 where not given.
      tolerance: bound on max |V − V*| at which it stops, in units of reward; it stops as well where V moves by its
        rounding only.
      most: sweeps at most.
    Returns: Soft. Cost: log(tolerance)/log γ sweeps of S·A·K.
    Reference: standard; stopped on V and not on π, whose rounding noise grows as 1/τ.
    """
    bound, rounding = mdp.discount / (1 - mdp.discount), 4 * jnp.finfo(r.dtype).eps

    def unfinished(carry):
        v, error, count = carry
        return (error > jnp.maximum(tolerance, bound * rounding * jnp.max(jnp.abs(v)))) & (count < most)

    def body(carry):
        v, _, count = carry
        new = backup(mdp, r, tau, v)
        return new, bound * jnp.max(jnp.abs(new - v)), count + 1

    start = jnp.zeros(mdp.states, r.dtype) if v is None else v
    v, error, count = jax.lax.while_loop(unfinished, body, (start, jnp.asarray(jnp.inf, r.dtype), 0))
    return _solution(mdp, r, tau, v, error, count)


def policy_iteration(
    mdp: MDP,
    r: Float[Array, "S A"],
    tau: Number,
    *,
    v: Float[Array, " S"] | None = None,
    resolvent: Resolvent = dense,
    tolerance: float = 1e-11,
    most: int = 200,
) -> Soft:
    """Soft policy iteration (Newton on the soft Bellman equation), for up to a few thousand states.

    π ← exp((Q − V)/τ)        V ← (I − γ P_π)⁻¹ Σ_a π (r − τ log π)

    Args and returns as in `value_iteration`; stops as well where a step no longer helps, at rounding.
    Cost: one solve an iteration; about ten iterations.
    """
    gamma = mdp.discount

    def unfinished(carry):
        _, error, best, count = carry
        return (error > tolerance) & (count < most) & ((error < best) | (count < 20))

    def body(carry):
        v, error, best, count = carry
        log_pi = log_probabilities((r + gamma * expect(mdp, v)) / tau)
        pi = jnp.exp(log_pi)
        new = resolvent.values(mdp, pi, total(pi * (r - tau * log_pi)))
        residual = jnp.max(jnp.abs(backup(mdp, r, tau, new) - new))
        return new, residual / (1 - gamma), jnp.minimum(best, error), count + 1

    infinite = jnp.asarray(jnp.inf, r.dtype)
    start = backup(mdp, r, tau, jnp.zeros(mdp.states, r.dtype)) if v is None else v
    v, error, _, count = jax.lax.while_loop(unfinished, body, (start, infinite, infinite, 0))
    return _solution(mdp, r, tau, backup(mdp, r, tau, v), error, count)


def _solution(mdp, r, tau, v, error, count) -> Soft:
    q = r + mdp.discount * expect(mdp, v)
    return Soft(v, q, probabilities(q / tau), error, jnp.asarray(count))
