"""PBGD-BLOCC: alt_pbgd for a lower problem whose constraints couple x and y; multipliers carry what x does to them.

    (y,  m)  ← rounds of descent and ascent of   min over y, c(x, y) ≤ 0, of   lower(x, y)
    (yw, mw) ← rounds of descent and ascent of   min over y, c(x, y) ≤ 0, of   w upper(x, y) + lower(x, y)
    dx = ∂ₓ upper(x, yw) + (1/w) [ ∂ₓ lower(x, yw) + mw·∂ₓ c(x, yw) − ∂ₓ lower(x, y) − m·∂ₓ c(x, y) ]
    x  ← project_x( x − x_step dx )

A round is `loops` steps of y down its loss + m·c, then m ← max(floor, m + multiplier_step c). Copies and multipliers go
on from where they were.

Needs: first derivatives; a lower level that is strongly convex in y, c convex in y; independent gradients of the active
constraints and strict complementarity, without which nothing is claimed.
It fails where a solve is too short: errors of both copies and of their multipliers are divided by w.
Cost: an update is 5·rounds·loops + 5 partial gradients: a step of y is one of lower and one of m·c, of yw one of upper
besides; a batch of each.
Reference: Jiang, Xiao, L. Chen, T. Chen, "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates,
and Flatness Condition" (arXiv 2511.16796): update and search from the authors' code of BLOCC, conditions from the
paper. Theirs has floor 1e-5, which leaves a small bias where a constraint is not active (derived), and stops a search
early; ours has floor 0 and does all rounds. The surrogate with multipliers that the paper analyses is not implemented.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import partials, plain
from upperhand.hypergradients.primal_dual import Dual, primal_dual
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    yw: Tree  # near the minimiser of w upper(x, ·) + lower(x, ·)
    dual: Dual  # of the search for y, with m
    dual_w: Dual  # of the search for yw, with mw
    step: optax.OptState  # of x
    count: Count  # updates done


def pbgd_blocc(
    problem: Bilevel,
    *,
    steps: int = 1000,
    rounds: int = 20,
    loops: int = 20,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    multiplier_step: Step = 0.1,
    penalty: Schedule = 0.1,
    floor: float = 0.0,
) -> Solver:
    """Build PBGD-BLOCC.

    Args:
      problem: general, with a constraint.
      steps: planned updates, over which two ends of a schedule are joined.
      rounds: of descent and ascent in each of the two solves of an update.
      loops: steps of y in a round.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of both lower copies, likewise; at most 1/L of lower.
      multiplier_step: of the multipliers, plain ascent, likewise.
      penalty: w, the penalty is 1/w.
      floor: least multiplier, at least 0.
    Returns: Solver. Raises: ValueError for a problem without constraint or a setting out of its range.
    Cost: an update is 5·rounds·loops + 5 partial gradients.
    """
    plain(problem, "pbgd_blocc", takes_coupling=True)
    search = primal_dual(
        problem, steps=steps, rounds=rounds, loops=loops, y_step=y_step, multiplier_step=multiplier_step, floor=floor
    )
    descend, weight = descent("x_step", x_step, steps), schedule("penalty", penalty, steps)
    of_upper, of_lower = problem.drawn

    def init(x, y):
        dual = search.start(x, y)
        return State(x, y, y, dual, dual, descend.init(x), jnp.asarray(0, jnp.int32))

    def bound(x, y, dual):
        """∂ₓ of m·c(x, y)."""
        return jax.grad(lambda x: jnp.vdot(dual.m, problem.constraint(x, y)))(x)

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x = weight(state.count), state.x
        above, below = problem.draw_upper(key_upper, x, state.yw), problem.draw_lower(key_lower, x, state.y)
        y, dual = search.solve(lambda y: problem.lower(x, y, below), x, state.y, state.dual)  # line 1
        both = lambda y: w * problem.upper(x, y, above) + problem.lower(x, y, below)  # noqa: E731
        yw, dual_w = search.solve(both, x, state.yw, state.dual_w)  # line 2
        upper, at_yw = partials(problem.upper, x, yw, above), partials(problem.lower, x, yw, below)
        at_y = partials(problem.lower, x, y, below)
        parts = (upper.dx, at_yw.dx, bound(x, yw, dual_w), at_y.dx, bound(x, y, dual))
        dx = jax.tree.map(lambda u, a, ca, b, cb: u + (a + ca - b - cb) / w, *parts)  # line 3
        move, step_state = descend.update(dx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 4
        new = State(x, y, yw, dual, dual_w, step_state, state.count + 1)
        spent = cost(of_upper + of_lower, 5 * rounds * loops + 5)
        return new, Info(upper.loss, at_y.loss, dx, spent, {"penalty": w})

    return Solver(init, update)
