"""Clipped SSTM: the accelerated method of similar triangles, each step of z no longer than a bound.

    a ← x_step (k + 1)^(2ν/(1+ν)),  A ← A + a
    u ← x + (a/A) (z − x)
    d ← mean of `batch` stochastic gradients at u
    z ← project_x( z − a min(1, clip/(a ‖d‖)) d )
    x ← x + (a/A) (z − x), with the x before

x is the output (the y of the paper), z what descends. The gradient is clipped to clip/a, so that a step of z is at most
`clip` long: B of the paper, in units of x. The gradients grow in weight, faster the smoother f is; without clipping or
batches their noise grows as N^(3/2) for ν = 1.

Needs: unbiased gradients of finite variance; f convex, ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν with a ν in [0, 1].
Theory's forms: x_step = (ε/2)^((1−ν)/(1+ν))/(2^(2ν/(1+ν)) a M^(2/(1+ν))), `similar_triangles.base_step`, and clip = C R
for R ≥ ‖x₀ − x*‖. Tune both: a ≥ 1 must grow like σN^(3/2)/(M R) for ν = 1, and clip from R/8 (one run) to R/2
(restarts) was seen to work. The theorem's own a ≥ 16384 ln²(4N/β), C = √7/(8 ln(4N/β)) and batches of some 2·10⁴ σ²a²N
ln(4N/β)/(C²R²) (recalled, less sure) are of no use.
Clipping shortens tails; it does not promise a better median, nor a gain under Gaussian noise.
Cost: an update is `batch` batches and gradients.
Reference: Gorbunov, Danilova, Shibaev, Dvurechensky, Gasnikov, "High Probability Complexity Bounds for Non-Smooth
Stochastic Optimization with Heavy-Tailed Noise" (arXiv 2106.05958): updates from the authors' code, step rule recalled;
the smooth case is that of arXiv 2005.10785, which has k + 2 for k + 1. The released code's first step ignores its
gradient and its weights hold u, not the output; ours do neither. The projection is ours. No theorem covers its use on a
hypergradient.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from upperhand.clipping import clip_norm
from upperhand.forms import Minimise
from upperhand.hypergradients.drawn_gradient import slopes
from upperhand.hypergradients.similar_triangles import Triangle, begin, growth, look, turn
from upperhand.schedule import descent, nonnegative
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Scalar, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # output
    y: Tree  # ()
    z: Tree  # what descends
    total: Scalar  # A, in units of the base step
    step: optax.OptState  # of z, its clipping last
    count: Count  # updates done


def clipped_sstm(
    problem: Minimise,
    *,
    steps: int = 1000,
    x_step: Step = 1 / 1200,
    clip: Schedule = 0.375,
    holder: float = 1.0,
    offset: float = 1.0,
    batch: int = 1,
) -> Solver:
    """Build clipped SSTM.

    Args:
      problem: single-level.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: base step, which (k + offset)^(2ν/(1+ν)) multiplies; two ends of it, or an optax transformation, which
        gets gradients multiplied so, and whose move is clipped: to clip before a memory, chain `clip_quantile` into it.
      clip: B, the longest step of z, in units of x; two ends of it, or a function of the count; infinite for none.
      holder: ν, from 0 (f has kinks) to 1 (f is smooth).
      offset: of the count in the weights, above 0; 2 in the smooth method that came before.
      batch: stochastic gradients in an update, averaged before they are clipped.
    Returns: Solver. Raises: ValueError for a problem of another form or a setting out of its range.
    Cost: an update is `batch` batches and gradients.
    """
    sampled, weight_of = slopes(problem, "clipped_sstm", batch), growth(holder)
    descend = optax.chain(descent("x_step", x_step, steps), clip_norm(clip, steps, "clip"))
    if not nonnegative("offset", offset):
        raise ValueError(f"offset must be above 0: got {offset!r}.")

    def init(x, y):
        triangle = begin(x)
        return State(x, y, x, triangle.total, descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        triangle = Triangle(state.x, state.z, state.total)
        ahead = look(triangle, weight_of(state.count + offset))  # lines 1 and 2
        loss, slope = sampled.at(key, ahead.at)  # line 3
        move, step_state = descend.update(optax.tree.scale(ahead.weight, slope), state.step, state.z)
        z = problem.project_x(optax.apply_updates(state.z, move))  # line 4
        triangle = turn(triangle, ahead, z)  # line 5
        new = State(triangle.x, state.y, z, triangle.total, step_state, state.count + 1)
        return new, Info(loss, jnp.zeros_like(loss), slope, sampled.cost, {}, at=ahead.at)

    return Solver(init, update)
