"""How shall shares be given, if whoever answers copies them? x is a distribution, and so is the best one.

    lower = ½ ‖y − x‖²        y*(x) = x
    upper = ½ ‖y − c‖²        x in the simplex, c in its inside: x* = c

Try: bio_bred
Reference: ours (derived); made for the entropy as mirror function (x ← x exp(−x_step dx), normalised), which keeps x in
the simplex without a projection: `--bio-bred.mirror entropy`.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from upperhand.forms import Bilevel
from upperhand.problems.sparse_shift import shrunk


def simplex_target(*, shares: tuple[float, ...] = (0.5, 0.3, 0.15, 0.05)) -> Bilevel:
    """Find the shares, x in the simplex.

    Args:
      shares: c, each above 0; they sum to 1.
    Returns: Bilevel with its truth; x starts at random, y at 0. Raises: ValueError for shares that are none.
    """
    if not shares or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
        raise ValueError(f"shares must be above 0 and sum to 1: got {shares!r}.")
    c = np.asarray(shares, np.float64)
    return Bilevel(
        init=lambda key: (jax.nn.softmax(jax.random.normal(key, (len(shares),))), jnp.zeros(len(shares))),
        upper=lambda x, y, batch: jnp.sum((y - jnp.asarray(c, y.dtype)) ** 2) / 2,
        lower=lambda x, y, batch: jnp.sum((y - x) ** 2) / 2,
        project_x=optax.projections.projection_simplex,
        exact=shrunk(c, np.ones(len(c)), 0.0),
    )
