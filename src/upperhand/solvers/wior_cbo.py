"""WiOR-CBO: conditional problems, whose lower level is another one for every upper example; all without replacement.

For each upper example i, in its order:
    y ← y₀, z ← 0
    `passes` times over the lower examples j of i, in their order:
        y ← y − y_step ∂_y lower(x, y; i, j)
        z ← the nearest within radius of   z − z_step ( ∇²_yy lower(x, y; i, j) z − ∂_y upper(x, y; i) )    at the old y
    x ← project_x( x − x_step ( ∂ₓ upper(x, y; i) − mean over the last pass of ∇²_xy lower(x, y; i, j) z ) )

Lower problems begin at y₀, the y that the run begins at, each time. The orders are those of `wior_bo`. Too few passes
leave a bias that no order mends; the gain over independent draws shrinks with large batches.

Needs: a Conditional problem; second derivatives of lower as products; every lower problem strongly convex in y.
Cost: an upper example is passes·n lower examples, as many products and 2·passes·n + 1 partial gradients, and n
products more for the last line; n lower examples belong to it.
Reference: Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via Without-Replacement Sampling" (arXiv
2411.05868, NeurIPS 2024). The update rule is recalled; that the cross-products are averaged over exactly the last
pass is derived.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int

from upperhand.forms import Conditional
from upperhand.hypergradients.ordering import Ordering, passed, reshuffled, taken, unordered
from upperhand.hypergradients.partial import curved
from upperhand.hypergradients.radius import radius_of, within
from upperhand.schedule import descent, whole
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # the answer to the last upper example; of a batch their mean
    start: Tree  # y₀, where each lower problem begins
    step: optax.OptState  # of x
    above: Int[Array, " M"]  # the order of the upper examples
    seed: Int[Array, ""]  # of the lower orders, where they are fixed
    count: Count  # updates done


def wior_cbo(
    problem: Conditional,
    *,
    steps: int = 1000,
    x_step: Schedule | optax.GradientTransformation = 0.01,
    y_step: Schedule | optax.GradientTransformation = 0.1,
    z_step: Schedule | optax.GradientTransformation = 0.1,
    passes: int = 4,
    ordering: Ordering = reshuffled,
    batch: int = 1,
    radius: float | None = None,
) -> Solver:
    """Build WiOR-CBO.

    Args:
      problem: conditional.
      steps: planned updates, over which two ends of x's schedule are joined.
      x_step: step size of plain descent, two ends of it, or an optax transformation.
      y_step: of y, likewise; begun anew with each lower problem, over whose steps two ends are joined.
      z_step: of z, likewise; at most 1/L of lower.
      passes: over the lower examples of an upper one.
      ordering: of all examples: reshuffled, shuffle_once or independent.
      batch: upper examples of an update.
      radius: the largest ‖z‖, or none.
    Returns: Solver. Raises: ValueError for another form or a setting out of its range.
    Cost: an update is batch times 1 + passes·n examples, 2·passes·n + 1 partial gradients and (passes + 1)·n products.
    """
    if not isinstance(problem, Conditional):
        raise ValueError(f"wior_cbo takes a Conditional problem: got {type(problem).__name__}. See wior_bo for others.")
    (M, n), longest = problem.examples, radius_of(radius)
    whole("batch", (batch,), 1)
    length = whole("passes", (passes,), 1)[0] * n
    descend = descent("x_step", x_step, steps)
    descend_y, descend_z = descent("y_step", y_step, length), descent("z_step", z_step, length)

    def init(x, y):
        zero = jnp.asarray(0, jnp.int32)
        return State(x, y, y, descend.init(x), unordered(M), zero, zero)

    def lower_at(x, y, i, j):
        return curved(lambda x, y, j: problem.lower(x, y, i, j), x, y, j)

    def answered(key, x, start, i):
        """y and z of one upper example, and the lower examples of its last pass."""
        places = passed(ordering, key, n, passes)

        def body(carry, j):
            y, z, y_state, z_state = carry
            lower = lower_at(x, y, i, j)
            along = optax.tree.sub(lower.products(z)[1], jax.grad(problem.upper, argnums=1)(x, y, i))
            move, y_state = descend_y.update(lower.dy, y_state, y)
            turn, z_state = descend_z.update(along, z_state, z)
            return (optax.apply_updates(y, move), within(longest, optax.apply_updates(z, turn)), y_state, z_state), None

        zero = optax.tree.zeros_like(start)
        first = (start, zero, descend_y.init(start), descend_z.init(zero))
        return *jax.lax.scan(body, first, places.ravel())[0][:2], places[-1]

    def moved(key, x, start, i):
        """dx of one upper example, its y, and both losses there."""
        y, z, last = answered(key, x, start, i)
        upper, dx = jax.value_and_grad(problem.upper)(x, y, i)
        each = jax.vmap(problem.lower, (None, None, None, 0))

        def along(x):
            """⟨∂_y lower, z⟩ in the mean, whose gradient in x is the mean of ∇²_xy lower z; and the mean of lower."""
            return jax.jvp(lambda y: jnp.mean(each(x, y, i, last)), (y,), (z,))[::-1]

        across, lower = jax.grad(along, has_aux=True)(x)
        return optax.tree.sub(dx, across), y, upper, lower

    def update(key: Key, state: State):
        key_upper, key_lower, key_seed = jax.random.split(key, 3)
        above, places = taken(ordering, key_upper, state.above, state.count, batch)
        drawn = jax.random.randint(key_seed, (), 0, jnp.iinfo(jnp.int32).max, jnp.int32)
        seed = jnp.where(state.count == 0, drawn, state.seed)
        held, fresh = jax.random.key(seed), jax.random.split(key_lower, batch)
        keys = jax.vmap(lambda i: jax.random.fold_in(held, i))(places) if ordering.fixed else fresh
        each = jax.vmap(moved, (0, None, None, 0))(keys, state.x, state.start, places)
        dx, y, upper, lower = jax.tree.map(lambda leaf: jnp.mean(leaf, 0), each)
        move, step_state = descend.update(dx, state.step, state.x)
        x = problem.project_x(optax.apply_updates(state.x, move))
        new = State(x, y, state.start, step_state, above, seed, state.count + 1)
        spent = cost(batch * (1 + length), batch * (2 * length + 1), batch * (length + n))
        return new, Info(upper, lower, dx, spent, {})

    return Solver(init, update)
