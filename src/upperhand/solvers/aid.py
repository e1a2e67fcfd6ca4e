"""AID, approximate implicit differentiation: some lower steps, some conjugate gradients, one step of x.

    y ← loops steps of    y ← project_y( y − y_step ∂_y lower )
    z ← solves conjugate gradients from z on    ( ∇²_yy lower + ridge I ) z = ∂_y upper
    x ← project_x( x − x_step dx )                      dx = ∂ₓ upper − ∇²_xy lower z

The classical method with an inner loop, y and z started where the last update left them. A ridge makes a singular
Hessian regular and biases x by a known kind of amount: where the Hessian has one curvature q along ∂_y upper, z is too
short by q/(q + ridge). Without a ridge conjugate gradients solve in the least-squares sense as long as ∂_y upper lies
in the range of the Hessian, and stop for good at a direction in which the Hessian does not curve upwards.

Needs: first derivatives, and products with ∇²_yy and ∇²_xy of lower; a lower level strongly convex in y, without a
constraint that is active at y*(x). A noisy Hessian makes its inverse biased: large batches, or `ma_soba`.
Cost: an update is loops + 2 partial gradients and at most solves + 2 second-order products; a batch of upper and of
lower.
Reference: the field's standard method; Ji, Yang, Liang, "Bilevel Optimization: Convergence Analysis and Enhanced
Design" (arXiv 2010.07962), as AID-BiO, with both warm starts (all recalled). The ridge, and the conjugate gradients
that stop at a direction of no curvature, are ours.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.hypergradients.response import conjugate_gradients
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near y*(x)
    z: Tree  # like y, near [∇²_yy lower + ridge I]⁻¹ ∂_y upper
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def aid(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 10,
    solves: int = 10,
    x_step: Step = 0.1,
    y_step: Step = 0.3,
    ridge: float = 0.0,
) -> Solver:
    """Build AID.

    Args:
      problem: general, whose lower may be differentiated twice.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: steps of y in an update.
      solves: conjugate gradients in an update.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of the lower variable, likewise; at most 1/L of lower.
      ridge: what is added to the diagonal of the Hessian, at least 0, in units of its eigenvalues.
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is loops + 2 partial gradients and solves + 2 second-order products, counted also where conjugate
      gradients are done sooner.
    """
    plain(problem, "aid", order=2)
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps, loops=loops)
    whole("solves", (solves,), 1)
    if isinstance(ridge, int | float) and not 0 <= ridge < float("inf"):
        raise ValueError(f"ridge must be a finite number of at least 0: got {ridge!r}.")
    descend, drawn = descent("x_step", x_step, steps), sum(problem.drawn)

    def init(x, y):
        z = optax.tree.zeros_like(y)
        return State(x, y, z, descend.init(x), lower_steps.start(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        x = state.x
        above, below = problem.draw_upper(key_upper, x, state.y), problem.draw_lower(key_lower, x, state.y)
        slope = lambda _, y: jax.grad(problem.lower, 1)(x, y, below)  # noqa: E731
        y, step_y = lower_steps.settle(slope, state.y, state.y_step)  # line 1
        upper, lower = partials(problem.upper, x, y, above), curved(problem.lower, x, y, below)
        matrix = lambda z: optax.tree.add_scale(lower.products(z)[1], ridge, z)  # noqa: E731
        rest = optax.tree.sub(upper.dy, matrix(state.z))
        z = optax.tree.add(state.z, conjugate_gradients(matrix, rest, solves))  # line 2
        dx = optax.tree.sub(upper.dx, lower.products(z)[0])
        move, step = descend.update(dx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 3
        new = State(x, y, z, step, step_y, state.count + 1)
        return new, Info(upper.loss, lower.loss, dx, cost(drawn, loops + 2, solves + 2), {})

    return Solver(init, update)
