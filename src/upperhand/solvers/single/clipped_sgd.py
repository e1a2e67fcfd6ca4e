"""Clipped SGD: descent along clipped stochastic gradients, and the average of the points where they were taken.

    d ← mean of `batch` stochastic gradients at z
    x ← average of all z so far, this one included
    z ← project_x( z − x_step min(1, clip/‖d‖) d )

x is the output, as theory has it: the average of z₀ … z_{N−1}, not the last z.

Needs: unbiased gradients of finite variance; f convex, ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν with a ν in [0, 1].
Clipping trades a bias for short tails: under Gaussian noise, and in the median, it can be worse than none.
Theory's forms: x_step = min{ ε^((1−ν)/(1+ν))/(8M^(2/(1+ν))), R/(√(2N) ε^(ν/(1+ν)) M^(1/(1+ν))), R/(2 clip ln(4N/β)) }
and clip = 2M(√7 R)^ν with batches of max{1, 81Nσ²/(clip² ln(4N/β))} (recalled, less sure): constants for a proof. Tune
x_step and clip; the defaults are those of experiments on `norm_power`.
Cost: an update is `batch` batches and gradients.
Reference: Gorbunov, Danilova, Shibaev, Dvurechensky, Gasnikov, "High Probability Complexity Bounds for Non-Smooth
Stochastic Optimization with Heavy-Tailed Noise" (arXiv 2106.05958): recalled, less sure. The authors' released code
with momentum scales a buffer that already holds the outlier: here an optax transformation sees clipped gradients only.
The projection is ours. No theorem covers its use on a hypergradient.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.clipping import clip_norm
from upperhand.forms import Minimise
from upperhand.hypergradients.drawn_gradient import slopes
from upperhand.schedule import descent
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # output: the average of every z where a gradient was taken
    y: Tree  # ()
    z: Tree  # what descends
    step: optax.OptState  # of z, its clipping first
    count: Count  # updates done


def clipped_sgd(
    problem: Minimise, *, steps: int = 1000, x_step: Step = 0.02, clip: Schedule = 6.0, batch: int = 1
) -> Solver:
    """Build clipped SGD.

    Args:
      problem: single-level.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation, which gets clipped gradients.
      clip: the longest gradient that is taken as it is, two ends of it, or a function of the count; infinite for none.
      batch: stochastic gradients in an update, averaged before they are clipped.
    Returns: Solver. Raises: ValueError for a problem of another form or a setting out of its range.
    Cost: an update is `batch` batches and gradients.
    """
    sampled = slopes(problem, "clipped_sgd", batch)
    descend = optax.chain(clip_norm(clip, steps, "clip"), descent("x_step", x_step, steps))

    def init(x, y):
        return State(x, y, x, descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        z = state.z
        loss, slope = sampled.at(key, z)  # line 1
        x = jax.tree.map(lambda mean, new: mean + (new - mean) / (state.count + 1), state.x, z)  # line 2
        move, step_state = descend.update(slope, state.step, z)
        after = problem.project_x(optax.apply_updates(z, move))  # line 3
        new = State(x, state.y, after, step_state, state.count + 1)
        return new, Info(loss, jnp.zeros_like(loss), slope, sampled.cost, {}, at=z)

    return Solver(init, update)
