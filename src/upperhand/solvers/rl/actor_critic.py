"""The regularised actor-critic, sampled: one loop, first order, value penalty, attenuating temperature.

    roll out π_w = softmax θ_w in B chains, T steps;  π = softmax θ
    Q   ← Q + β_n ( r + γ mean V(s') − Q ),  V = Σ_a π ( Q − τ log(A π) )       Q_w likewise, with the reward r + w u
    Q_x ← Q_x + β_n ( ∂ₓr + γ mean V_x(s') − Q_x ),  V_x = Σ_a π Q_x            β_n = 1 − (1 − critic_step)ⁿ, n visits
    θ   ← (1 − policy_step) θ + policy_step Q/τ                                 θ_w likewise
    dx  = ∂ₓcost − c E ∂ₓu − (c/w) E_{s ~ π_w} Σ_a ( π_w − π )(a|s) Q_x(s, a)   c = Σ occupancy
    x   ← project( x − x_step dx );  w, τ attenuate

Needs: samples; a softmax table; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is B·T transitions a stream, one gradient of the tables; memory S·A·dx for Q_x.
Reference: Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level Reinforcement Learning",
2026; our reconstruction. We differ (derived, measured in benchmarks/estimators.py): action-value critics with expected
targets, one stream through the performance difference, mirror steps, Adam, geometric schedules, centred entropy,
optimistic critics.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.streams import Estimator, one_stream, through_streams
from upperhand.policy_gradients.critic import Gains
from upperhand.policy_gradients.tracking import Tracked, begin, track, tracking
from upperhand.rewards.table import reward_gradients, reward_table
from upperhand.schedule import schedule, step
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x), or π*_{−w} for the two-sided penalty
    theta_w: Float[Array, "S A"]  # logits that track π*_{w,τ}(x), optimal for r + w u
    tracked: Tracked  # critics and chains of π and π_w
    step: optax.OptState  # of x
    count: Count  # updates done


def actor_critic(
    problem: BilevelRL,
    *,
    steps: int = 1600,
    batch: tuple[int, int] = (32, 4),
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    critic_step: float = 0.1,
    penalty: Schedule = (8.0, 0.5),
    temperature: Schedule = (4.0, 0.05),
    estimator: Estimator = one_stream,
) -> Solver:
    """Build the sampled actor-critic.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: chains of each stream, and the steps that each makes in an update.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      critic_step: of a single sample, in (0, 1].
      penalty: the penalty weight w, in units of reward of the agent for one of the designer; the penalty is 1/w.
      temperature: τ, in units of the agent's reward; start well above the reward, end well below it.
      estimator: one of hypergradients/streams.py.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is streams · chains · steps transitions and one gradient.
    """
    upper, gamma, size = (
        linear(problem, "actor_critic"),
        problem.mdp.discount,
        (problem.mdp.states, problem.mdp.actions),
    )
    how = tracking(problem.mdp, batch, policy_step, critic_step, streams=estimator.streams, shared=estimator.shared)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        r = reward_table(problem.reward, x, *size)
        tracked = begin(how, jnp.stack([r, r]), ravel_pytree(x)[0].size)
        return State(x, y, y, tracked, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        r, gradients = reward_gradients(problem.reward, state.x, *size)
        if estimator.low:  # the reward that π_low is optimal for knows x through u too
            gradients += estimator.low * w * reward_gradients(upper.reward, state.x, *size)[1]
        u, pull = jax.vjp(lambda x: reward_table(upper.reward, x, *size), state.x)
        gains = Gains(jnp.stack([r + estimator.low * w * u, r + w * u]), gradients, tau, gamma)
        thetas, tracked, met = track(how, key, jnp.stack([state.y, state.theta_w]), state.tracked, gains)
        dx = through_streams(problem, state.x, estimator, w, met, gradients, tracked.critics.q_x, pull)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, *thetas, tracked, step_state, state.count + 1)
        loss = upper.cost(state.x) - jnp.sum(met.mu[-1] * u)
        lower = -jnp.sum(met.mu[0] * (r - tau * met.log_pi[-estimator.streams]))
        spent = cost(samples=estimator.streams * how.chains * how.length, gradients=1)
        return new, Info(loss, lower, dx, spent, {"temperature": tau, "penalty": w})

    return Solver(init, update)
