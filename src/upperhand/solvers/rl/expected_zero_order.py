"""Zero-order in expectation: a central difference of Φ along one random direction, exact evaluations.

    Z ~ N(0, I);  at x ± h Z: `effort` soft policy iterations from the last V there;  π± = exp((Q± − V±)/τ)
    dx  = ( upper(x + h Z, π+) − upper(x − h Z, π−) ) Z / (2h)
    x   ← project( x − x_step clip(dx, 1) );  h attenuates

Needs: kernel; no derivative at all; any upper objective. Points x ± h Z may lie outside the allowed x.
Cost: an update is 2·(effort + 3) linear solves; the two evaluations of Φ are counted as gradients.
Reference: the zero-order baseline of HPGD, "Contextual Bilevel Reinforcement Learning for Incentive Alignment", NeurIPS
2024, arXiv 2406.01575 (from the authors' code). We differ: central differences, theirs are forward; exact evaluations;
h between two ends, theirs falls as C/k, C tuned: Power(C, -1.0). Unbiased up to O(h²); the variance grows as dim(x).
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.clipping import clipped
from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.directions import along_direction
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # mean of the logits Q/τ at both points
    v: Float[Array, "2 S"]  # soft values at x + h Z and x − h Z
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_zero_order(
    problem: BilevelRL,
    *,
    steps: int = 1000,
    effort: int = 3,
    radius: Schedule = (0.1, 0.01),
    x_step: Step = (0.5, 0.02),
    temperature: Schedule = (2.0, 0.02),
) -> Solver:
    """Build the zero-order method in expectation.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      effort: soft policy iterations for each point in one update; the points jump by h Z, so 1 may be too few.
      radius: h, in units of x; to be tuned with x_step.
      x_step: step size of descent along the hypergradient clipped to norm 1, two ends of it, or an optax
        transformation, which is used as it is.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is two lower solutions and evaluations of upper, told as 2 gradients, so that methods can be
      compared by how often they ask for either.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    whole("effort", (effort,), 1)
    descent, tau_at = clipped("x_step", x_step, steps), schedule("temperature", temperature, steps)
    radius_at = schedule("radius", radius, steps)

    def init(x, y):
        return State(x, y, jnp.zeros((2, mdp.states), y.dtype), descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, h = tau_at(state.count), radius_at(state.count)

        def evaluate(x, v):
            r = reward_table(problem.reward, x, mdp.states, mdp.actions)
            soft = policy_iteration(mdp, r, tau, v=v, resolvent=resolvent, most=effort)
            return upper_derivatives(problem, x, soft.pi, resolvent).loss, soft

        value, dx, soft = along_direction(evaluate, key, state.x, h, state.v)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, soft.v.dtype), jnp.mean(soft.v, 0))
        new = State(x, jnp.mean(soft.q, 0) / tau, soft.v, step_state, state.count + 1)
        return new, Info(value, lower, dx, cost(gradients=2), {"temperature": tau, "radius": h})

    return Solver(init, update)
