"""GALET: an alternating method that a singular Hessian of lower does not stop.

    y ← loops steps of    y ← project_y( y − y_step ∂_y lower )
    z ← keep · z, then solves steps of    z ← z − z_step ∇²_yy lower ( ∇²_yy lower z − ∂_y upper )
    x ← project_x( x − x_step dx )                      dx = ∂ₓ upper − ∇²_xy lower z

A step of z is one down ½‖∇²_yy lower z − ∂_y upper‖²: two products with the Hessian. That is what a singular Hessian
asks for: from z = 0 the limit is [∇²_yy lower]⁺ ∂_y upper, the shortest solution, while the one product of `soba`
grows without bound along the null space of the Hessian, and diverges where the Hessian is indefinite. Started from
z = 0 in every update (keep = 0), too few solves are a bias of the x that is reached, not slowness; kept (keep = 1, our
default), one is enough.

Where lower has many minimisers, x and the y that is reached are stationary together; which y among the minimisers is
best for upper is not looked for: a direction of y that lower does not see stays where it started.

Needs: first derivatives, and products with ∇²_yy and ∇²_xy of lower; a lower level that satisfies the
Polyak-Łojasiewicz inequality, whose Hessian's eigenvalues other than 0 keep away from 0. z_step ≤ 1/L², the curvature
off the minimisers included: on `sine_valley` 61 of 2,000 starts diverged at z_step = 0.2, solves = 50, none of them
with 10 loops; at z_step = 0.1 none with 50 solves, 1 with 100 (`upperhand reproduce singular_lower --starts 2000`).
Cost: an update is loops + 2 partial gradients and 2·solves + 1 second-order products; a batch of upper and of lower.
Reference: Xiao, Lu, T. Chen, "A Generalized Alternating Method for Bilevel Learning under the Polyak-Łojasiewicz
Condition" (arXiv 2306.02422; NeurIPS 2023). Its abstract has the measure of stationarity for lower levels that are not
convex, but tailors the method to convex ones; `sine_valley` is not convex. The structure is recalled, not checked
against the text, the cold start (z ← 0) less sure; theirs is deterministic, and their z has the other sign. The kept
start is ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near a minimiser of lower(x, ·)
    z: Tree  # like y, near [∇²_yy lower]⁺ ∂_y upper
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    z_step: optax.OptState  # of z
    count: Count  # updates done


def galet(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 1,
    solves: int = 1,
    x_step: Step = 0.1,
    y_step: Step = 0.2,
    z_step: Step = 0.1,
    keep: float = 1.0,
) -> Solver:
    """Build GALET.

    Args:
      problem: general, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of y in an update.
      solves: steps of z in an update.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of the lower variable, likewise; at most 1/L of lower.
      z_step: of the linear system, likewise; at most 1/L² of lower.
      keep: the share of the last z that an update starts from, in [0, 1]: 1 is a warm start, 0 a cold one.
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is loops + 2 partial gradients and 2·solves + 1 second-order products.
    """
    plain(problem, "galet", order=2)
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps, loops=loops)
    whole("solves", (solves,), 1)
    if isinstance(keep, int | float) and not 0 <= keep <= 1:
        raise ValueError(f"keep must be from 0 (a cold start) to 1 (a warm one): got {keep!r}.")
    descend, drawn = descent("x_step", x_step, steps), sum(problem.drawn)
    descend_z = descent("z_step", z_step, steps * solves)

    def init(x, y):
        z = optax.tree.zeros_like(y)
        states = (descend.init(x), lower_steps.start(y), descend_z.init(z))
        return State(x, y, z, *states, jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        x = state.x
        above, below = problem.draw_upper(key_upper, x, state.y), problem.draw_lower(key_lower, x, state.y)
        slope = lambda _, y: jax.grad(problem.lower, 1)(x, y, below)  # noqa: E731
        y, step_y = lower_steps.settle(slope, state.y, state.y_step)  # line 1
        upper, lower = partials(problem.upper, x, y, above), curved(problem.lower, x, y, below)

        def solve(_, carry):
            z, step = carry
            rest = optax.tree.sub(lower.products(z)[1], upper.dy)
            move, step = descend_z.update(lower.products(rest)[1], step, z)
            return optax.apply_updates(z, move), step

        start = optax.tree.scale(keep, state.z)
        z, step_z = jax.lax.fori_loop(0, solves, solve, (start, state.z_step))  # line 2
        dx = optax.tree.sub(upper.dx, lower.products(z)[0])
        move, step = descend.update(dx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 3
        new = State(x, y, z, step, step_y, step_z, state.count + 1)
        return new, Info(upper.loss, lower.loss, dx, cost(drawn, loops + 2, 2 * solves + 1), {})

    return Solver(init, update)
