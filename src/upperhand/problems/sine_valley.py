"""A lower level with a whole curve of minimisers, along which its Hessian is singular.

lower = ½ e²,  e = x + y₁ − sin y₂        upper = x² + y₁ − sin y₂        x ∈ R, y ∈ R²
minimisers of lower: y₁ − sin y₂ = −x     on all of them upper = x² − x = Φ(x)        x* = ½, Φ(x*) = −¼

Any of the minimisers is as good as any other, so there is nothing to choose among them, yet [∇²_yy lower]⁻¹ does not
exist at one of them: ∇²_yy lower = a aᵀ + diag(0, e sin y₂), a = (1, −cos y₂), is of rank 1 on the curve.

Try: galet
Reference: recalled, less sure, to be the toy of GALET (arXiv 2306.02422). It satisfies the Polyak-Łojasiewicz
inequality (‖∂_y lower‖² = 2 lower (1 + cos² y₂)) but is not convex in y; the solution is derived.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import nonnegative


def sine_valley(*, spread: float = 3.0) -> Bilevel:
    """The problem.

    Args:
      spread: the three numbers start uniformly between −spread and spread.
    Returns: Bilevel with its oracle, x [1], y [2]; `lower_solution` is the minimiser with y₂ = 0. Raises: ValueError
      for a spread below 0.
    """
    nonnegative("spread", spread)

    def init(key):
        start = jax.random.uniform(key, (3,), minval=-spread, maxval=spread)
        return start[:1], start[1:]

    oracle = truth(
        lambda x: jnp.append(-x, jnp.zeros_like(x)),
        lambda x: jnp.sum(x**2 - x),
        lambda x: 2 * x - 1,
        lambda: (np.array([0.5]), -0.25),
    )
    height = lambda y: y[0] - jnp.sin(y[1])  # noqa: E731
    return Bilevel(
        init,
        lambda x, y, batch: x[0] ** 2 + height(y),
        lambda x, y, batch: (x[0] + height(y)) ** 2 / 2,
        exact=oracle,
    )
