"""The penalty hypergradients: first order, biased by O(w) or O(w²), exact lower solutions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL, Return
from upperhand.mdps.mdp import MDP
from upperhand.policy_gradients.linear import Resolvent, dense, occupancy
from upperhand.policy_gradients.soft import Soft, policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.types import Scalar, Tree

Lower = Callable[[MDP, Float[Array, "S A"], float], Soft]
"""(mdp, r, tau) → the soft solution."""


def linear(problem: BilevelRL, method: str) -> Return:
    """The upper objective, if it is linear in the occupancy.

    Raises: ValueError where it is Tabular: π*_w is a soft solution only for a Return.
    """
    if not isinstance(problem.upper, Return):
        raise ValueError(
            f"{method} needs an upper objective linear in the occupancy, Return(reward, cost): "
            f"got {type(problem.upper).__name__}. Use bellman for this one."
        )
    return problem.upper


def tables(problem: BilevelRL, method: str) -> Callable[[Tree], tuple[Float[Array, "S A"], Float[Array, "S A"]]]:
    """The function x ↦ (r_x, u_x), both [S, A]."""
    upper, S, A = linear(problem, method), problem.mdp.states, problem.mdp.actions
    return lambda x: (reward_table(problem.reward, x, S, A), reward_table(upper.reward, x, S, A))


def from_occupancies(
    problem: BilevelRL,
    x: Tree,
    low: Float[Array, "S A"],
    high: Float[Array, "S A"],
    visited: Float[Array, "S A"],
    width: float | Scalar,
    pull: Callable,
) -> Tree:
    """The penalty hypergradient from occupancies.

    dx = ∂ₓcost − Σ visited ∂ₓu + Σ (low − high) ∂ₓr / width

    Args:
      low, high: [S, A] occupancies at the lesser and the greater weight of u in the agent's reward.
      visited: [S, A] the occupancy at which ∂ₓ upper is taken.
      width: distance of the two weights, [].
      pull: vector-Jacobian product of x ↦ (r, u).
    Returns: like x. Cost: one gradient of the cost, one vector-Jacobian product.
    """
    (through_tables,) = pull(((low - high) / width, -visited))
    return jax.tree.map(jnp.add, jax.grad(problem.upper.cost)(x), through_tables)


def penalty(
    problem: BilevelRL,
    x: Tree,
    tau: float | Scalar,
    w: float | Scalar,
    *,
    lower: Lower = policy_iteration,
    resolvent: Resolvent = dense,
) -> Tree:
    """The penalty hypergradient; its error is O(w) once w is well below τ, and not monotone before.

    ∇Φ_{w,τ}(x) = ∂ₓ upper(x, π*_w) + (1/w)( ∂ₓJ_τ(x, π*_τ) − ∂ₓJ_τ(x, π*_w) )
    π*_w: soft-optimal for the reward r + w u, since upper is linear in the occupancy

    Args:
      problem: a finite problem whose upper objective is a Return.
      x: the upper variable.
      tau, w: temperature (reward) and penalty weight; the penalty is multiplied by 1/w.
      lower, resolvent: how soft and linear problems are solved.
    Returns: like x. Raises: ValueError for a Tabular upper objective.
    Cost: two lower solutions, two solves, one vector-Jacobian product; no second derivative.
    Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
      2026 (reformulation from the abstract, formula derived).
    """
    (r, u), pull = jax.vjp(tables(problem, "penalty"), x)
    low, high = (occupancy(problem.mdp, lower(problem.mdp, r + v * u, tau).pi, resolvent) for v in (0.0, w))
    return from_occupancies(problem, x, low, high, high, w, pull)


def two_sided(
    problem: BilevelRL,
    x: Tree,
    tau: float | Scalar,
    w: float | Scalar,
    *,
    lower: Lower = policy_iteration,
    resolvent: Resolvent = dense,
) -> Tree:
    """The two-sided penalty hypergradient; its error is O(w²), at the price of `penalty`.

    dx = ∂ₓ upper + (1/(2w))( ∂ₓJ_τ(x, π_{−w}) − ∂ₓJ_τ(x, π_{+w}) )        π_{±w}: soft-optimal for r ± w u
    ∂ₓ upper is taken at the mean of both occupancies: dx is then the derivative of a central difference, for any u.

    Arguments, returns, errors and cost as `penalty`. Reference: derived.
    """
    (r, u), pull = jax.vjp(tables(problem, "two_sided"), x)
    low, high = (occupancy(problem.mdp, lower(problem.mdp, r + v * u, tau).pi, resolvent) for v in (-w, w))
    return from_occupancies(problem, x, low, high, (low + high) / 2, 2 * w, pull)
