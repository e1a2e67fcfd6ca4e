"""Prox-linear descent on upper plus the norm, not squared, of lower's gradient in y: exact at a penalty weight above 0.

    c, J = ∂_y lower(x, y), its derivative in (x, y)
    z⁺   = argmin_z ⟨∇ upper, z − zₖ⟩ + (1/w) ‖c + J (z − zₖ)‖ + ‖z − zₖ‖² / (2 reach)          z = (x, y) in their sets
    x    ← project_x( x + x_step (x⁺ − x) )          y ← project_y( y + y_step (y⁺ − y) )             1 is the whole way

    p    ← (p + (c + J d(p)) / (reach ‖J J'‖)) within radius 1/w, `solves` times, from the last p
    z⁺   = zₖ + d(p),       d(p) = project( zₖ − reach (∇ upper + J' p) ) − zₖ

The norm is a distance bound where its square is V-PBGD's squared one, so a minimiser of the penalised problem solves
the bilevel one as soon as 1/w exceeds a number of the problem: the multiplier's norm at the solution. Below it the
penalty gives way, and z may run away. The last two lines solve for z⁺ by its dual, in which p is bounded by 1/w; at a
solution −p is (∇²_yy lower)⁻¹ ∂_y upper, the z of the implicit methods.

Needs: two derivatives of lower, a convex y's set that holds a minimiser at which ∂_y lower = 0, and 1/w large enough;
the whole of both losses: the norm of a batch's gradient is biased. Where lower is no quadratic, a reach that shrinks
like w. Where ∇²_yy lower is singular away from the minimisers it can stop there, as g_pbgd does.
Cost: an update is 2 partial gradients, and 4·solves + 6 Hessian- and cross-products.
Reference: the journal version of Shen, T. Chen, "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185)
has a section on this penalty; the step is recalled. Its dual with a warm p, and ‖J J'‖ by a power
iteration, are derived.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.hypergradients.radius import within
from upperhand.schedule import descent, schedule, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # lower variable
    p: Tree  # like y: multiplier of the linearised equation ∂_y lower = 0, of norm at most 1/w
    widest: Tree  # like y, of norm 1: towards the largest eigenvector of J J'
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def prox_linear(
    problem: Bilevel,
    *,
    steps: int = 1000,
    solves: int = 10,
    reach: Schedule = 0.1,
    x_step: Step = 1.0,
    y_step: Step = 1.0,
    penalty: Schedule = 0.1,
) -> Solver:
    """Build prox-linear descent.

    Args:
      problem: general, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      solves: steps of p in an update.
      reach: the step size inside z⁺, or two ends of it.
      x_step: the share of the way to x⁺ that x goes, two ends of it, or an optax transformation of x − x⁺.
      y_step: of y, likewise.
      penalty: w, the penalty is ‖∂_y lower‖/w.
    Returns: Solver; the hypergradient that it tells is (x − x⁺)/reach, 0 at a solution. Raises: ValueError for a
      coupled problem, one of first order, or a setting out of its range.
    Cost: an update is 2 partial gradients and 4·solves + 6 second-order products.
    """
    plain(problem, "prox_linear", order=2)
    (solves,) = whole("solves", (solves,), 1)
    size, weight = schedule("reach", reach, steps), schedule("penalty", penalty, steps)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    drawn = sum(problem.drawn)

    def init(x, y):
        norm = optax.tree.norm(optax.tree.ones_like(y))
        even = jax.tree.map(lambda leaf: jnp.full_like(leaf, 1 / norm), y)
        states = (descend.init(x), descend_y.init(y))
        return State(x, y, optax.tree.zeros_like(y), even, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x, y = weight(state.count), state.x, state.y
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, x, y))
        batch = problem.draw_lower(key_lower, x, y)
        lower = curved(problem.lower, x, y, batch)
        _, push = jax.linearize(lambda x, y: jax.grad(problem.lower, 1)(x, y, batch), x, y)
        reach = size(state.count).astype(upper.loss.dtype)

        def moved(p):
            cross, hessian = lower.products(p)
            down = lambda at, u, pull: at - reach * (u + pull)  # noqa: E731
            to_x = problem.project_x(jax.tree.map(down, x, upper.dx, cross))
            to_y = problem.project_y(jax.tree.map(down, y, upper.dy, hessian))
            return optax.tree.sub(to_x, x), optax.tree.sub(to_y, y)

        spread = push(*lower.products(state.widest))
        width = jnp.maximum(optax.tree.norm(spread), jnp.finfo(reach.dtype).tiny)  # ‖J J'‖

        def solve(_, p):
            rest = optax.tree.add(lower.dy, push(*moved(p)))
            return within(1 / w, optax.tree.add_scale(p, 1 / (reach * width), rest))

        p = jax.lax.fori_loop(0, solves, solve, within(1 / w, state.p))
        d = optax.tree.scale(-1, moved(p))
        move, step_state = descend.update(d[0], state.step, x)
        move_y, y_state = descend_y.update(d[1], state.y_step, y)
        x, y = problem.project_x(optax.apply_updates(x, move)), problem.project_y(optax.apply_updates(y, move_y))
        widest = optax.tree.scale(1 / width, spread)
        new = State(x, y, p, widest, step_state, y_state, state.count + 1)
        dx = optax.tree.scale(1 / reach, d[0])
        return new, Info(upper.loss, lower.loss, dx, cost(drawn, 2, 4 * solves + 6), {"penalty": w})

    return Solver(init, update)
