"""MORMA-SOBA: MA-SOBA for several tasks at once, whose worst upper loss is to be made small.

    min over x, max over p in the simplex, of   Σ pᵢ Φᵢ(x) − (pull/2) ‖p − 1/n‖²        Φᵢ(x) = upper(x, y*(x))[i]

    x  ← x + pace ( project_x( x − x_step h ) − x )
    p  ← p + pace ( simplex( p + p_step hp ) − p )
    yᵢ ← project_y( yᵢ − y_step ∂_y lowerᵢ )
    zᵢ ← zᵢ − z_step ( ∇²_yy lowerᵢ zᵢ − ∂_y upperᵢ )
    h  ← (1 − average) h + average Σ pᵢ ( ∂ₓ upperᵢ − ∇²_xy lowerᵢ zᵢ )
    hp ← (1 − average) hp + average ( upper − pull (p − 1/n) )

Every right side is of the point before the update; h and hp start at 0, p at 1/n. A pull that is not small moves the
saddle away from the minimax x; a small one is reached slowly. One step size serves all tasks.

Needs: first derivatives, and products with ∇²_yy and ∇²_xy of lower; each task's lower level strongly convex in y[i].
Cost: for n tasks an update is 3n partial gradients and 2n second-order products; a batch of upper and one of lower.
Reference: X. Chen, Xiao, Balasubramanian, "Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed
Smoothness Conditions" (arXiv 2306.12067; JMLR 25), the min-max method. Recalled, less sure, not checked against the
text: that p and x share the pace, and the form of hp. The pull is also that of MORBiT (from its authors' code), which
takes p from one noisy loss where this method averages first. The paper's result is an iterate drawn at random
(recalled), ours the last one.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import plain
from upperhand.hypergradients.toward import toward
from upperhand.schedule import descent, schedule, share
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # [tasks, ...] near the tasks' answers
    z: Tree  # like y, near [∇²_yy lowerᵢ]⁻¹ ∂_y upperᵢ
    h: Tree  # like x, near Σ pᵢ ∇Φᵢ(x)
    p: Float[Array, " tasks"]  # weights of the tasks
    hp: Float[Array, " tasks"]  # their averaged gradient
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    z_step: optax.OptState  # of z
    p_step: optax.OptState  # of p
    count: Count  # updates done


def morma_soba(
    problem: Bilevel,
    *,
    steps: int = 1000,
    x_step: Step = 0.3,
    pace: Schedule = 0.05,
    y_step: Step = 0.2,
    z_step: Step = 0.2,
    average: Schedule = 0.1,
    p_step: Step = 0.1,
    pull: Schedule = 1.0,
) -> Solver:
    """Build MORMA-SOBA.

    Args:
      problem: general, of several tasks, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent along h before the projection, two ends of it, or an optax transformation.
      pace: the share of the projected steps which x and p take, in (0, 1].
      y_step: of the lower variables, as x_step but taken whole; at most 1/L of each lower.
      z_step: of the linear systems, likewise.
      average: weight of the newest estimates in h and hp, in (0, 1].
      p_step: of the weights of the tasks, as x_step, upwards along hp.
      pull: weight of ½‖p − 1/n‖², which holds the weights together, in units of upper.
    Returns: Solver; `upper` told is that of the worst task, `lower` the sum. Raises: ValueError for a problem of one
      task or of first order, or a setting out of its range.
    Cost: an update is 3n partial gradients and 2n second-order products of n tasks.
    """
    n = plain(problem, "morma_soba", order=2, tasks=True).tasks
    descend, descend_p = descent("x_step", x_step, steps), descent("p_step", p_step, steps)
    descend_y, descend_z = descent("y_step", y_step, steps), descent("z_step", z_step, steps)
    part, newest = share("pace", pace, steps), share("average", average, steps)
    hold, drawn = schedule("pull", pull, steps), sum(problem.drawn)
    simplex = optax.projections.projection_simplex

    def init(x, y):
        z, h = optax.tree.zeros_like(y), optax.tree.zeros_like(x)
        p = jnp.full((n,), 1 / n, jax.tree.leaves(y)[0].dtype)
        states = (descend.init(x), descend_y.init(y), descend_z.init(z), descend_p.init(p))
        return State(x, y, z, h, p, jnp.zeros_like(p), *states, jnp.asarray(0, jnp.int32))

    def gradients(x, y, z, p, keys):
        """upper [tasks], the sum of lower, and the directions of x, y and z."""
        above, below = problem.draw_upper(keys[0], x, y), problem.draw_lower(keys[1], x, y)
        losses, weigh = jax.vjp(lambda x, y: problem.upper(x, y, above), x, y)
        dx, (_, upper_dy) = weigh(p.astype(losses.dtype))[0], weigh(jnp.ones_like(losses))
        lower, dy = jax.value_and_grad(lambda y: jnp.sum(problem.lower(x, y, below)))(y)
        along = lambda x, y: jax.jvp(lambda y: problem.lower(x, y, below), (y,), (z,))[1]  # noqa: E731
        slopes, pull = jax.vjp(along, x, y)  # [tasks]: ⟨∂_y lowerᵢ, zᵢ⟩, whose gradients are the products with zᵢ
        cross, product = pull(p.astype(slopes.dtype))[0], pull(jnp.ones_like(slopes))[1]
        return losses, lower, optax.tree.sub(dx, cross), dy, optax.tree.sub(product, upper_dy)

    def update(key: Key, state: State):
        x, y, z, p, count = state.x, state.y, state.z, state.p, state.count
        losses, lower, dx, dy, dz = gradients(x, y, z, p, jax.random.split(key))
        move_y, step_y = descend_y.update(dy, state.y_step, y)
        move_z, step_z = descend_z.update(dz, state.z_step, z)  # line 1
        move, step = descend.update(state.h, state.step, x)
        move_p, step_p = descend_p.update(-state.hp, state.p_step, p)
        allowed = problem.project_x(optax.apply_updates(x, move)), simplex(optax.apply_updates(p, move_p))
        new_x, new_p = toward((x, p), allowed, part(count))  # line 2
        newer = (dx, losses - hold(count) * (p - 1 / n))
        h, hp = toward((state.h, state.hp), newer, newest(count))  # line 3
        new_y, new_z = problem.project_y(optax.apply_updates(y, move_y)), optax.apply_updates(z, move_z)
        new = State(new_x, new_y, new_z, h, new_p, hp, step, step_y, step_z, step_p, count + 1)
        told = {"pace": part(count), "average": newest(count), "pull": hold(count)}
        return new, Info(jnp.max(losses), lower, state.h, cost(drawn, 3 * n, 2 * n), told)

    return Solver(init, update)
