"""ALT-PBGD: two lower copies in alternation with x, and a penalty that makes x's step no smaller.

    y  ← loops steps of   y  ← project_y( y  − y_step ∂_y lower(x, y) )
    yw ← loops steps of   yw ← project_y( yw − y_step ( w ∂_y upper(x, yw) + ∂_y lower(x, yw) ) )
    dx = ∂ₓ upper(x, yw) + (1/w) ( ∂ₓ lower(x, yw) − ∂ₓ lower(x, y) )
    x  ← project_x( x − x_step dx )

dx is the gradient of F_w(x) = ( min_y [w upper + lower] − min_y lower )/w, whose smoothness does not suffer as w
shrinks: so x's step stays as it is, where a joint penalty method's must shrink with w.

Needs: first derivatives; a lower level that is strongly convex in y, over a closed convex set that does not depend on
x (the predecessor has PL instead, and no set).
It fails where the inner steps are too few: their errors are divided by w. From the same start, with the same steps,
those of y and yw cancel on quadratics, so that loops = 1 does there; elsewhere it may diverge.
x_step is of the order of one over Φ's smoothness, whatever w is; steps of y are at most 1/L of lower (both from the
paper); w is of order √ε for ‖G‖² ≤ ε, and loops of order log(1/(w ε)) (both derived). G = ( x − project_x( x − x_step
∇F_w(x) ) )/x_step is the paper's measure of stationarity and what to stop on; dx is ∇F_w as far as y, yw are solved.
Cost: an update is 3·loops + 3 partial gradients; a batch of upper and one of lower, the same for all of its steps.
Reference: Jiang, Xiao, L. Chen, T. Chen, "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates,
and Flatness Condition" (arXiv 2511.16796), and its predecessor arXiv 2507.20400: updates from the paper, as its first
author's public page states them, and the authors' code. The authors' runs are deterministic as far as we know; batches
are ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import partials, plain
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    yw: Tree  # near the minimiser of w upper(x, ·) + lower(x, ·)
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    yw_step: optax.OptState  # of yw
    count: Count  # updates done


def alt_pbgd(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 10,
    x_step: Step = 0.1,
    y_step: Step = 0.1,
    penalty: Schedule = 0.1,
) -> Solver:
    """Build ALT-PBGD.

    Args:
      problem: general, with a lower set that does not depend on x.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of each lower copy in an update.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of both lower copies, likewise; at most 1/L of lower.
      penalty: w, the penalty is 1/w.
    Returns: Solver. Raises: ValueError for a coupled problem or a setting out of its range.
    Cost: an update is 3·loops + 3 partial gradients.
    """
    plain(problem, "alt_pbgd")
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps, loops=loops)
    descend = descent("x_step", x_step, steps)
    weight, (of_upper, of_lower) = schedule("penalty", penalty, steps), problem.drawn

    def init(x, y):
        states = (descend.init(x), lower_steps.start(y), lower_steps.start(y))
        return State(x, y, y, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        w, x = weight(state.count), state.x
        above = problem.draw_upper(key_upper, x, state.yw)
        below = problem.draw_lower(key_lower, x, state.y)
        plainly = lambda k, y: jax.grad(problem.lower, argnums=1)(x, y, below)  # noqa: E731
        y, y_state = lower_steps.settle(plainly, state.y, state.y_step)  # line 1
        both = lambda y: w * problem.upper(x, y, above) + problem.lower(x, y, below)  # noqa: E731
        bent = lambda k, y: jax.grad(both)(y)  # noqa: E731
        yw, yw_state = lower_steps.settle(bent, state.yw, state.yw_step)  # line 2
        upper, at_yw = partials(problem.upper, x, yw, above), partials(problem.lower, x, yw, below)
        at_y = partials(problem.lower, x, y, below)
        dx = jax.tree.map(lambda u, a, b: u + (a - b) / w, upper.dx, at_yw.dx, at_y.dx)  # line 3
        move, step_state = descend.update(dx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 4
        new = State(x, y, yw, step_state, y_state, yw_state, state.count + 1)
        spent = cost(of_upper + of_lower, 3 * loops + 3)
        return new, Info(upper.loss, at_y.loss, dx, spent, {"penalty": w})

    return Solver(init, update)
