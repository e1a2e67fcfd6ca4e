"""Partial SGD, sampled: the policy follows x, and x descends upper as if the policy did not.

    roll out π in B chains, T steps;  Q ← its mean of targets;  θ ← (1 − policy_step) θ + policy_step Q/τ
    dx = ∂ₓcost − c E ∂ₓu        c = Σ occupancy; the derivative through π*(x) is dropped
    x  ← project( x − x_step dx )

Needs: samples; a softmax table; first derivatives of u and cost in x. It cannot move where upper has no x of its own.
Cost: an update is B·T transitions and one gradient of the upper table: half of the actor-critic.
Reference: the partial-SGD baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for
Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). Its limit solves ∂ₓ upper(x, π*(x)) = 0, which
is no stationary point of Φ.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.policy_gradients.critic import Gains
from upperhand.policy_gradients.tracking import Tracked, begin, track, tracking
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, step
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x)
    tracked: Tracked  # critic and chains of π
    step: optax.OptState  # of x
    count: Count  # updates done


def partial_sgd(
    problem: BilevelRL,
    *,
    steps: int = 1600,
    batch: tuple[int, int] = (32, 4),
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    critic_step: float = 0.1,
    temperature: Schedule = (4.0, 0.05),
) -> Solver:
    """Build sampled partial SGD.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: chains, and the steps that each makes in an update.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      critic_step: of a single sample, in (0, 1].
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is chains · steps transitions and one gradient.
    """
    upper, gamma, size = linear(problem, "partial_sgd"), problem.mdp.discount, (problem.mdp.states, problem.mdp.actions)
    how = tracking(problem.mdp, batch, policy_step, critic_step)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)
    none = jnp.zeros((*size, 0))

    def init(x, y):
        tracked = begin(how, reward_table(problem.reward, x, *size)[None])
        return State(x, y, tracked, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, r = tau_at(state.count), reward_table(problem.reward, state.x, *size)
        u, pull = jax.vjp(lambda x: reward_table(upper.reward, x, *size), state.x)
        gains = Gains(r[None], none.astype(r.dtype), tau, gamma)
        (theta,), tracked, met = track(how, key, state.y[None], state.tracked, gains)
        (through_u,) = pull(-met.mu[0])
        dx = jax.tree.map(jnp.add, jax.grad(upper.cost)(state.x), through_u)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, theta, tracked, step_state, state.count + 1)
        loss = upper.cost(state.x) - jnp.sum(met.mu[0] * u)
        lower = -jnp.sum(met.mu[0] * (r - tau * met.log_pi[0]))
        return new, Info(loss, lower, dx, cost(how.chains * how.length, 1), {"temperature": tau})

    return Solver(init, update)
