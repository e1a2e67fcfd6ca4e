"""Fast two-time-scale stochastic gradient: both equations are averaged before they move anything.

    hx ← (1 − average) hx + average slow(x, y; ξ)
    hy ← (1 − average) hy + average fast(x, y; ξ)        average = 16/(k + 50), and 1 in the first update
    x  ← project_x( x − x_step hx )                      x_step = 2/(k + 50)
    y  ← y − y_step hy                                   y_step = 8/(k + 50)

Three scales in fixed ratios, all falling as 1/k: so ‖x − x*‖² and ‖y − y*‖² fall as 1/k where the slow equation is
the gradient of a strongly convex Φ, against k^(−⅔) of `two_time_scale`; Φ − Φ* as 1/k under a gradient-dominance
condition (whether with log factors is not known to us); ‖∇Φ‖² as 1/√k, with steps of that size, without one. Where both
equations are linear the standard method's x falls as 1/k already, and the gain is in y alone. A rate for Φ that is
convex and no more was withdrawn by the authors.

What the averaging is needed for is the proof: on our problems (`upperhand reproduce two_time_scales`) `two_time_scale`
with a y step of 2/(k + 50) or 8/(k + 50), and no averaging, falls as 1/k too and ends as near; 1/(k + 50) is too small.

Of a bilevel problem the fast variable is (y, z), as in `two_time_scale`.

Needs: as two_time_scale. The average must fall most slowly and be well above y's step, that above x's: near ratios
oscillate; x_step's scale must exceed 1/(2µ) with a margin.
Cost: an update is one sample of both equations; of a bilevel problem 3 partial gradients and 2 products.
Reference: Zeng, Doan, "Fast Two-Time-Scale Stochastic Gradient Method with Applications in Reinforcement Learning"
(arXiv 2405.09660): the averaging of both estimates is from the paper; the order of the lines, the schedules and the
rates are recalled, whether for independent samples or for those of a Markov chain is not known to us. Ours: the first
estimate is the first sample, and the average is taken at k, in their order at k − 1.
"""

from typing import NamedTuple

import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel, Equations
from upperhand.hypergradients.equations import coupled
from upperhand.hypergradients.toward import toward
from upperhand.schedule import Power, descent, share
from upperhand.solver import Info, Solver
from upperhand.types import Count, Key, Schedule, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # slow, upper variable
    y: Tree  # fast, lower variable
    z: Tree  # of a bilevel problem like y, near [∇²_yy lower]⁻¹ ∂_y upper; of equations ()
    hx: Tree  # like x, the averaged slow equation
    hy: tuple[Tree, Tree]  # like (y, z), the averaged fast one
    step: optax.OptState  # of x
    y_step: optax.OptState  # of (y, z)
    count: Count  # updates done


def fast_two_time_scale(
    problem: Bilevel | Equations,
    *,
    steps: int = 1000,
    x_step: Schedule | optax.GradientTransformation = Power(2.0, -1.0, 50.0),
    y_step: Schedule | optax.GradientTransformation = Power(8.0, -1.0, 50.0),
    average: Schedule = Power(16.0, -1.0, 50.0),
) -> Solver:
    """Build the fast two-time-scale method.

    Args:
      problem: two coupled equations, or general.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of x, two ends of it, a schedule such as a Power, or an optax transformation.
      y_step: of y and z, likewise; larger.
      average: weight of a new sample in the averaged equations; larger than y_step, cut at 1.
    Returns: Solver. Raises: ValueError for a problem that is no plain one of order 2, or a setting out of its range.
    Cost: an update is one sample of both equations.
    """
    both = coupled(problem, "fast_two_time_scale")
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    weight = share("average", average, steps)

    def init(x, y):
        z = both.hidden(y)
        means = optax.tree.zeros_like((x, (y, z)))
        return State(x, y, z, *means, descend.init(x), descend_y.init((y, z)), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, y, z = state[:3]
        seen = both.sample(key, x, y, z)
        new = jnp.where(state.count == 0, 1.0, weight(state.count))
        hx, hy = toward((state.hx, state.hy), (seen.slow, seen.fast), new)  # lines 1 and 2
        move, step_state = descend.update(hx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 3
        move, y_state = descend_y.update(hy, state.y_step, (y, z))
        y, z = optax.apply_updates((y, z), move)  # line 4
        after = State(x, both.project_y(y), z, hx, hy, step_state, y_state, state.count + 1)
        return after, Info(seen.upper, seen.lower, hx, both.cost, {"average": new})

    return Solver(init, update)
