"""G-PBGD: joint descent in x and y on upper plus half the squared norm of lower's gradient in y; no loop inside.

    n  = ∂_y lower(x, y)
    dx = ∂ₓ upper(x, y) + (1/w) ∇²_xy lower(x, y) n
    dy = ∂_y upper(x, y) + (1/w) ∇²_yy lower(x, y) n
    x  ← project_x( x − x_step min(w, 1) dx )
    y  ← project_y( y − y_step min(w, 1) dy )                        both at the old x and y

The penalty is (1/2w) ‖∂_y lower‖², with the ½ of the authors' code; a library that leaves it out means half our w by
the same weight. The steps must shrink like w, which min(w, 1) does.

Needs: two derivatives of lower; a lower level that is PL in y, with curvature that keeps away from 0 also far from its
minimisers: where ∇²_yy lower is singular the penalty can have a local minimum that is none of lower, for every w. For
upper = sin²(y − 2π/3) and lower = y² + 2 sin² y it stays at y = 2π/3, where v_pbgd goes on to y = 0: v_pbgd is the
method to begin with. y must be free, or ∂_y lower be 0 at its minimisers all the same.
Cost: an update is 3 partial gradients, a Hessian- and a cross-product, both of one reverse pass; a batch of each.
Reference: Shen, T. Chen, "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185, ICML 2023): the
objective, with ½ and min(w, 1), is of the authors' code; the update written out is derived from it; the class of
problems, the conditions and the trap are recalled. With batches n n' of one batch is a biased ‖∂_y lower‖² (derived).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # lower variable
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def g_pbgd(
    problem: Bilevel,
    *,
    steps: int = 1000,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    penalty: Schedule = 0.1,
) -> Solver:
    """Build G-PBGD.

    Args:
      problem: general, with two derivatives of lower to be trusted.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation; times min(w, 1).
      y_step: of y, likewise; at most about 1/L² with L of lower.
      penalty: w, the penalty is 1/(2w).
    Returns: Solver; the hypergradient that it tells is dx. Raises: ValueError for a coupled problem, one of first
      order, or a setting out of its range.
    Cost: an update is 3 partial gradients and 2 second-order products.
    """
    plain(problem, "g_pbgd", order=2)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    weight, (of_upper, of_lower) = schedule("penalty", penalty, steps), problem.drawn

    def init(x, y):
        return State(x, y, descend.init(x), descend_y.init(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x, y = weight(state.count), state.x, state.y
        scale = jnp.minimum(w, 1.0)
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, x, y))
        lower = curved(problem.lower, x, y, problem.draw_lower(key_lower, x, y))  # line 1
        cross, hessian = lower.products(lower.dy)
        dx = jax.tree.map(lambda u, p: u + p / w, upper.dx, cross)  # line 2
        dy = jax.tree.map(lambda u, p: u + p / w, upper.dy, hessian)  # line 3
        move, step_state = descend.update(optax.tree.scale(scale, dx), state.step, x)
        move_y, y_state = descend_y.update(optax.tree.scale(scale, dy), state.y_step, y)
        x, y = problem.project_x(optax.apply_updates(x, move)), problem.project_y(optax.apply_updates(y, move_y))
        new = State(x, y, step_state, y_state, state.count + 1)
        return new, Info(upper.loss, lower.loss, dx, cost(of_upper + of_lower, 3, 2), {"penalty": w})

    return Solver(init, update)
