"""Clipped SSTM in stages, for strongly convex problems: each starts where the last one ended, with a shorter reach.

    at the start of stage t:  R ← R₀ 2^(−t/2),  ε ← µR²/4,  z ← x,  A ← 0
    a ← step (k + 1)^(2ν/(1+ν)),  A ← A + a          k: updates of this stage
    u ← x + (a/A) (z − x)
    d ← stochastic gradient at u
    z ← project_x( z − a min(1, clip R/(a ‖d‖)) d )
    x ← x + (a/A) (z − x), with the x before

A stage has max{ 8 (M R^(1+ν)/ε)^(2/(1+3ν)), 0.4 (σR/ε)² } updates of base step min{ theory's without noise,
R/(2σ N^((1+5ν)/(2+2ν))) }. Stages follow each other while they fit into `steps`, the last one is longer; x is the
output of the stage under way, so it is best judged at `steps`.

Needs: unbiased gradients of finite variance; f µ-strongly convex, ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν; R₀, µ, M and σ,
roughly.
Cost: an update is a batch and a gradient.
Reference: stages from arXiv 2302.00999 for ν = 1, as restated in arXiv 2310.18763; for other ν derived. It is not in
the authors' released code. Lengths, steps and a clip of R/2 as they were seen to work (measured for ν = 1, the other
exponents derived); the theorem's constants (recalled) are of no use. No theorem covers its use on a hypergradient.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.clipping import clip_norm
from upperhand.forms import Minimise
from upperhand.hypergradients.drawn_gradient import slopes
from upperhand.hypergradients.similar_triangles import Triangle, begin, growth, look, turn
from upperhand.hypergradients.stages import Class, of_stage, places, shortened, stages, triangles_length, triangles_step
from upperhand.schedule import descent
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Scalar, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # output of the stage under way
    y: Tree  # ()
    z: Tree  # what descends
    total: Scalar  # A of the stage, in units of its base step
    step: optax.OptState  # of z, its clipping last
    count: Count  # updates done


def r_clipped_sstm(
    problem: Minimise,
    *,
    steps: int = 2000,
    x_step: Step = 1.0,
    clip: Schedule = 0.5,
    reach: float = 3.0,
    convexity: float = 1.0,
    smoothness: float = 1.0,
    noise: float = 10.0,
    holder: float = 1.0,
) -> Solver:
    """Build clipped SSTM with restarts.

    Args:
      problem: single-level, strongly convex.
      steps: planned updates, which the stages fill.
      x_step: factor on the base step of every stage, two ends of it, or an optax transformation of a times the
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
    sampled, weight_of = slopes(problem, "r_clipped_sstm"), growth(holder)
    known = Class(reach, convexity, smoothness, noise, holder)
    planned = stages(known, steps, triangles_length, triangles_step)
    place_of, step_of = places(planned), of_stage(planned, "step")
    descend = optax.chain(descent("x_step", x_step, steps), clip_norm(shortened(planned, clip, steps), name="clip"))

    def init(x, y):
        triangle = begin(x)
        return State(x, y, x, triangle.total, descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        place = place_of(state.count)
        is_new = place.count == 0
        z = jax.tree.map(lambda x, z: jnp.where(is_new, x, z), state.x, state.z)  # line 1
        triangle = Triangle(state.x, z, jnp.where(is_new, 0.0, state.total))
        ahead = look(triangle, weight_of(place.count + 1))  # lines 2 and 3
        loss, slope = sampled.at(key, ahead.at)  # line 4
        a = (ahead.weight * step_of(place)).astype(triangle.total.dtype)
        move, step_state = descend.update(optax.tree.scale(a, slope), state.step, z)
        z = problem.project_x(optax.apply_updates(z, move))  # line 5
        triangle = turn(triangle, ahead, z)  # line 6
        new = State(triangle.x, state.y, z, triangle.total, step_state, state.count + 1)
        return new, Info(loss, jnp.zeros_like(loss), slope, sampled.cost, {}, at=ahead.at)

    return Solver(init, update)
