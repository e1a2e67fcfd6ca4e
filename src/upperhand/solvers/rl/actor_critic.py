"""The regularised actor-critic, sampled: one loop, first order, value penalty, attenuating temperature.

    roll out π_w = softmax θ_w in B chains, T steps;  π = softmax θ
    Q   ← Q + β_n ( r + γ mean V(s') − Q ),  V = Σ_a π ( Q − τ log(A π) )       Q_w likewise, with the reward r + w u
    Q_x ← Q_x + β_n ( ∂ₓr + γ mean V_x(s') − Q_x ),  V_x = Σ_a π Q_x            β_n = 1 − (1 − critic_step)ⁿ, n visits
    θ   ← (1 − policy_step) θ + policy_step Q/τ                                 θ_w likewise
    dx  = ∂ₓcost − c E ∂ₓu − (c/w) E_{s ~ π_w} Σ_a ( π_w − π )(a|s) Q_x(s, a)   c = Σ occupancy
    x   ← project( x − x_step dx );  w, τ attenuate

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
from jaxtyping import Array, Float, Int

from upperhand.actions import policy
from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.streams import Estimator, Seen, one_stream
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.critic import Critics, Gains, learn, optimistic, soft_logits
from upperhand.policy_gradients.rollout import chains, rollout
from upperhand.rewards.table import reward_gradients, reward_table
from upperhand.schedule import fraction, schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ, logits that track π*_τ(x), or π*_{−w} for the two-sided penalty
    theta_w: Float[Array, "S A"]  # logits that track π*_{w,τ}(x), optimal for r + w u
    critics: Critics  # of π and π_w
    chains: Int[Array, "streams B"]  # where the chains stand
    restart: Float[Array, " streams"]  # how often chains start afresh, 1/Σ occupancy
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
    upper, world, gamma = linear(problem, "actor_critic"), law(problem.mdp), problem.mdp.discount
    size = (problem.mdp.states, problem.mdp.actions)
    fraction("policy_step", policy_step), fraction("critic_step", critic_step)
    width, length = whole("batch", batch, 2)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        r = reward_table(problem.reward, x, *size)
        critics = optimistic(r, ravel_pytree(x)[0].size, gamma, world.may_end)
        spread = jnp.broadcast_to(chains(world, width), (estimator.streams, width))
        restart = jnp.full(estimator.streams, 1 - gamma, y.dtype)
        return State(x, y, y, critics, spread, restart, descent.init(x), jnp.asarray(0, jnp.int32))

    def follow(key, pi, standing):
        keys = [key] * estimator.streams if estimator.shared else jax.random.split(key, estimator.streams)
        roll = jax.vmap(lambda key, pi, s: rollout(world, key, pi, s, length))
        return roll(jnp.stack([*keys]), pi[-estimator.streams :], standing)

    def hypergradient(x, pull, through_reward, visited):
        (through_u,) = pull(-visited)
        return jax.tree.map(lambda *parts: sum(parts), jax.grad(upper.cost)(x), through_u, through_reward)

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        unravel = ravel_pytree(state.x)[1]
        r, gradients = reward_gradients(problem.reward, state.x, *size)
        if estimator.low:  # the reward that π_low is optimal for knows x through u too
            gradients += estimator.low * w * reward_gradients(upper.reward, state.x, *size)[1]
        u, pull = jax.vjp(lambda x: reward_table(upper.reward, x, *size), state.x)
        thetas = jnp.stack([state.y, state.theta_w])
        pi, log_pi = policy(thetas)
        standing, streams = follow(key, pi, state.chains)
        gains = Gains(jnp.stack([r + estimator.low * w * u, r + w * u]), gradients, tau, gamma)
        critics, visits = learn(state.critics, streams, pi, log_pi, gains, critic_step)
        fresh = 1 - gamma * jnp.mean(streams.alive, (1, 2))
        restart = state.restart + critic_step * (fresh - state.restart)
        mu = visits / restart[:, None, None]
        difference = estimator.difference(Seen(pi, mu, gradients, critics.q_x)) / (w * (1 - estimator.low))
        dx = hypergradient(state.x, pull, unravel(difference), mu[-1])
        move, step_state = descent.update(dx, state.step, state.x)
        y, theta_w = (1 - policy_step) * thetas + policy_step * soft_logits(critics.q, tau)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, y, theta_w, critics, standing, restart, step_state, state.count + 1)
        loss = upper.cost(state.x) - jnp.sum(mu[-1] * u)
        lower = -jnp.sum(mu[0] * (r - tau * log_pi[-estimator.streams]))
        spent = cost(samples=estimator.streams * width * length, gradients=1)
        return new, Info(loss, lower, dx, spent, {"temperature": tau, "penalty": w})

    return Solver(init, update)
