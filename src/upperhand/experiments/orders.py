"""Orders of examples side by side: one method and its steps, judged by the exact hypergradient at the ends of "
"passes."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, Conditional
from upperhand.hypergradients.ordering import Ordering, independent, reshuffled, shuffle_once
from upperhand.solver import Solver

ORDERS: dict[str, Ordering] = {"independent": independent, "shuffle_once": shuffle_once, "reshuffled": reshuffled}


def paths(
    problem: Bilevel | Conditional,
    method: Callable[[jax.Array], Solver],
    sizes: Sequence[float],
    *,
    seeds: int,
    passes: int,
    updates: int,
) -> np.ndarray:
    """The exact ‖∇Φ‖² after every pass, of all step sizes and seeds in one program, in float64.

    Args:
      problem: with its oracle.
      method: step size of x → Solver; it is traced.
      sizes: step sizes.
      seeds: of each; the same draws for every size.
      passes: over the examples.
      updates: of a pass.
    Returns: [passes, sizes, seeds].
    """
    fold = jax.vmap(jax.random.fold_in, (0, None))

    def walked(size, keys):
        solver = method(size)
        x, y = jax.vmap(problem.init)(keys)

        def over(states, number):
            body = lambda i, states: jax.vmap(solver.update)(fold(keys, number * updates + i), states)[0]  # noqa: E731
            states = jax.lax.fori_loop(0, updates, body, states)
            return states, jnp.sum(jax.vmap(problem.exact.hypergradient)(states.x) ** 2, -1)

        return jax.lax.scan(over, jax.vmap(solver.init)(x, y), jnp.arange(passes))[1]

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), seeds)
        found = jax.jit(jax.vmap(walked, (0, None), 1))(jnp.asarray(sizes, float), keys)
    return np.asarray(found)
