"""The implicit hypergradient from episodes of the soft-optimal policy, by every-visit averages."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.actions import total
from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import tables
from upperhand.mdps.sampling import Law
from upperhand.policy_gradients.episodes import Episodes, backward, episodes, forward, visited, visits
from upperhand.types import Key, Scalar, Tree


def trajectories(
    problem: BilevelRL,
    world: Law,
    key: Key,
    x: Tree,
    pi: Float[Array, "S A"],
    tau: float | Scalar,
    batch: tuple[int, int],
) -> tuple[Scalar, Tree, Scalar]:
    """Upper loss and hypergradient, both estimated from B episodes.

    dx = ∂ₓcost − (1/B) Σ γᵗ ∂ₓu(sₜ, aₜ) − (1/(τB)) Σ γᵗ A_u(sₜ, aₜ) ∂A(sₜ, aₜ)        over all steps that were run
    A_u(s, a): mean return of u over the visits of (s, a), less that over the visits of s
    ∂A(s, a):  the same of the return of ∂ₓr, which is never formed; see `through_policy`

    Args:
      problem: finite; its upper objective a Return.
      world: its world, prepared by `sampling.law`.
      key: used once.
      x: the upper variable.
      pi: [S, A], π*_τ(x).
      tau: temperature, in units of reward.
      batch: B, episodes, and T, the steps after which each is cut.
    Returns: [], like x, and the transitions that were made. Its bias falls as 1/B (averages of one set of visits are
      multiplied) to that of the cut, none where all episodes end before it. Divided by a small τ it can be many times
      the hypergradient itself.
    Raises: ValueError for a Tabular upper objective.
    Cost: at most B·T transitions, one gradient of the cost, one vector-Jacobian product of x ↦ (r, u).
    Reference: HPGD, "Contextual Bilevel Reinforcement Learning for Incentive Alignment", NeurIPS 2024 (from the
      authors' code); the form without tables of width dx is derived, and equal to theirs.
    """
    gamma = problem.mdp.discount
    (_, u), pull = jax.vjp(tables(problem, "trajectories"), x)
    seen = episodes(world, key, pi, *batch)
    mu = visited(seen, gamma, *u.shape)
    (through_tables,) = pull((-through_policy(seen, u, mu, gamma) / tau, -mu))
    dx = jax.tree.map(jnp.add, jax.grad(problem.upper.cost)(x), through_tables)
    return problem.upper.cost(x) - jnp.sum(mu * u), dx, jnp.sum(seen.is_running)


def through_policy(
    seen: Episodes, u: Float[Array, "S A"], mu: Float[Array, "S A"], gamma: float
) -> Float[Array, "S A"]:
    """How much each reward r(s, a) moves the return of u through the policy, times τ.

    With D_t = Σ_{k ≥ t} γ^(k−t) ∂ₓr(s_k, a_k), W = μ A_u and n the visits,
      Σ_{s,a} W(s, a) ( mean of D over visits of (s, a) − mean over those of s ) = Σ_t c_t D_t = Σ_t e_t ∂ₓr(s_t, a_t)
      c_t = W(s_t, a_t)/n(s_t, a_t) − Σ_a W(s_t, a)/n(s_t)        e_t = γ e_{t−1} + c_t

    Args:
      seen: episodes.
      u: [S, A] upper reward.
      mu: [S, A] their empirical occupancy.
      gamma: γ, per step.
    Returns: [S, A], the sums of e at each (s, a). Cost: three scatters and two scans of T·B.
    """
    S, A = u.shape
    returns = backward(u[seen.state, seen.action] * seen.is_running, gamma)
    n, sums = visits(seen, jnp.ones_like(returns), S, A), visits(seen, returns, S, A)
    n_pair, n_state = jnp.maximum(n, 1), jnp.maximum(total(n), 1)[:, None]
    weight = mu * (sums / n_pair - total(sums)[:, None] / n_state)
    c = weight / n_pair - total(weight)[:, None] / n_state
    return visits(seen, forward(c[seen.state, seen.action], gamma), S, A)
