"""A winding valley: one number each, a lower level that is not convex in y, three local minima of which one is best.

upper = cos(4y + 2)/(1 + exp(2 − 4x)) + ½ ln( (4x − 2)² + 1 )
lower = (x + y)² + x sin²(x + y)                    y*(x) = −x, min lower = 0, 0 ≤ x ≤ 3
Φ(x)  = upper(x, −x)

Φ has local minima at 0.3824, 1.2152 and 2.8296 with values 0.4427, 0.1999 and 1.2435. A gradient method finds the one
in whose basin it starts: ending there is what can be asked of it, not the best.

Try: v_pbgd
Reference: Shen, T. Chen, "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185): losses, bounds and the
law of the starts from the authors' code, whose derivative of upper in x has a wrong denominator; minima computed here.
"""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from upperhand.forms import Bilevel, truth

MOST = 3.0
"""Largest x."""


def slope(x: np.ndarray | float) -> np.ndarray | float:
    """Φ′, by hand."""
    share = 1 / (1 + np.exp(2 - 4 * x))
    bend = 4 * share * (1 - share) * np.cos(2 - 4 * x) + 4 * share * np.sin(2 - 4 * x)
    return bend + 4 * (4 * x - 2) / ((4 * x - 2) ** 2 + 1)


def minima() -> np.ndarray:
    """[3] where Φ′ goes from below 0 to above, in order."""
    grid = np.linspace(0, MOST, 301)
    signs = np.sign(slope(grid))
    return np.array([brentq(slope, grid[i], grid[i + 1], xtol=1e-14) for i in np.flatnonzero(np.diff(signs) > 0)])


def valley(*, x_span: tuple[float, float] = (0.0, 3.5), y_span: tuple[float, float] = (-5.0, 8.5)) -> Bilevel:
    """Go down a winding valley, x ∈ [0, 3].

    Args:
      x_span, y_span: between which the starts are drawn, uniformly.
    Returns: Bilevel with its oracle; x and y are [1].
    Raises: ValueError where a span is not two finite numbers, the lower one first.
    """
    for name, ends in (("x_span", x_span), ("y_span", y_span)):
        if len(ends) != 2 or not -np.inf < ends[0] <= ends[1] < np.inf:
            raise ValueError(f"{name} must be two finite numbers, the lower one first: got {ends!r}.")

    def init(key):
        key_x, key_y = jax.random.split(key)
        draw = lambda key, ends: jax.random.uniform(key, (1,), float, *map(float, ends))  # noqa: E731
        return draw(key_x, x_span), draw(key_y, y_span)

    def upper(x, y, batch):
        return jnp.sum(jnp.cos(4 * y + 2) / (1 + jnp.exp(2 - 4 * x)) + jnp.log((4 * x - 2) ** 2 + 1) / 2)

    def value(x):
        return upper(x, -x, None)

    def best():
        found = minima()
        values = [float(value(jnp.asarray([x]))) for x in found]
        return found[[np.argmin(values)]], min(values)

    return Bilevel(
        init,
        upper,
        lambda x, y, batch: jnp.sum((x + y) ** 2 + x * jnp.sin(x + y) ** 2),
        project_x=lambda x: jnp.clip(x, 0, MOST),
        exact=truth(lambda x: -x, value, jax.grad(value), best),
    )
