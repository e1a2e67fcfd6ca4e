"""A lower problem with constraints that couple x and y, by descent in y and ascent in the multipliers."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.forms import Bilevel
from upperhand.hypergradients.settling import settling
from upperhand.schedule import descent, nonnegative, whole
from upperhand.types import Schedule, Step, Tree


class Dual(NamedTuple):
    """What a search keeps between updates besides y (a warm start)."""

    m: Float[Array, " M"]  # multipliers, from the floor up
    y_step: optax.OptState
    m_step: optax.OptState


class PrimalDual(NamedTuple):
    """The search, built."""

    start: Callable[[Tree, Tree], Dual]  # (x, y) → Dual, with multipliers at their floor
    solve: Callable[[Callable[[Tree], Array], Tree, Tree, Dual], tuple[Tree, Dual]]  # (loss of y, x, y, Dual) → y, Dual


def primal_dual(
    problem: Bilevel,
    *,
    steps: int,
    rounds: int,
    loops: int,
    y_step: Step,
    multiplier_step: Schedule | optax.GradientTransformation,
    floor: float,
) -> PrimalDual:
    """min over y of a loss, with constraint(x, y) ≤ 0.

    `rounds` times:   y ← loops steps of   y ← project_y( y − y_step ( ∂_y loss(y) + Σ mᵢ ∂_y cᵢ(x, y) ) )
                      m ← max( floor, m + multiplier_step c(x, y) )

    Args:
      problem: with a constraint c, convex in y.
      steps: planned updates, over which two ends of a schedule are joined.
      rounds, loops: how many times; always all of them.
      y_step, multiplier_step: step sizes of plain descent and ascent, two ends of one, or optax transformations.
      floor: least multiplier; above 0 it bends constraints that are not active, a little.
    Returns: PrimalDual. Raises: ValueError for a setting out of its range.
    Cost: a call of `solve` is rounds·loops gradients of the loss and as many of Σ mᵢ cᵢ, and rounds values of c.
    Reference: authors' code of BLOCC, where floor is 1e-5 and the search stops early where the gradients are below
      1e-4.
    """
    whole("rounds", (rounds,), 1)
    nonnegative("floor", floor)
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps * rounds, loops=loops)
    ascend = descent("multiplier_step", multiplier_step, steps * rounds)

    def start(x, y):
        shape = jax.eval_shape(problem.constraint, x, y)
        m = jnp.full(shape.shape, floor, shape.dtype)
        return Dual(m, lower_steps.start(y), ascend.init(m))

    def solve(loss, x, y, dual):
        def turn(_, carry):
            y, dual = carry
            whole_loss = lambda y: loss(y) + jnp.vdot(dual.m, problem.constraint(x, y))  # noqa: E731
            slope = lambda k, y: jax.grad(whole_loss)(y)  # noqa: E731
            y, y_state = lower_steps.settle(slope, y, dual.y_step)
            move, m_state = ascend.update(-problem.constraint(x, y), dual.m_step, dual.m)
            m = jnp.maximum(optax.apply_updates(dual.m, move), floor)
            return y, Dual(m, y_state, m_state)

        return jax.lax.fori_loop(0, rounds, turn, (y, dual))

    return PrimalDual(start, solve)
