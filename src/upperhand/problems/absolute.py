"""Two scalars on two time scales, coupled by |y − x|: where a fast variable's noise reaches the slow one.

    slow = x + |y − x| + noise        fast = y − x + noise        y*(x) = x,  Φ = ½x²,  x* = y* = 0

E |y − x| is of the size of y's error, not of its square, so x can be no more exact than y: the standard method's slow
variable falls as k^(−⅔) here, where it falls as 1/k in a linear problem.

Try: fast_two_time_scale
Reference: the scalar instance of Zeng, Doan, "Fast Two-Time-Scale Stochastic Gradient Method with Applications in
Reinforcement Learning" (arXiv 2405.09660), recalled; its answer is by hand.
"""

import jax
import jax.numpy as jnp

from upperhand.forms import Equations, truth
from upperhand.schedule import positive


def absolute(*, noise: float = 1.0, x: float = 2.0, y: float = 0.0) -> Equations:
    """Find x = 0 from samples of both equations.

    Args:
      noise: standard deviation of each sample, above 0.
      x, y: where both begin.
    Returns: Equations with their oracle, both variables [].
    Raises: ValueError for a noise that is not above 0.
    """
    positive("noise", noise)

    def draw(key, x, y):
        return noise * jax.random.normal(key, (2,), x.dtype)

    return Equations(
        init=lambda key: (jnp.asarray(x, float), jnp.asarray(y, float)),
        slow=lambda x, y, batch: x + jnp.abs(y - x) + batch[0],
        fast=lambda x, y, batch: y - x + batch[1],
        draw=draw,
        drawn=1,
        metrics=lambda x, y: {"slow_error": x**2, "fast_error": (y - x) ** 2},
        exact=truth(lambda x: x, lambda x: x**2 / 2, lambda x: x, lambda: (0.0, 0.0)),
    )
