"""WiOR-BO: a single loop over a finite set of examples, taken without replacement; two examples an update.

    ξ, ζ ← the next upper and the next lower examples of their two orders
    y ← project_y( y − y_step ∂_y lower(x, y; ζ) )
    z ← the nearest within radius of   z − z_step ( ∇²_yy lower(x, y; ζ) z − ∂_y upper(x, y; ξ) )
    x ← project_x( x − x_step ( ∂ₓ upper(x, y; ξ) − ∇²_xy lower(x, y; ζ) z ) )

All right sides are at the old (x, y, z); z tracks [∇²_yy lower]⁻¹ ∂_y upper. The orders: `reshuffled`, a fresh
permutation every pass, the default; `shuffle_once`, one permutation for ever, whose bias depends on it and is
O(step); `independent`, with replacement, which is SOBA and the baseline. Each list is shuffled anew when it is at its
end, also where the two differ in length, and the two orders are independent.

The gain shows at the ends of passes, with small batches, and once N · step · L is about 1 or less: then the error
that stays is of a higher power of the step. With large batches there is none to speak of.

Needs: a finite set of examples (`problem.examples`); second derivatives of lower as products; lower strongly convex
in y, y*(x) inside its set.
Cost: an update is one upper and one lower batch, 3 partial gradients and 2 products.
Reference: Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via Without-Replacement Sampling" (arXiv
2411.05868, NeurIPS 2024). The update rule is recalled, not checked against the paper's text. It shuffles once an
epoch of lcm(M, N) updates where the lists differ; here each list has its own passes (ours).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from upperhand.forms import Bilevel
from upperhand.hypergradients.ordering import Ordering, reshuffled, taken, unordered
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.hypergradients.radius import radius_of, within
from upperhand.schedule import descent, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    z: Tree  # like y, near [∇²_yy lower]⁻¹ ∂_y upper
    step: optax.OptState  # of x
    y_step: optax.OptState  # of y
    z_step: optax.OptState  # of z
    above: Int[Array, " M"]  # the order of the upper examples
    below: Int[Array, " N"]  # the order of the lower examples
    count: Count  # updates done


def wior_bo(
    problem: Bilevel,
    *,
    steps: int = 1000,
    x_step: Schedule | optax.GradientTransformation = 0.01,
    y_step: Schedule | optax.GradientTransformation = 0.02,
    z_step: Schedule | optax.GradientTransformation = 0.02,
    ordering: Ordering = reshuffled,
    batch: int = 1,
    radius: float | None = None,
) -> Solver:
    """Build WiOR-BO.

    Args:
      problem: general, with `examples`.
      steps: planned updates, over which two ends of a schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of y, likewise; about twice that of x.
      z_step: of z, likewise; about twice that of x, at most 1/L of lower.
      ordering: of the examples: reshuffled, shuffle_once or independent.
      batch: upper and lower examples of an update, each.
      radius: the largest ‖z‖, or none.
    Returns: Solver. Raises: ValueError for a problem without examples or a setting out of its range.
    Cost: an update is 2·batch examples, 3 partial gradients and 2 products.
    """
    plain(problem, "wior_bo", order=2)
    if problem.examples is None:
        raise ValueError("wior_bo orders a finite set of examples, and this problem has none: give Bilevel.examples.")
    whole("batch", (batch,), 1)
    descend, descend_y = descent("x_step", x_step, steps), descent("y_step", y_step, steps)
    descend_z, longest, examples = descent("z_step", z_step, steps), radius_of(radius), problem.examples

    def init(x, y):
        z = optax.tree.zeros_like(y)
        states = (descend.init(x), descend_y.init(y), descend_z.init(z))
        return State(x, y, z, *states, unordered(examples.upper), unordered(examples.lower), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        key_upper, key_lower = jax.random.split(key)
        x, y, z = state[:3]
        above, upper_places = taken(ordering, key_upper, state.above, state.count, batch)
        below, lower_places = taken(ordering, key_lower, state.below, state.count, batch)
        upper = partials(problem.upper, x, y, examples.take_upper(upper_places))
        lower = curved(problem.lower, x, y, examples.take_lower(lower_places))
        across, along = lower.products(z)
        dx = optax.tree.sub(upper.dx, across)
        move, y_state = descend_y.update(lower.dy, state.y_step, y)
        y = problem.project_y(optax.apply_updates(y, move))  # line 1
        move, z_state = descend_z.update(optax.tree.sub(along, upper.dy), state.z_step, z)
        z = within(longest, optax.apply_updates(z, move))  # line 2
        move, step_state = descend.update(dx, state.step, x)
        x = problem.project_x(optax.apply_updates(x, move))  # line 3
        new = State(x, y, z, step_state, y_state, z_state, above, below, state.count + 1)
        return new, Info(upper.loss, lower.loss, dx, cost(2 * batch, 3, 2), {})

    return Solver(init, update)
