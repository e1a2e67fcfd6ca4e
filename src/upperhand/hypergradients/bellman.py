"""The implicit hypergradient through the soft Bellman equation: the oracle of finite worlds."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL, Return
from upperhand.mdps.mdp import MDP, expect, push
from upperhand.policy_gradients.linear import Resolvent, dense
from upperhand.rewards.table import reward_table
from upperhand.types import Scalar, Tree


class Upper(NamedTuple):
    """The upper loss of a policy table, and its derivatives."""

    loss: Scalar  # upper(x, π)
    dx: Tree  # ∂ₓ upper at fixed π, like x
    dpi: Float[Array, "S A"]  # ∂_π upper, through the occupancy too
    visits: Float[Array, " S"]  # discounted visits of π
    v: Float[Array, " S"]  # values of ∂_μ loss under π


def upper_derivatives(problem: BilevelRL, x: Tree, pi: Float[Array, "S A"], resolvent: Resolvent = dense) -> Upper:
    """The upper loss and both partial derivatives, exactly.

    ∂_π upper(s, a) = ∂_π loss(s, a) + d(s) Q_c(s, a)        c = ∂_μ loss, Q_c its action value under π

    Args:
      problem: a finite problem; its upper objective a Return or Tabular.
      x: the upper variable.
      pi: [S, A] policy table.
      resolvent: how linear systems are solved.
    Returns: Upper. Cost: two solves.
    Reference: derived (policy gradient theorem).
    """
    mdp, S, A = problem.mdp, problem.mdp.states, problem.mdp.actions
    if isinstance(problem.upper, Return):
        u = problem.upper
        loss = lambda x, pi, mu: u.cost(x) - jnp.sum(mu * reward_table(u.reward, x, S, A))  # noqa: E731
    else:
        loss = problem.upper.loss
    visits = resolvent.visits(mdp, pi, jnp.asarray(mdp.start, pi.dtype))
    mu = visits[:, None] * pi
    value, (dx, direct, c) = jax.value_and_grad(loss, argnums=(0, 1, 2))(x, pi, mu)
    v = resolvent.values(mdp, pi, jnp.sum(pi * c, -1))
    return Upper(value, dx, direct + visits[:, None] * (c + mdp.discount * expect(mdp, v)), visits, v)


def bellman(
    problem: BilevelRL, x: Tree, pi: Float[Array, "S A"], tau: float | Scalar, resolvent: Resolvent = dense
) -> tuple[Scalar, Tree]:
    """Value and hypergradient at the soft-optimal policy.

    b = Σ_a π ∂_π upper − γ Pᵀ(π ∂_π upper)        (I − γ P_π)ᵀ z = b
    ∇Φ = ∂ₓ upper + (1/τ) Σ_{s,a} π(a|s) ( ∂_π upper(s, a) − z(s) ) ∂ₓr(s, a)

    Args:
      problem: a finite problem.
      x: the upper variable.
      pi: [S, A], π*_τ(x).
      tau: temperature, in units of reward.
      resolvent: how linear systems are solved.
    Returns: Φ_τ(x) [], ∇Φ_τ(x) like x.
    Cost: three solves, one vector-Jacobian product of x ↦ r; ∂r is never formed.
    Reference: SoBiRL, "Bilevel Reinforcement Learning via the Development of Hyper-gradient without Lower-Level
      Convexity", AISTATS 2025 (the form of the authors' code); upper objectives through the occupancy are derived.
    """
    upper = upper_derivatives(problem, x, pi, resolvent)
    z = resolvent.visits(problem.mdp, pi, adjoint_load(problem.mdp, pi, upper.dpi))
    return upper.loss, through_adjoint(problem, x, pi, tau, upper, z)


def adjoint_load(mdp: MDP, pi: Float[Array, "S A"], dpi: Float[Array, "S A"]) -> Float[Array, " S"]:
    """The right side b = Σ_a π ∂_π upper − γ Pᵀ(π ∂_π upper) of the adjoint equation. Returns: [S]. Cost: S·A·K."""
    weight = pi * dpi
    return jnp.sum(weight, -1) - mdp.discount * push(mdp, weight)


def through_adjoint(
    problem: BilevelRL, x: Tree, pi: Float[Array, "S A"], tau: float | Scalar, upper: Upper, z: Float[Array, " S"]
) -> Tree:
    """The hypergradient from an adjoint z, exact or tracked.

    ∂ₓ upper + (1/τ) Σ_{s,a} π(a|s) ( ∂_π upper(s, a) − z(s) ) ∂ₓr(s, a)

    Returns: like x. Cost: one vector-Jacobian product of x ↦ r.
    """
    _, pull = jax.vjp(lambda x: reward_table(problem.reward, x, problem.mdp.states, problem.mdp.actions), x)
    (through_reward,) = pull(pi * (upper.dpi - z[:, None]) / tau)
    return jax.tree.map(jnp.add, upper.dx, through_reward)
