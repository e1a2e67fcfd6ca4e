"""The agent does not care about y₂, the designer does: who decides?

lower = ½ (y₁ − x)²        upper = ½ (y₁ − 1)² + ½ (y₂ − 3)²        x ∈ R, y ∈ R²

The minimisers of lower are (x, anything). The optimistic answer, which Φ takes, gives y₂ to the designer: Φ(x) =
½ (x − 1)², x* = 1, y₂ = 3. A penalty method gets there; a method that follows the lower gradient and the Hessian's
pseudoinverse leaves y₂ where it started, stationary in every residual that it looks at.

Try: v_pbgd
Reference: ours.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import nonnegative


def flat_direction(*, spread: float = 3.0) -> Bilevel:
    """The problem.

    Args:
      spread: the three numbers start uniformly between −spread and spread.
    Returns: Bilevel with its (optimistic) oracle, x [1], y [2]; a row tells y₂ as `flat`. Raises: ValueError for a
      spread below 0.
    """
    nonnegative("spread", spread)

    def init(key):
        start = jax.random.uniform(key, (3,), minval=-spread, maxval=spread)
        return start[:1], start[1:]

    oracle = truth(
        lambda x: jnp.append(x, jnp.full_like(x, 3.0)),
        lambda x: jnp.sum((x - 1) ** 2) / 2,
        lambda x: x - 1,
        lambda: (np.array([1.0]), 0.0),
    )
    return Bilevel(
        init,
        lambda x, y, batch: (y[0] - 1) ** 2 / 2 + (y[1] - 3) ** 2 / 2,
        lambda x, y, batch: (y[0] - x[0]) ** 2 / 2,
        metrics=lambda x, y: {"flat": y[1]},
        exact=oracle,
    )
