"""Zero-order, sampled: a central difference along one random direction, the upper loss from episodes.

    Z ~ N(0, I);  at x ± h Z: V± ← τ log Σ_a exp((r + γ P V±)/τ), `sweeps` times;  π± = exp((Q± − V±)/τ)
    Û±  = cost(x ± h Z) − (1/B) Σ γᵗ u(sₜ, aₜ) over B episodes of π±, both from the same random numbers
    dx  = ( Û+ − Û− ) Z / (2h)
    x   ← project( x − x_step clip(dx, 1) );  h attenuates

Needs: kernel (lower level); samples (upper level); a softmax table; no derivative at all; upper a Return.
Cost: an update is 2·sweeps sweeps of S·A·K and 2·B·T transitions (fewer where episodes end).
Reference: the zero-order baseline of HPGD, "Contextual Bilevel Reinforcement Learning for Incentive Alignment", NeurIPS
2024, arXiv 2406.01575 (from the authors' code). We differ: central differences, theirs are forward; h between two ends,
theirs falls as C/k, C tuned: Power(C, -1.0), which ends in rounding noise; sweeps from the V before; goals are drawn
with the episodes, the same for both points. The variance of dx grows as dim(x).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import probabilities
from upperhand.clipping import clipped
from upperhand.forms import BilevelRL
from upperhand.hypergradients.directions import along_direction
from upperhand.hypergradients.penalty import linear
from upperhand.mdps.mdp import expect
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.episodes import episodes, visited
from upperhand.policy_gradients.soft import backup
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


def zero_order(
    problem: BilevelRL,
    *,
    steps: int = 1000,
    batch: tuple[int, int] = (50, 200),
    radius: Schedule = (0.5, 0.05),
    x_step: Step = 0.5,
    sweeps: int = 500,
    temperature: Schedule = 0.005,
) -> Solver:
    """Build the sampled zero-order method.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: episodes of each of the two points, and the steps after which each is cut; some multiples of 1/(1 − γ).
      radius: h, in units of x; to be tuned with x_step. Sampled returns put a floor under it: noise grows as 1/h.
      x_step: step size of descent along the hypergradient clipped to norm 1, two ends of it, or an optax
        transformation, which is used as it is.
      sweeps: of the soft values of each point in an update.
      temperature: τ, in units of the agent's reward.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is at most 2 · episodes · steps transitions; its sweeps are not counted.
    """
    upper, mdp, world = linear(problem, "zero_order"), problem.mdp, law(problem.mdp)
    size = (mdp.states, mdp.actions)
    whole("batch", batch, 2), whole("sweeps", (sweeps,), 1)
    descent, tau_at = clipped("x_step", x_step, steps), schedule("temperature", temperature, steps)
    radius_at = schedule("radius", radius, steps)

    def init(x, y):
        return State(x, y, jnp.zeros((2, mdp.states), y.dtype), descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, h = tau_at(state.count), radius_at(state.count)
        key_direction, key_episodes = jax.random.split(key)

        def evaluate(x, v):
            r, u = reward_table(problem.reward, x, *size), reward_table(upper.reward, x, *size)
            v = jax.lax.fori_loop(0, sweeps, lambda _, v: backup(mdp, r, tau, v), v)
            theta = (r + mdp.discount * expect(mdp, v)) / tau
            seen = episodes(world, key_episodes, probabilities(theta), *batch)
            value = upper.cost(x) - jnp.sum(visited(seen, mdp.discount, *size) * u)
            return value, (theta, v, jnp.sum(seen.is_running))

        loss, dx, (theta, v, made) = along_direction(evaluate, key_direction, state.x, h, state.v)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, v.dtype), jnp.mean(v, 0))
        new = State(x, jnp.mean(theta, 0), v, step_state, state.count + 1)
        return new, Info(loss, lower, dx, cost(samples=jnp.sum(made)), {"temperature": tau, "radius": h})

    return Solver(init, update)
