"""MA-SOBA: SOBA whose hypergradient is a moving average h, which ends as a trustworthy estimate of ∇Φ.

    x ← x + pace ( project_x( x − x_step h ) − x )      without a constraint x − pace · x_step h
    y ← project_y( y − y_step ∂_y lower )
    z ← z − z_step ( ∇²_yy lower z − ∂_y upper )        z → +[∇²_yy lower]⁻¹ ∂_y upper
    h ← (1 − average) h + average ( ∂ₓ upper − ∇²_xy lower z )

Every right side is of (x, y, z, h) before the update; h starts at 0. In the theory one number a, constant over a run,
about 1/√steps, drives everything: pace = a, y_step = c₁ a, z_step = c₂ a, average = c₃ a, with x_step fixed. Here each
level has its setting: multiply them yourself, as the experiment `averaging` does. What averaging buys is that the mean
square of h − ∇Φ falls as the loss does, so that h can tell when to stop; ‖∇Φ‖ itself falls no faster than SOBA's.

It fails where h, y and z follow x too slowly: together with the average they are an oscillator, and may diverge where
SOBA does not. Keep pace · x_step small beside average, y_step and z_step: `hypergradients.stability` tells.

Needs: first derivatives, and products with ∇²_yy and ∇²_xy of lower; a lower level strongly convex in y, without a
constraint that is active at y*(x).
Cost: an update is 3 partial gradients, one Hessian- and one cross-product; a batch of upper and one of lower.
Reference: X. Chen, Xiao, Balasubramanian, "Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed
Smoothness Conditions" (arXiv 2306.12067; JMLR 25), the single-task method. Recalled, not checked against the text:
the update and the roles of a, c₁, c₂, c₃. Independent samples for each product there, one lower batch here; its result
is an iterate drawn at random (recalled), ours the last one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.hypergradients.toward import toward
from upperhand.schedule import descent, share
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near y*(x)
    z: Tree  # like y, near [∇²_yy lower]⁻¹ ∂_y upper
    h: Tree  # like x, near ∇Φ(x)
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    z_step: optax.OptState  # of z
    count: Count  # updates done


def ma_soba(
    problem: Bilevel,
    *,
    steps: int = 1000,
    x_step: Step = 0.3,
    pace: Schedule = 0.15,
    y_step: Step = 0.3,
    z_step: Step = 0.3,
    average: Schedule = 0.15,
) -> Solver:
    """Build MA-SOBA.

    Args:
      problem: general, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent along h before the projection, two ends of it, or an optax transformation.
      pace: the share of that (projected) step which x takes, in (0, 1].
      y_step: of the lower variable, as x_step but taken whole; at most 1/L of lower.
      z_step: of the linear system, likewise; at most 1/L of lower, as noise of the Hessian multiplies z.
      average: weight of the newest hypergradient in h, in (0, 1].
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is 3 partial gradients and 2 second-order products.
    """
    plain(problem, "ma_soba", order=2)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    descend_z, drawn = descent("z_step", z_step, steps), sum(problem.drawn)
    part, newest = share("pace", pace, steps), share("average", average, steps)

    def init(x, y):
        z, h = optax.tree.zeros_like(y), optax.tree.zeros_like(x)
        states = (descend.init(x), descend_y.init(y), descend_z.init(z))
        return State(x, y, z, h, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        x, y, z, h, count = state.x, state.y, state.z, state.h, state.count
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, x, y))  # line 1
        lower = curved(problem.lower, x, y, problem.draw_lower(key_lower, x, y))
        cross, product = lower.products(z)
        move, step = descend.update(h, state.step, x)
        allowed = problem.project_x(optax.apply_updates(x, move))
        new_x = toward(x, allowed, part(count))  # line 2
        move, step_y = descend_y.update(lower.dy, state.y_step, y)
        new_y = problem.project_y(optax.apply_updates(y, move))  # line 3
        move, step_z = descend_z.update(optax.tree.sub(product, upper.dy), state.z_step, z)
        new_z = optax.apply_updates(z, move)  # line 4
        new_h = toward(h, optax.tree.sub(upper.dx, cross), newest(count))  # line 5
        new = State(new_x, new_y, new_z, new_h, step, step_y, step_z, count + 1)
        return new, Info(upper.loss, lower.loss, h, cost(drawn, 3, 2), {"pace": part(count), "average": newest(count)})

    return Solver(init, update)
