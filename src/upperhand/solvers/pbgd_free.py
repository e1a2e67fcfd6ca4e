"""PBGD-Free: x moves along upper's own partial gradient, taken where y is bent a little towards upper.

    y ← loops steps of   y ← project_y( y − y_step ( w ∂_y upper(x, y) + ∂_y lower(x, y) ) )
    x ← project_x( x − x_step ∂ₓ upper(x, y) )

It is alt_pbgd without the difference of lower's gradients in x, divided by w: one copy of y and a third of the
gradients. What is dropped is the whole path of x through y*(x). So it is biased unless upper is nearly flat in y around
y*(x): |upper(x, y*) − upper(x, y)| ≤ c ‖y* − y‖^a + δ(x) with 1 < a ≤ 1.5, and then the mean of ‖∇F_w‖² has a floor of
order δ^(2(a−1)/a). Otherwise it stops where ∂ₓ upper = 0, which may be far from any stationary point: upper = 10 y +
x², lower = (y − x + 1)² has its best x at −5, this ends at 0. The norm of its own direction tells nothing of that:
stop on that of alt_pbgd's dx, and check it against alt_pbgd.

Needs: first derivatives; upper depends on x directly (else it could not move, and is refused) and is nearly flat in y;
a lower level that is strongly convex in y, over a closed convex set that does not depend on x (the predecessor has PL
instead, and no set).
Cost: an update is 2·loops + 1 partial gradients; a batch of each.
Reference: Jiang, Xiao, L. Chen, T. Chen, "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates,
and Flatness Condition" (arXiv 2511.16796), and its predecessor arXiv 2507.20400: update from the paper (pseudo-code)
and the authors' code, condition and floor from the paper, counterexample from the authors' code. One batch of each for
all steps of an update, and refusing what cannot move, are ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import moves, partials, plain
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of w upper(x, ·) + lower(x, ·)
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def pbgd_free(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 1,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    penalty: Schedule = 0.1,
) -> Solver:
    """Build PBGD-Free.

    Args:
      problem: general, whose upper depends on x directly, with a lower set that does not depend on x.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of y in an update.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of y, likewise; at most about 1/L of lower.
      penalty: w, how much of upper is added to lower.
    Returns: Solver; the hypergradient that it tells is ∂ₓ upper, which is not that of Φ. Raises: ValueError for a
      coupled problem, one whose upper does not depend on x directly, or a setting out of its range.
    Cost: an update is 2·loops + 1 partial gradients.
    """
    moves(plain(problem, "pbgd_free"), "pbgd_free")
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps, loops=loops)
    descend = descent("x_step", x_step, steps)
    weight, (of_upper, of_lower) = schedule("penalty", penalty, steps), problem.drawn

    def init(x, y):
        return State(x, y, descend.init(x), lower_steps.start(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x = weight(state.count), state.x
        above, below = problem.draw_upper(key_upper, x, state.y), problem.draw_lower(key_lower, x, state.y)
        both = lambda y: w * problem.upper(x, y, above) + problem.lower(x, y, below)  # noqa: E731
        slope = lambda k, y: jax.grad(both)(y)  # noqa: E731
        y, y_state = lower_steps.settle(slope, state.y, state.y_step)  # line 1
        upper = partials(problem.upper, x, y, above)
        move, step_state = descend.update(upper.dx, state.step, x)
        x_new = problem.project_x(optax.apply_updates(x, move))  # line 2
        new = State(x_new, y, step_state, y_state, state.count + 1)
        spent = cost(of_upper + of_lower, 2 * loops + 1)
        lower = problem.lower(x, state.y, below)  # at the old y, where the first step has it at hand
        return new, Info(upper.loss, lower, upper.dx, spent, {"penalty": w})

    return Solver(init, update)
