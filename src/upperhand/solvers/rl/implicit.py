"""The exact hypergradient through the soft Bellman equation, at a lower solution of chosen effort.

    effort times: π ← exp((Q − V)/τ),  V ← (I − γ P_π)⁻¹ Σ_a π ( r − τ log π )        from the last V
    (I − γ P_π)ᵀ z = Σ_a π ∂_π upper − γ Pᵀ( π ∂_π upper )
    dx = ∂ₓ upper + (1/τ) Σ π ( ∂_π upper − z ) ∂ₓr
    x  ← project( x − x_step dx )

Needs: kernel; first derivatives of upper in x and π, and of r in x; any upper objective.
Cost: an update is effort + 3 linear solves (S³ each, or sweeps in large worlds), one gradient, one adjoint product.
Reference: the form of the authors' code of SoBiRL, "Bilevel Reinforcement Learning via the Development of
Hyper-gradient without Lower-Level Convexity" (arXiv 2405.19697), with exact solves instead of its tracked ones;
objectives through the occupancy are derived. It is also the noise-free, full-model form of HPGD.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import bellman
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ = Q/τ, logits of the last lower solution
    v: Float[Array, " S"]  # its soft values
    step: optax.OptState  # of x
    count: Count  # updates done


def implicit(
    problem: BilevelRL,
    *,
    steps: int = 500,
    effort: int = 3,
    x_step: Step = (0.1, 0.002),
    temperature: Schedule = (2.0, 0.02),
) -> Solver:
    """Build the implicit method.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      effort: soft policy iterations for one step of x; 1 to 3 follow a slowly moving x.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is effort + 3 solves, one gradient, one second-order product.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    whole("effort", (effort,), 1)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        return State(x, y, jnp.zeros(mdp.states, y.dtype), descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, r = tau_at(state.count), reward_table(problem.reward, state.x, mdp.states, mdp.actions)
        soft = policy_iteration(mdp, r, tau, v=state.v, resolvent=resolvent, most=effort)
        value, dx = bellman(problem, state.x, soft.pi, tau, resolvent)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, soft.v.dtype), soft.v)
        new = State(x, soft.q / tau, soft.v, step_state, state.count + 1)
        return new, Info(value, lower, dx, cost(gradients=1, products=1), {"temperature": tau})

    return Solver(init, update)
