"""SOBA: one step each of y, of a linear system z and of x, all taken at the same point.

    y ← project_y( y − y_step ∂_y lower )
    z ← z − z_step ( ∇²_yy lower z − ∂_y upper )        z → +[∇²_yy lower]⁻¹ ∂_y upper
    x ← project_x( x − x_step dx )                      dx = ∂ₓ upper − ∇²_xy lower z

Every right side is of (x, y, z) before the update. The simplest single-loop method with second-order products, and the
baseline of `ma_soba`, which averages dx; dx itself stays as noisy as one batch makes it.

Needs: first derivatives, and products with ∇²_yy and ∇²_xy of lower; a lower level strongly convex in y, without a
constraint that is active at y*(x).
Cost: an update is 3 partial gradients, one Hessian- and one cross-product; a batch of upper and one of lower.
Reference: Dagréou, Ablin, Vaiter, Moreau, "A framework for bilevel optimization that enables stochastic and global
variance reduction algorithms" (arXiv 2201.13409; title and number recalled). The update is from the code of the
benchmark of its authors (benchopt/benchmark_bilevel), where z has the other sign and all steps fall as 1/√(count + 1):
steps are settings here.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.schedule import descent
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near y*(x)
    z: Tree  # like y, near [∇²_yy lower]⁻¹ ∂_y upper
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    z_step: optax.OptState  # of z
    count: Count  # updates done


def soba(
    problem: Bilevel,
    *,
    steps: int = 1000,
    x_step: Step = 0.1,
    y_step: Step = 0.3,
    z_step: Step = 0.3,
) -> Solver:
    """Build SOBA.

    Args:
      problem: general, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of the lower variable, likewise; at most 1/L of lower.
      z_step: of the linear system, likewise; at most 1/L of lower, as noise of the Hessian multiplies z.
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is 3 partial gradients and 2 second-order products.
    """
    plain(problem, "soba", order=2)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    descend_z, drawn = descent("z_step", z_step, steps), sum(problem.drawn)

    def init(x, y):
        z = optax.tree.zeros_like(y)
        states = (descend.init(x), descend_y.init(y), descend_z.init(z))
        return State(x, y, z, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        x, y, z = state.x, state.y, state.z
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, x, y))
        lower = curved(problem.lower, x, y, problem.draw_lower(key_lower, x, y))
        cross, product = lower.products(z)
        dx, dz = optax.tree.sub(upper.dx, cross), optax.tree.sub(product, upper.dy)
        move, step = descend.update(dx, state.step, x)
        move_y, step_y = descend_y.update(lower.dy, state.y_step, y)
        move_z, step_z = descend_z.update(dz, state.z_step, z)
        x = problem.project_x(optax.apply_updates(x, move))
        y = problem.project_y(optax.apply_updates(y, move_y))
        new = State(x, y, optax.apply_updates(z, move_z), step, step_y, step_z, state.count + 1)
        return new, Info(upper.loss, lower.loss, dx, cost(drawn, 3, 2), {})

    return Solver(init, update)
