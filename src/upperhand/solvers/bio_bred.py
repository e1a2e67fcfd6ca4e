"""BiO-BreD: the hypergradient through a few unrolled lower steps, and a mirror step of x that takes l1 ‖x‖₁ exactly.

    y  ← loops steps of   y ← project_y( y − y_step ∂_y lower(x, y) ),   from where y was
    dx = d upper(x, y)/dx  by back-propagation through these steps, their first y held constant
    x  ← M(x, dx) = argmin over u in X of  ⟨dx, u⟩ + l1 ‖u‖₁ + (1/x_step) D(u, x)

D is the Bregman distance of the mirror function, see hypergradients/mirrors.py. Where y has converged and H = ∂²_yy
lower, dx is as if H⁻¹ were H⁻¹ ( I − (I − y_step H)^loops ): finite loops leave a bias, however long the run.

Needs: first derivatives, and back-propagation through y's steps (order 2); a lower level strongly convex in y.
It fails where loops · y_step is small beside 1/μ: the bias falls as (1 − y_step μ)^loops only, μ the least curvature.
Stop on G = ( x − M(x, dx) )/x_step, not on how far x moves, which scales with x_step. With the adaptive mirror and a
constant x_step a small G need not last: where its floor is small x leaves the solution again, see mirrors.diagonal.
Cost: an update is loops + 2 partial gradients and 2·loops second-order products, and memory for loops values of y; a
batch of upper and one of lower, which serves all loops.
Reference: "Enhanced Bilevel Optimization via Bregman Distance" (arXiv 2107.12301, NeurIPS 2022), Algorithm 1 (from the
paper). Ours: batches where the problem has any (the paper's is deterministic), projections of y, which are
back-propagated through, and the last x as the result, where the paper draws one of all.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.mirrors import Mirror, euclidean, mover
from upperhand.hypergradients.partial import plain
from upperhand.hypergradients.settling import settling
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    step: Any  # the mirror's memory, of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def bio_bred(
    problem: Bilevel,
    *,
    steps: int = 1000,
    loops: int = 20,
    x_step: Schedule | optax.GradientTransformation = 0.1,
    y_step: Step = 0.1,
    mirror: Mirror = euclidean,
) -> Solver:
    """Build BiO-BreD.

    Args:
      problem: general, with or without l1.
      steps: planned updates, over which two ends of a schedule are joined.
      loops: lower steps in an update, through which the hypergradient goes.
      x_step: size of the mirror step, two ends of it, or an optax transformation in place of the whole Euclidean step,
        where there is no l1.
      y_step: step size of plain descent, two ends of it, or an optax transformation; at most 1/L of lower.
      mirror: what measures nearness in x: euclidean, adaptive (steps of every coordinate's own scale), or entropy
        (x on the simplex); in Python also mirrors.diagonal(floor=…).
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is loops + 2 partial gradients and 2·loops second-order products.
    """
    plain(problem, "bio_bred", order=2, takes_l1=True)
    lower_steps = settling("y_step", y_step, problem.project_y, updates=steps, loops=loops)
    moving = mover(problem, mirror, x_step, steps)

    def init(x, y):
        return State(x, y, moving.init(x), lower_steps.start(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        above = problem.draw_upper(key_upper, state.x, state.y)
        below = problem.draw_lower(key_lower, state.x, state.y)

        def through(x):
            """Upper after the lower steps, and where these ended."""
            slope = lambda k, y: jax.grad(problem.lower, argnums=1)(x, y, below)  # noqa: E731
            y, y_state = lower_steps.settle(slope, state.y, state.y_step)  # line 1
            return problem.upper(x, y, above), (y, y_state)

        (upper, (y, y_state)), dx = jax.value_and_grad(through, has_aux=True)(state.x)  # line 2
        x, memory = moving.step(state.step, state.x, dx, state.count)  # line 3
        lower = problem.lower(state.x, y, below)
        new = State(x, y, memory, y_state, state.count + 1)
        return new, Info(upper, lower, dx, cost(sum(problem.drawn), loops + 2, 2 * loops), {})

    return Solver(init, update)
