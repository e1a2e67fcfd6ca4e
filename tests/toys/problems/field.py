"""A plane without an agent."""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL, Return
from upperhand.schedule import positive


def field(*, far: float = 1.0, parts: int = 2, kinds: tuple[str, ...] = ("a",)) -> BilevelRL:
    """Start somewhere in the plane.

    Args:
      far: how far starts lie, above 0.
      parts: numbers of x.
      kinds: words.
    """
    positive("far", far)

    def init(key):
        return jax.random.uniform(key, (parts,), maxval=far), jnp.zeros((1, 1))

    upper = Return(lambda x, s, a: jnp.asarray(0.0), lambda x: jnp.asarray(0.0))
    maps = lambda xs: {"found": np.asarray(xs), "words": np.asarray(kinds)}  # noqa: E731
    return BilevelRL(None, lambda x, s, a: jnp.sum(x), None, upper, init, maps=maps)
