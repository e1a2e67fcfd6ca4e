"""HPGD, hyper policy gradient descent: the soft lower level solved with the kernel, the hypergradient from episodes.

    V   ← τ log Σ_a exp((r + γ P V)/τ)        `sweeps` times, from the V before;  π = exp((Q − V)/τ)
    roll out π in B episodes, at most T steps
    dx  = ∂ₓcost − (1/B) Σ γᵗ ∂ₓu − (1/(τB)) Σ γᵗ A_u ∂A        A_u, ∂A: advantages of u and ∂ₓr, every-visit averages
    x   ← project( x − x_step clip(dx, 1) )

Needs: kernel (lower level); samples (upper level); a softmax table; first derivatives of r, u in x; upper a Return.
Cost: an update is `sweeps` sweeps of S·A·K, B·T transitions (fewer where episodes end), one gradient of the tables.
Reference: HPGD, "Contextual Bilevel Reinforcement Learning for Incentive Alignment", NeurIPS 2024, arXiv 2406.01575
(updates from the authors' code). We differ: sweeps begin at the V before, not at 0; model and rollouts share one
kernel; the context (a goal) is drawn anew for each episode with its first state, there once for each update; all
episodes begin together and are cut after T steps, there five environments run on for 2000; ∂ₓr is never formed (equal).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.actions import probabilities
from upperhand.clipping import clipped
from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.trajectories import trajectories
from upperhand.mdps.mdp import expect
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.soft import backup
from upperhand.rewards.table import reward_table
from upperhand.schedule import schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Float[Array, "S A"]  # θ = Q/τ, logits of π*_τ at the x before
    v: Float[Array, " S"]  # soft values at the x before
    step: optax.OptState  # of x
    count: Count  # updates done


def hpgd(
    problem: BilevelRL,
    *,
    steps: int = 1000,
    batch: tuple[int, int] = (50, 200),
    x_step: Step = 0.5,
    sweeps: int = 500,
    temperature: Schedule = 0.005,
) -> Solver:
    """Build HPGD.

    Args:
      problem: finite, with an upper objective linear in the occupancy (Return) and a softmax table as policy.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: episodes of an update, and the steps after which each is cut; some multiples of 1/(1 − γ).
      x_step: step size of descent along the hypergradient clipped to norm 1, two ends of it, or an optax
        transformation, which is used as it is.
      sweeps: of the soft values in an update.
      temperature: τ, in units of the agent's reward; published at 0.001, 0.003 and 0.005.
    Returns: Solver. Raises: ValueError for a Tabular upper objective or a setting out of its range.
    Cost: an update is at most episodes · steps transitions and one gradient; its sweeps are not counted.
    """
    linear(problem, "hpgd")
    mdp, world = problem.mdp, law(problem.mdp)
    whole("batch", batch, 2), whole("sweeps", (sweeps,), 1)
    descent, tau_at = clipped("x_step", x_step, steps), schedule("temperature", temperature, steps)

    def init(x, y):
        return State(x, y, jnp.zeros(mdp.states, y.dtype), descent.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        tau, r = tau_at(state.count), reward_table(problem.reward, state.x, mdp.states, mdp.actions)
        v = jax.lax.fori_loop(0, sweeps, lambda _, v: backup(mdp, r, tau, v), state.v)
        theta = (r + mdp.discount * expect(mdp, v)) / tau
        upper, dx, made = trajectories(problem, world, key, state.x, probabilities(theta), tau, batch)
        move, step_state = descent.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        lower = -jnp.dot(jnp.asarray(mdp.start, v.dtype), v)
        spent = cost(samples=made, gradients=1)
        new = State(x, theta, v, step_state, state.count + 1)
        return new, Info(upper, lower, dx, spent, {"temperature": tau})

    return Solver(init, update)
