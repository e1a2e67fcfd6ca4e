"""Two-time-scale stochastic approximation, the standard form: a slow step and a fast one along raw samples.

    x ← project_x( x − x_step slow(x, y; ξ) )        x_step = 2/(k + 50)
    y ← y − y_step fast(x, y; ξ)                     y_step = 1/(k + 50)^⅔, which falls more slowly

Both right sides are at the old (x, y) and of the same sample ξ. y solves the fast equation in its mean while x hardly
moves. Of a bilevel problem the fast variable is (y, z): fast = ( ∂_y lower, ∇²_yy lower z − ∂_y upper ) and
slow = ∂ₓ upper − ∇²_xy lower z, so both solve one system (derived; SOBA with steps on two scales).

Because y's step is larger than 1/k, its noise and, where slow is not linear in y, x's too fall as k^(−⅔) only:
`fast_two_time_scale` mends that.

Needs: two coupled equations, the fast one strongly monotone in y; or second derivatives of lower as products,
strongly convex in y with y*(x) inside its set. x_step's scale must exceed 1/(2µ) with a margin, µ of the slow
equation.
Cost: an update is one sample of both equations; of a bilevel problem 3 partial gradients and 2 products.
Reference: the baseline of Zeng, Doan, "Fast Two-Time-Scale Stochastic Gradient Method with Applications in
Reinforcement Learning" (arXiv 2405.09660), analysed in arXiv 2109.14756; form and exponents recalled; the offset of
50 is ours, and keeps the first steps small.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel, Equations
from upperhand.hypergradients.equations import coupled
from upperhand.schedule import Power, descent
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Schedule, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # slow, upper variable
    y: Tree  # fast, lower variable
    z: Tree  # of a bilevel problem like y, near [∇²_yy lower]⁻¹ ∂_y upper; of equations ()
    step: optax.OptState  # of x
    y_step: optax.OptState  # of (y, z)
    count: Count  # updates done


def two_time_scale(
    problem: Bilevel | Equations,
    *,
    steps: int = 1000,
    x_step: Schedule | optax.GradientTransformation = Power(2.0, -1.0, 50.0),
    y_step: Schedule | optax.GradientTransformation = Power(1.0, -2 / 3, 50.0),
) -> Solver:
    """Build the standard two-time-scale method.

    Args:
      problem: two coupled equations, or general.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of x, two ends of it, a schedule such as a Power, or an optax transformation.
      y_step: of y and z, likewise; it falls more slowly.
    Returns: Solver. Raises: ValueError for a problem that is no plain one of order 2, or a setting out of its range.
    Cost: an update is one sample of both equations.
    """
    both = coupled(problem, "two_time_scale")
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)

    def init(x, y):
        z = both.hidden(y)
        return State(x, y, z, descend.init(x), descend_y.init((y, z)), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, y, z = state[:3]
        seen = both.sample(key, x, y, z)
        move, y_state = descend_y.update(seen.fast, state.y_step, (y, z))
        y, z = optax.apply_updates((y, z), move)  # line 2, at the old x
        move, step_state = descend.update(seen.slow, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 1
        new = State(x, both.project_y(y), z, step_state, y_state, state.count + 1)
        return new, Info(seen.upper, seen.lower, seen.slow, both.cost, {})

    return Solver(init, update)
