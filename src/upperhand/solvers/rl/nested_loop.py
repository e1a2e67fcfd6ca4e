"""The nested loop, sampled: some updates of both policies at a held x, then one step of x from fresh samples.

    loops times, at fixed x, τ, w: roll out π_w;  Q, Q_w, Q_x ← their means of targets;  θ, θ_w ← towards Q/τ, Q_w/τ
    once more, and with what that met
    dx = ∂ₓcost − c E ∂ₓu − (c/w) E_{s ~ π_w} Σ_a ( π_w − π )(a|s) Q_x(s, a)        c = Σ occupancy
    x  ← project( x − x_step dx )

Needs: samples; a softmax table; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is (loops + 1)·B·T transitions and one gradient of the tables; memory S·A·dx for Q_x.
Reference: the nested-loop baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for
Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). It shares critics and estimator with
actor_critic, so that the two differ in their loops alone.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.streams import one_stream, through_streams
from upperhand.policy_gradients.critic import Gains
from upperhand.policy_gradients.tracking import Tracked, begin, track, tracking
from upperhand.rewards.table import reward_gradients, reward_table
from upperhand.schedule import schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x)
    theta_w: Float[Array, "S A"]  # logits that track π*_{w,τ}(x), optimal for r + w u
    tracked: Tracked  # critics and chains of π and π_w
    step: optax.OptState  # of x
    count: Count  # updates done


def nested_loop(
    problem: BilevelRL,
    *,
    steps: int = 160,
    loops: int = 9,
    batch: tuple[int, int] = (32, 4),
    x_step: Step = (0.5, 0.02),
    policy_step: float = 0.2,
    critic_step: float = 0.1,
    penalty: Schedule = (8.0, 0.5),
    temperature: Schedule = (4.0, 0.05),
) -> Solver:
    """Build the sampled nested loop.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates of x, over which two ends of a schedule are joined.
      loops: updates of the policies before each step of x; to be tuned.
      batch: chains, and the steps that each makes in one update of the policies.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      critic_step: of a single sample, in (0, 1].
      penalty: the penalty weight w; the penalty is 1/w.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is (loops + 1) · chains · steps transitions and one gradient.
    """
    upper, gamma, size = linear(problem, "nested_loop"), problem.mdp.discount, (problem.mdp.states, problem.mdp.actions)
    how = tracking(problem.mdp, batch, policy_step, critic_step)
    whole("loops", (loops,), 1)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        r = reward_table(problem.reward, x, *size)
        tracked = begin(how, jnp.stack([r, r]), ravel_pytree(x)[0].size)
        return State(x, y, y, tracked, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        r, gradients = reward_gradients(problem.reward, state.x, *size)
        u, pull = jax.vjp(lambda x: reward_table(upper.reward, x, *size), state.x)
        gains = Gains(jnp.stack([r, r + w * u]), gradients, tau, gamma)
        lower = lambda i, carry: track(how, jax.random.fold_in(key, i), *carry, gains)[:2]  # noqa: E731
        held = (jnp.stack([state.y, state.theta_w]), state.tracked)
        held = jax.lax.fori_loop(0, loops, lower, held)
        thetas, tracked, met = track(how, jax.random.fold_in(key, loops), *held, gains)
        dx = through_streams(problem, state.x, one_stream, w, met, gradients, tracked.critics.q_x, pull)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, *thetas, tracked, step_state, state.count + 1)
        loss = upper.cost(state.x) - jnp.sum(met.mu[-1] * u)
        lower_loss = -jnp.sum(met.mu[-1] * (r - tau * met.log_pi[-1]))
        spent = cost(samples=(loops + 1) * how.chains * how.length, gradients=1)
        return new, Info(loss, lower_loss, dx, spent, {"temperature": tau, "penalty": w})

    return Solver(init, update)
