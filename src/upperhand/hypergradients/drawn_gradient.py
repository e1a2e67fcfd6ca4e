"""What single-level methods see: the mean gradient of some drawn batches, and whether a problem is theirs."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from upperhand.forms import Minimise
from upperhand.schedule import whole
from upperhand.solver import Cost, cost
from upperhand.types import Key, Scalar, Tree


class Slopes(NamedTuple):
    """A loss and its gradient, drawn."""

    at: Callable[[Key, Tree], tuple[Scalar, Tree]]  # (key, x) → loss, gradient like x
    cost: Cost  # of one call


def slopes(problem: Minimise, name: str, batch: int = 1) -> Slopes:
    """The means over `batch` draws of the problem.

    Args:
      problem: single-level.
      name: of the method, for the message.
      batch: draws in a call.
    Returns: Slopes. Raises: ValueError for a problem of another form, or a batch that is no number of draws.
    Cost: a call is `batch` batches of the problem, and as many gradients.
    """
    if not isinstance(problem, Minimise):
        raise ValueError(f"{name} takes a Minimise problem, x alone: got {type(problem).__name__}.")
    whole("batch", (batch,), 1)

    def one(key: Key, x: Tree) -> tuple[Scalar, Tree]:
        return jax.value_and_grad(problem.loss)(x, problem.draw(key, x))

    def several(key: Key, x: Tree) -> tuple[Scalar, Tree]:
        found = jax.vmap(one, (0, None))(jax.random.split(key, batch), x)
        return jax.tree.map(lambda leaf: jnp.mean(leaf, 0), found)

    return Slopes(one if batch == 1 else several, cost(batch * problem.drawn, batch))
