"""The exact hypergradient through the soft Bellman equation, at a lower solution of chosen effort.

    effort times each, from what the last update found:
      V ← τ log Σ_a exp((r + γ P V)/τ);   π = exp((Q − V)/τ)
      d ← start + γ Pᵀ(d π),   V_c ← Σ_a π ( ∂_μ upper + γ P V_c )                 what upper and ∂_π upper need
      z ← Σ_a π ∂_π upper − γ Pᵀ( π ∂_π upper ) + γ Pᵀ(z π)                       adjoint
    dx = ∂ₓ upper + (1/τ) Σ π ( ∂_π upper − z ) ∂ₓr
    x  ← project( x − x_step dx )

Needs: kernel; first derivatives of upper in x and π, and of r in x; any upper objective.
Cost: an update is 4·effort sweeps of S·A·K, one gradient, one adjoint product.
Reference: the form of the authors' code of SoBiRL, "Bilevel Reinforcement Learning via the Development of
Hyper-gradient without Lower-Level Convexity" (arXiv 2405.19697), with warm-started sweeps; objectives through the
occupancy are derived. It is also the noise-free, full-model form of HPGD.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import probabilities
from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import adjoint_load, through_adjoint, upper_derivatives
from upperhand.mdps.mdp import expect
from upperhand.policy_gradients.linear import warm
from upperhand.policy_gradients.soft import backup
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs; tables are of the x before."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ = Q/τ, logits of the lower solution
    v: Float[Array, " S"]  # its soft values
    visits: Float[Array, " S"]  # its discounted visits
    v_c: Float[Array, " S"]  # its values of ∂_μ upper
    z: Float[Array, " S"]  # adjoint
    step: optax.OptState  # of x
    count: Count  # updates done


def implicit(
    problem: BilevelRL,
    *,
    steps: int = 500,
    effort: int = 100,
    x_step: Step = (0.1, 0.002),
    temperature: Schedule = (2.0, 0.02),
) -> Solver:
    """Build the implicit method.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      effort: sweeps of each of the four equations for one step of x; what the last update left unsolved shrinks by
        γ^effort, so a few hundred are exact where x moves slowly.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is 4·effort sweeps of S·A·K, one gradient, one second-order product.
    """
    mdp = problem.mdp
    whole("effort", (effort,), 1)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        zero = jnp.zeros(mdp.states, y.dtype)
        return State(x, y, zero, zero, zero, zero, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, r = tau_at(state.count), reward_table(problem.reward, state.x, mdp.states, mdp.actions)
        v = jax.lax.fori_loop(0, effort, lambda _, v: backup(mdp, r, tau, v), state.v)
        theta = (r + mdp.discount * expect(mdp, v)) / tau
        pi = probabilities(theta)
        upper = upper_derivatives(problem, state.x, pi, warm(effort, v=state.v_c, d=state.visits))
        z = warm(effort, d=state.z).visits(mdp, pi, adjoint_load(mdp, pi, upper.dpi))
        dx = through_adjoint(problem, state.x, pi, tau, upper, z)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, v.dtype), v)
        new = State(x, theta, v, upper.visits, upper.v, z, step_state, state.count + 1)
        return new, Info(upper.loss, lower, dx, cost(gradients=1, products=1), {"temperature": tau})

    return Solver(init, update)
