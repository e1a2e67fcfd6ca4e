"""PBRL with the value penalty, sampled: a best response learnt in an inner loop, then one joint step of x and policy.

    loops times, at fixed x, τ, w: roll out π̂;  Q̂ ← its mean of targets;  θ̂ ← towards Q̂/τ        best response to x
    roll out π̂ and π;  Q ← the mean of targets of the reward r + w u;  θ ← towards Q/τ             one step of π
    dx = ∂ₓcost − c E_π ∂ₓu + (1/w) ( ĉ E_π̂ ∂ₓr − c E_π ∂ₓr )        c, ĉ: sums of the occupancies
    x  ← project( x − x_step dx )

Needs: samples of two agents; a softmax table; first derivatives of r and u in x; upper linear in the occupancy.
Cost: an update is (loops + 2)·B·T transitions and two gradients of the tables. Its noise grows as 1/w.
Reference: "Principled Penalty-based Methods for Bilevel Reinforcement Learning and RLHF" (arXiv 2402.06886), a
re-implementation: update recalled, sampled form derived. We differ: action-value critics with expected targets and
mirror steps for both policies, Adam for x. No Bellman penalty here: sampled, its derivative in x wants a critic of its
own; expected_pbrl has it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import from_occupancies, tables
from upperhand.policy_gradients.critic import Gains
from upperhand.policy_gradients.tracking import Tracked, begin, track, tracking
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, step, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ̂, logits of the best response π̂
    theta_w: Float[Array, "S A"]  # θ, logits of π, which trades upper for the penalty
    best: Tracked  # critic and chains of π̂
    tracked_w: Tracked  # critic and chains of π
    step: optax.OptState  # of x
    count: Count  # updates done


def pbrl(
    problem: BilevelRL,
    *,
    steps: int = 400,
    loops: int = 2,
    batch: tuple[int, int] = (32, 4),
    x_step: Step = (0.2, 0.005),
    policy_step: float = 0.2,
    critic_step: float = 0.1,
    penalty: Schedule = (8.0, 1.0),
    temperature: Schedule = (4.0, 0.05),
) -> Solver:
    """Build sampled PBRL.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates of x, over which two ends of a schedule are joined.
      loops: updates of the best response before each joint step.
      batch: chains of each agent, and the steps that each makes in one update of its policy.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      critic_step: of a single sample, in (0, 1].
      penalty: the penalty weight w; the penalty is 1/w.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is (loops + 2) · chains · steps transitions and 2 gradients.
    """
    pair, gamma, size = tables(problem, "pbrl"), problem.mdp.discount, (problem.mdp.states, problem.mdp.actions)
    how = tracking(problem.mdp, batch, policy_step, critic_step)
    whole("loops", (loops,), 1)
    descent = step("x_step", x_step, steps)
    w_at, tau_at = schedule("penalty", penalty, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        tracked = begin(how, reward_table(problem.reward, x, *size)[None])
        return State(x, y, y, tracked, tracked, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, w = tau_at(state.count), w_at(state.count)
        (r, u), pull = jax.vjp(pair, state.x)
        gains = [Gains(reward[None], jnp.zeros((*size, 0), r.dtype), tau, gamma) for reward in (r, r + w * u)]
        keys = jax.random.split(key, 3)
        lower = lambda i, held: track(how, jax.random.fold_in(keys[0], i), *held, gains[0])[:2]  # noqa: E731
        held = jax.lax.fori_loop(0, loops, lower, (state.y[None], state.best))
        (y,), best, met = track(how, keys[1], *held, gains[0])
        (theta_w,), tracked_w, met_w = track(how, keys[2], state.theta_w[None], state.tracked_w, gains[1])
        mu, mu_w = met.mu[0], met_w.mu[0]
        dx = from_occupancies(problem, state.x, mu, mu_w, mu_w, w, pull)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, y, theta_w, best, tracked_w, step_state, state.count + 1)
        loss = problem.upper.cost(state.x) - jnp.sum(mu_w * u)
        lower_loss = -jnp.sum(mu * (r - tau * met.log_pi[0]))
        spent = cost(samples=(loops + 2) * how.chains * how.length, gradients=2)
        return new, Info(loss, lower_loss, dx, spent, {"temperature": tau, "penalty": w})

    return Solver(init, update)
