"""Central differences, sampled: 2·dim(x) agents, each learning at its own point x ± h e_i.

    for each coordinate i and sign, at x ± h e_i: roll out π±;  Q± ← its mean of targets;  θ± ← towards Q±/τ
    Û± = cost(x ± h e_i) − c E_{π±} u        the two of a pair are driven by the same random numbers
    dx_i = ( Û+ − Û− ) / (2h)
    x    ← project( x − x_step dx )

Needs: samples of 2·dim(x) agents; a softmax table; no derivative at all; upper linear in the occupancy.
Cost: an update is 2·dim(x)·B·T transitions; memory 2·dim(x)·S·A.
Reference: the finite-difference baseline named by Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm
for Bi-Level Reinforcement Learning", 2026 (name recalled, update derived). Bias O(h²) and that of agents who still
learn; noise grows as 1/h. x ± h e_i may lie outside the allowed x.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.difference import central, neighbours
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
    y: Float[Array, "S A"]  # mean of the logits of all agents
    thetas: Float[Array, "2 dx S A"]  # logits of the agents at x + h e_i and x − h e_i
    tracked: Tracked  # their critics and chains, every leaf [2, dx, …]
    step: optax.OptState  # of x
    count: Count  # updates done


def finite_difference(
    problem: BilevelRL,
    *,
    steps: int = 1600,
    batch: tuple[int, int] = (8, 4),
    radius: Schedule = (1.0, 0.2),
    x_step: Step = (0.1, 0.002),
    policy_step: float = 0.2,
    critic_step: float = 0.1,
    temperature: Schedule = (4.0, 0.05),
) -> Solver:
    """Build sampled finite differences.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: chains of each agent, and the steps that each makes in an update.
      radius: h, in units of x.
      x_step: Adam's step size, two ends of it, or an optax transformation.
      policy_step: of the mirror step, in (0, 1].
      critic_step: of a single sample, in (0, 1].
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is 2·dim(x) · chains · steps transitions.
    """
    upper, gamma = linear(problem, "finite_difference"), problem.mdp.discount
    size = (problem.mdp.states, problem.mdp.actions)
    how = tracking(problem.mdp, batch, policy_step, critic_step)
    descent, tau_at = step("x_step", x_step, steps), schedule("temperature", temperature, steps)
    radius_at = schedule("radius", radius, steps)

    def init(x, y):
        flat, unravel = ravel_pytree(x)
        table = lambda point: reward_table(problem.reward, unravel(point), *size)  # noqa: E731
        r = jax.vmap(jax.vmap(table))(neighbours(flat, radius_at(jnp.asarray(0))))
        tracked = jax.vmap(jax.vmap(lambda r: begin(how, r[None])))(r)
        thetas = jnp.broadcast_to(y, (2, flat.size, *size))
        return State(x, y, thetas, tracked, descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, h = tau_at(state.count), radius_at(state.count)
        flat, unravel = ravel_pytree(state.x)

        def live(key, point, theta, tracked):
            x = unravel(point)
            r, u = (reward_table(reward, x, *size) for reward in (problem.reward, upper.reward))
            gains = Gains(r[None], jnp.zeros((*size, 0), r.dtype), tau, gamma)
            (theta,), tracked, met = track(how, key, theta[None], tracked, gains)
            lower = -jnp.sum(met.mu[0] * (r - tau * met.log_pi[0]))
            return theta, tracked, upper.cost(x) - jnp.sum(met.mu[0] * u), lower

        of_pairs = jax.vmap(live)  # over the coordinates; then over the signs, which share their keys
        keys = jax.random.split(key, flat.size)
        of_all = jax.vmap(of_pairs, (None, 0, 0, 0))
        thetas, tracked, value, lower = of_all(keys, neighbours(flat, h), state.thetas, state.tracked)
        dx = unravel(central(value, h))
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, jnp.mean(thetas, (0, 1)), thetas, tracked, step_state, state.count + 1)
        spent = cost(samples=2 * flat.size * how.chains * how.length)
        return new, Info(jnp.mean(value), jnp.mean(lower), dx, spent, {"temperature": tau, "radius": h})

    return Solver(init, update)
