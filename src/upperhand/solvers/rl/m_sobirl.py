"""M-SoBiRL: model-based soft bilevel RL, one gradient step on the adjoint equation and some soft sweeps an update.

    M = (I − γ P_π)ᵀ,  b = Σ_a π ∂_π upper − γ Pᵀ( π ∂_π upper )
    z ← z − z_step ( Mᵀ M z − Mᵀ b )
    x ← project( x − x_step [ ∂ₓ upper + (1/τ) Σ π ( ∂_π upper − z ) ∂ₓr ] )
    sweeps times: V ← τ log Σ_a exp((r + γ P V)/τ);   π = exp((Q − V)/τ)

Needs: kernel; first derivatives of upper in x and π, and of r in x; any upper objective.
Cost: an update is sweeps · S·A·K, two products with I − γ P_π, one gradient, one adjoint product; an upper objective
through the occupancy takes two linear solves besides.
Reference: "Bilevel Reinforcement Learning via the Development of Hyper-gradient without Lower-Level Convexity" (arXiv
2405.19697, AISTATS 2025), updates and steps from the authors' code. We differ: z starts at 0, sweeps remove the largest
entry before they exponentiate, one vector-Jacobian product of the table for the loop over states.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities, total
from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import adjoint_load, through_adjoint, upper_derivatives
from upperhand.mdps.mdp import expect, push
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.soft import backup
from upperhand.rewards.table import reward_table
from upperhand.schedule import descent, positive, schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ = Q/τ, logits of π
    v: Float[Array, " S"]  # soft values after the last sweep
    z: Float[Array, " S"]  # tracked adjoint
    step: optax.OptState  # of x
    count: Count  # updates done


def m_sobirl(
    problem: BilevelRL,
    *,
    steps: int = 3000,
    x_step: Step = 8e-3,
    z_step: float = 0.5,
    sweeps: int = 10,
    temperature: Schedule = 1.0,
) -> Solver:
    """Build M-SoBiRL.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      z_step: of the adjoint, below 2/λ_max(Mᵀ M), where λ_max ≤ (1 + γ)² if P_π mixes evenly.
      sweeps: soft value iterations an update, so many that γ^sweeps is small.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is `sweeps` sweeps, one gradient, one second-order product.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    positive("z_step", z_step), whole("sweeps", (sweeps,), 1)
    transform, tau_at = descent("x_step", x_step, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        v = jnp.zeros(mdp.states, y.dtype)
        return State(x, y, v, v, transform.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, log_pi = tau_at(state.count), log_probabilities(state.y)
        pi = jnp.exp(log_pi)
        upper = upper_derivatives(problem, state.x, pi, resolvent)
        residual = state.z - mdp.discount * push(mdp, state.z[:, None] * pi) - adjoint_load(mdp, pi, upper.dpi)
        z = state.z - z_step * (residual - mdp.discount * total(pi * expect(mdp, residual)))
        dx = through_adjoint(problem, state.x, pi, tau, upper, z)
        move, step_state = transform.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        r = reward_table(problem.reward, x, mdp.states, mdp.actions)
        v = jax.lax.fori_loop(0, sweeps, lambda _, v: backup(mdp, r, tau, v), state.v, unroll=min(sweeps, 10))
        theta = (r + mdp.discount * expect(mdp, v)) / tau
        lower = -jnp.dot(jnp.asarray(mdp.start, v.dtype), v)
        new = State(x, theta, v, z, step_state, state.count + 1)
        return new, Info(upper.loss, lower, dx, cost(gradients=1, products=1), {"temperature": tau})

    return Solver(init, update)
