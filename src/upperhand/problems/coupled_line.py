"""A constraint between x and y: who answers wants y = 2x and must take y ≥ 3x; its multiplier carries the slope.

upper = ½(x − 1)² + steepness · y          lower = (y − 2x)²          y ≥ 3x,  0 ≤ x ≤ 3
y*(x) = 3x, multiplier 2x                  Φ(x) = ½(x − 1)² + 3 steepness · x, best at 1 − 3 steepness

Without the multiplier's part the slope of min lower would come out as −4x instead of 2x.

Try: pbgd_blocc
Reference: lower level from the paper (BLOCC, Figure 1); upper level and the answer derived. At x = 0 the constraint
does not hold strictly, so that answers there are not covered by theory.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth

MOST = 3.0
"""Largest x."""


def coupled_line(*, steepness: float = 0.05) -> Bilevel:
    """Push a y that a constraint holds, x ∈ [0, 3].

    Args:
      steepness: of upper in y.
    Returns: Bilevel with a constraint and its oracle; x and y are [1].
    Raises: ValueError for a steepness that is not finite.
    """
    if not -np.inf < steepness < np.inf:
        raise ValueError(f"steepness must be a finite number: got {steepness!r}.")

    def upper(x, y, batch):
        return jnp.sum((x - 1) ** 2 / 2 + steepness * y)

    def best():
        x = np.clip([1 - 3 * steepness], 0, MOST)
        return x, float((x[0] - 1) ** 2 / 2 + 3 * steepness * x[0])

    return Bilevel(
        lambda key: (jax.random.uniform(key, (1,), float, 0.5, 2.0), jnp.zeros(1)),
        upper,
        lambda x, y, batch: jnp.sum((y - 2 * x) ** 2),
        project_x=lambda x: jnp.clip(x, 0, MOST),
        constraint=lambda x, y: 3 * x - y,
        exact=truth(lambda x: 3 * x, lambda x: upper(x, 3 * x, None), lambda x: x - 1 + 3 * steepness, best),
    )
