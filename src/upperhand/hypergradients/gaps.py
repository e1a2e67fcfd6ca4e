"""The two penalties of PBRL on a policy that is not soft-optimal, with their derivatives in x and in π."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.actions import total
from upperhand.mdps.mdp import MDP, push
from upperhand.policy_gradients.linear import Resolvent, dense, evaluate, occupancy
from upperhand.policy_gradients.soft import Soft
from upperhand.types import Scalar


class Measured(NamedTuple):
    """A penalty p(x, π) at one point."""

    value: Scalar  # p ≥ 0
    through_reward: Float[Array, "S A"]  # ∂_r p: its pull by the vector-Jacobian product of x ↦ r is ∂ₓp
    dpi: Float[Array, "S A"]  # ∂_π p, up to a shift in each state
    weight: Float[Array, " S"]  # how much each state counts


class Gap(NamedTuple):
    """A penalty, as an argument of `pbrl`."""

    measure: Callable[..., Measured]  # (mdp, r, best, pi, log_pi, tau, resolvent) → Measured


def value_measure(
    mdp: MDP,
    r: Float[Array, "S A"],
    best: Soft,
    pi: Float[Array, "S A"],
    log_pi: Float[Array, "S A"],
    tau: float | Scalar,
    resolvent: Resolvent = dense,
) -> Measured:
    """p = J_τ(x, π*) − J_τ(x, π) = τ Σ_s d_π(s) KL(π ‖ π*)

    ∂_r p = μ_{π*} − μ_π        ∂_π p = −d_π(s) ( Q_π − τ log π )

    Args:
      mdp, r: world and reward.
      best: its soft solution, or what stands for it.
      pi, log_pi: the policy.
      tau: temperature, in units of reward.
      resolvent: how linear systems are solved.
    Returns: Measured. Cost: three solves. Reference: PBRL, "Principled Penalty-based Methods for Bilevel Reinforcement
      Learning and RLHF" (arXiv 2402.06886); formula recalled, closed forms derived.
    """
    visits = resolvent.visits(mdp, pi, jnp.asarray(mdp.start, pi.dtype))
    v, q = evaluate(mdp, pi, r - tau * log_pi, resolvent)
    value = jnp.dot(jnp.asarray(mdp.start, pi.dtype), best.v - v)
    through = occupancy(mdp, best.pi, resolvent) - visits[:, None] * pi
    return Measured(value, through, -visits[:, None] * q, visits)  # q of r − τ log π holds −τ log π already


def bellman_measure(
    mdp: MDP,
    r: Float[Array, "S A"],
    best: Soft,
    pi: Float[Array, "S A"],
    log_pi: Float[Array, "S A"],
    tau: float | Scalar,
    resolvent: Resolvent = dense,
) -> Measured:
    """p = τ Σ_s start(s) KL(π ‖ π*), the gap of the soft Bellman optimality at the start law

    ∂_π p = start(s) ( −Q* + τ log π )        ∂_r p = m + z π*,  m = start (π* − π),  z = (I − γ P_π*)⁻ᵀ γ Pᵀ m

    Arguments and returns as `value_measure`; states that the start law leaves out are free. Cost: one solve.
    Reference: as there; formula recalled, adjoint form derived.
    """
    start = jnp.asarray(mdp.start, pi.dtype)
    slope = tau * log_pi - best.q
    value = jnp.dot(start, total(pi * slope) + best.v)
    mass = start[:, None] * (best.pi - pi)
    z = resolvent.visits(mdp, best.pi, mdp.discount * push(mdp, mass))
    return Measured(value, mass + z[:, None] * best.pi, start[:, None] * slope, start)


value_gap = Gap(value_measure)
"""What π loses of the agent's own return; states count as π visits them."""
bellman_gap = Gap(bellman_measure)
"""What π loses in one step under the optimal action values; states count as the start law has them."""
