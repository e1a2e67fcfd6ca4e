"""Central differences in expectation: 2·dim(x) lower problems, solved again from where they were.

    for each coordinate i, at x ± h e_i: effort soft policy iterations from the last V there;  π± = exp((Q − V)/τ)
    dx_i = ( upper(x + h e_i, π+) − upper(x − h e_i, π−) ) / (2h)
    x    ← project( x − x_step dx )

Needs: kernel; no derivative at all; any upper objective. Points x ± h e_i may lie outside the allowed x.
Cost: an update is 2·dim(x)·(effort + 2) linear solves; the 2·dim(x) evaluations of Φ are counted as gradients.
Reference: the finite-difference baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm
for Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). Its bias is O(h²).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.difference import central, neighbours
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # mean of the logits of all points
    v: Float[Array, "2 dx S"]  # soft values at x + h e_i and x − h e_i
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_finite_difference(
    problem: BilevelRL,
    *,
    steps: int = 500,
    effort: int = 3,
    radius: Schedule = (0.5, 0.01),
    x_step: Step = (0.1, 0.002),
    temperature: Schedule = (2.0, 0.02),
) -> Solver:
    """Build expected finite differences.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      effort: soft policy iterations for each point in one update.
      radius: h, in units of x.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is 2·dim(x) lower solutions and evaluations of upper.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    whole("effort", (effort,), 1)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)
    radius_at = schedule("radius", radius, steps)

    def init(x, y):
        v = jnp.zeros((2, ravel_pytree(x)[0].size, mdp.states), y.dtype)
        return State(x, y, v, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, h = tau_at(state.count), radius_at(state.count)
        flat, unravel = ravel_pytree(state.x)

        def evaluate(point, v):
            x = unravel(point)
            r = reward_table(problem.reward, x, mdp.states, mdp.actions)
            soft = policy_iteration(mdp, r, tau, v=v, resolvent=resolvent, most=effort)
            return upper_derivatives(problem, x, soft.pi, resolvent).loss, soft.v, soft.q / tau

        value, v, theta = jax.vmap(jax.vmap(evaluate))(neighbours(flat, h), state.v)
        dx = unravel(central(value, h))
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, v.dtype), jnp.mean(v, (0, 1)))
        new = State(x, jnp.mean(theta, (0, 1)), v, step_state, state.count + 1)
        told = {"temperature": tau, "radius": h}
        return new, Info(jnp.mean(value), lower, dx, cost(gradients=2 * flat.size), told)

    return Solver(init, update)
