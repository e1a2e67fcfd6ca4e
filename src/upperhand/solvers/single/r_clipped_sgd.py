"""Clipped SGD in stages, for strongly convex problems: each starts where the last one ended, with a shorter reach.

    at the start of stage t:  R ← R₀ 2^(−t/2),  ε ← µR²/4,  z ← x
    d ← stochastic gradient at z
    x ← average of z over the stage so far, this one included
    z ← project_x( z − step min(1, clip R/(step ‖d‖)) d )

With h = M^(2/(1+ν)) ε^(−(1−ν)/(1+ν)), M itself for ν = 1, a stage has max{ 8hR²/ε, (σR/ε)² } updates of step
min{ 1/(4h), R/(σ√N) }. Stages follow each other while they fit into `steps`, the last one is longer; x is the output of
the stage under way, so it is best judged at `steps`.

Needs: unbiased gradients of finite variance; f µ-strongly convex, ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν; R₀, µ, M and σ,
roughly.
Cost: an update is a batch and a gradient.
Reference: the restart wrapper (recalled) of clipped SGD, "High Probability Complexity Bounds for Non-Smooth Stochastic
Optimization with Heavy-Tailed Noise" (arXiv 2106.05958). Lengths and steps are derived from the mean error without
clipping, the share of R is ours; no constant of a theorem is in them. No theorem covers its use on a hypergradient.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.clipping import clip_norm
from upperhand.forms import Minimise
from upperhand.hypergradients.drawn_gradient import slopes
from upperhand.hypergradients.stages import Class, descent_length, descent_step, of_stage, places, shortened, stages
from upperhand.schedule import descent
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # output of the stage under way: the average of its z
    y: Tree  # ()
    z: Tree  # what descends
    step: optax.OptState  # of z, its clipping last
    count: Count  # updates done


def r_clipped_sgd(
    problem: Minimise,
    *,
    steps: int = 2000,
    x_step: Step = 1.0,
    clip: Schedule = 0.1,
    reach: float = 3.0,
    convexity: float = 1.0,
    smoothness: float = 1.0,
    noise: float = 10.0,
    holder: float = 1.0,
) -> Solver:
    """Build clipped SGD with restarts.

    Args:
      problem: single-level, strongly convex.
      steps: planned updates, which the stages fill.
      x_step: factor on the step of every stage, two ends of it, or an optax transformation of that step times the
        gradient, whose move is clipped.
      clip: the longest step of z in a stage, as a share of its R; infinite for none.
      reach: R₀, at least ‖x₀ − x*‖.
      convexity: µ.
      smoothness: M.
      noise: σ, root of the mean square of a gradient's noise; 0 for none.
      holder: ν, from 0 (f has kinks) to 1 (f is smooth).
    Returns: Solver. Raises: ValueError for a problem of another form or a setting out of its range.
    Cost: an update is a batch and a gradient.
    """
    sampled = slopes(problem, "r_clipped_sgd")
    planned = stages(Class(reach, convexity, smoothness, noise, holder), steps, descent_length, descent_step)
    place_of, step_of = places(planned), of_stage(planned, "step")
    descend = optax.chain(descent("x_step", x_step, steps), clip_norm(shortened(planned, clip, steps), name="clip"))

    def init(x, y):
        return State(x, y, x, descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        place = place_of(state.count)
        z = jax.tree.map(lambda x, z: jnp.where(place.count == 0, x, z), state.x, state.z)  # line 1
        loss, slope = sampled.at(key, z)  # line 2
        x = jax.tree.map(lambda mean, new: mean + (new - mean) / (place.count + 1), state.x, z)  # line 3
        scaled = optax.tree.scale(step_of(place).astype(loss.dtype), slope)
        move, step_state = descend.update(scaled, state.step, z)
        after = problem.project_x(optax.apply_updates(z, move))  # line 4
        new = State(x, state.y, after, step_state, state.count + 1)
        return new, Info(loss, jnp.zeros_like(loss), slope, sampled.cost, {}, at=z)

    return Solver(init, update)
