"""PBGD-Free where constraints couple x and y: upper's own partial gradient, at a y bent a little towards upper.

    (y, m) ← rounds of descent and ascent of   min over y, c(x, y) ≤ 0, of   w upper(x, y) + lower(x, y)
    x      ← project_x( x − x_step ∂ₓ upper(x, y) )

A round is `loops` steps of y down its loss + m·c, then m ← max(floor, m + multiplier_step c). y and m go on from where
they were.

What is dropped is the whole path of x through y*(x), what the constraint does among it: it is biased unless upper is
nearly flat in y there. On lower = (y − 2x)², y ≥ 3x, upper = ½(x − 1)² + s y it ends at 1 where the best x is 1 − 3s.
The norm of its own direction tells nothing of that, as in pbgd_free: stop on that of pbgd_blocc's dx, and check it
against pbgd_blocc.

Needs: first derivatives; upper depends on x directly (else it could not move, and is refused) and is nearly flat in y;
a lower level that is strongly convex in y, c convex in y.
Cost: an update is 3·rounds·loops + 1 partial gradients, of which rounds·loops are of m·c; a batch of each.
Reference: Jiang, Xiao, L. Chen, T. Chen, "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates,
and Flatness Condition" (arXiv 2511.16796): update, search and counts from the authors' code, where floor is 1e-5 and a
search stops early; the example is derived.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import moves, partials, plain
from upperhand.hypergradients.primal_dual import Dual, primal_dual
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of w upper(x, ·) + lower(x, ·)
    dual: Dual  # of the search for y, with m
    step: optax.OptState  # of x
    count: Count  # updates done


def pbgd_free_coupled(
    problem: Bilevel,
    *,
    steps: int = 1000,
    rounds: int = 10,
    loops: int = 5,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    multiplier_step: Step = 0.1,
    penalty: Schedule = 0.1,
    floor: float = 0.0,
) -> Solver:
    """Build PBGD-Free for coupled constraints.

    Args:
      problem: general, with a constraint, whose upper depends on x directly.
      steps: planned updates, over which two ends of a schedule are joined.
      rounds: of descent and ascent in an update.
      loops: steps of y in a round.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of y, likewise; at most about 1/L of lower.
      multiplier_step: of the multipliers, plain ascent, likewise.
      penalty: w, how much of upper is added to lower.
      floor: least multiplier, at least 0.
    Returns: Solver; the hypergradient that it tells is ∂ₓ upper, which is not that of Φ. Raises: ValueError for a
      problem without constraint, one whose upper does not depend on x directly, or a setting out of its range.
    Cost: an update is 3·rounds·loops + 1 partial gradients.
    """
    moves(plain(problem, "pbgd_free_coupled", takes_coupling=True), "pbgd_free_coupled")
    search = primal_dual(
        problem, steps=steps, rounds=rounds, loops=loops, y_step=y_step, multiplier_step=multiplier_step, floor=floor
    )
    descend, weight = descent("x_step", x_step, steps), schedule("penalty", penalty, steps)
    of_upper, of_lower = problem.drawn

    def init(x, y):
        return State(x, y, search.start(x, y), descend.init(x), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x = weight(state.count), state.x
        above, below = problem.draw_upper(key_upper, x, state.y), problem.draw_lower(key_lower, x, state.y)
        both = lambda y: w * problem.upper(x, y, above) + problem.lower(x, y, below)  # noqa: E731
        y, dual = search.solve(both, x, state.y, state.dual)  # line 1
        upper = partials(problem.upper, x, y, above)
        move, step_state = descend.update(upper.dx, state.step, x)
        x_new = problem.project_x(optax.apply_updates(x, move))  # line 2
        new = State(x_new, y, dual, step_state, state.count + 1)
        spent = cost(of_upper + of_lower, 3 * rounds * loops + 1)
        return new, Info(upper.loss, problem.lower(x, y, below), upper.dx, spent, {"penalty": w})

    return Solver(init, update)
