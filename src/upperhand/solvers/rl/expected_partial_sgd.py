"""Partial SGD in expectation: the policy follows x, and x descends upper as if the policy did not.

    V ← Σ_a π ( Q − τ log π ),  Q = r + γ P V;   θ ← (1 − policy_step) θ + policy_step Q/τ
    x ← project( x − x_step ∂ₓ upper(x, π) )        the derivative through π*(x) is dropped

Needs: kernel; first derivatives of upper in x. It cannot move where upper has no x of its own.
Cost: an update is two sweeps of S·A·K, two linear solves for the occupancy of π, one gradient of upper.
Reference: the partial-SGD baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for
Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). Its limit solves ∂ₓ upper(x, π*(x)) = 0, which
is no stationary point of Φ.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import probabilities
from upperhand.forms import BilevelRL
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.sweeping import Swept, begin, sweep
from upperhand.rewards.table import reward_table
from upperhand.schedule import fraction, schedule, step
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x)
    v: Float[Array, " S"]  # soft values of π
    d: Float[Array, " S"]  # discounted visits of π
    step: optax.OptState  # of x
    count: Count  # updates done


def expected_partial_sgd(
    problem: BilevelRL,
    *,
    steps: int = 2000,
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    temperature: Schedule = (2.0, 0.05),
) -> Solver:
    """Build expected partial SGD.

    Args:
      problem: finite, with a softmax table as policy; any upper objective.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a setting out of its range.
    Cost: an update is 2 sweeps of S·A·K, 2 solves, one gradient.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    fraction("policy_step", policy_step)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        swept = begin(mdp, y, tau_at(jnp.asarray(0)))
        return State(x, *swept, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau = tau_at(state.count)
        r = reward_table(problem.reward, state.x, mdp.states, mdp.actions)
        found = upper_derivatives(problem, state.x, probabilities(state.y), resolvent)
        now, _ = sweep(mdp, Swept(state.y, state.v, state.d), r, tau, policy_step)
        move, step_state = descent.update(found.dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, now.v.dtype), now.v)
        new = State(x, *now, step_state, state.count + 1)
        return new, Info(found.loss, lower, found.dx, cost(gradients=1), {"temperature": tau})

    return Solver(init, update)
