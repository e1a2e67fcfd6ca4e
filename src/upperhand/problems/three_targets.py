"""Several tasks pull x to their own targets: the least of the largest loss lies half way between the outermost two.

lowerᵢ = ½ (yᵢ − x)²        upperᵢ = ½ (yᵢ − cᵢ)²        y*ᵢ(x) = x
Φ(x) = maxᵢ ½ (x − cᵢ)²     x* = (min c + max c)/2, while the mean of the tasks has its minimum at the mean of c

Try: morma_soba steps=5000 pace=0.05 y_step=0.2 z_step=0.2 p_step=0.1 average=0.1
Reference: ours, the smallest problem of the class of MORMA-SOBA (arXiv 2306.12067).
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import nonnegative


def three_targets(*, targets: tuple[float, ...] = (0.0, 1.0, 4.0), noise: float = 0.0, spread: float = 0.0) -> Bilevel:
    """One task a target.

    Args:
      targets: c, two or more.
      noise: σ of each task's ∂_y upper and ∂_y lower; an upper loss itself gets σ|y|.
      spread: standard deviation of x at the start; y starts at 0.
    Returns: Bilevel of several tasks with its oracle, x [1], y [tasks, 1]; the oracle's hypergradient is that of the
      worst task. Raises: ValueError for a setting out of its range.
    """
    c = np.asarray(targets, float)
    if c.ndim != 1 or c.size < 2 or not np.isfinite(c).all():
        raise ValueError(f"targets must be two or more finite numbers: got {targets!r}.")
    for name, value in (("noise", noise), ("spread", spread)):
        nonnegative(name, value)
    low, high = c.min(), c.max()
    shaken = lambda batch, y: 0.0 if batch is None else batch * y[:, 0]  # noqa: E731

    def upper(x, y, batch):
        return (y[:, 0] - jnp.asarray(c, y.dtype)) ** 2 / 2 + shaken(batch, y)

    def lower(x, y, batch):
        return (y[:, 0] - x) ** 2 / 2 + shaken(batch, y)

    def solution(x):
        return jnp.broadcast_to(x, (c.size, 1))

    oracle = truth(
        solution,
        lambda x: jnp.max(upper(x, solution(x), None)),
        lambda x: x - jnp.where(2 * x >= low + high, low, high).astype(x.dtype),
        lambda: (np.array([(low + high) / 2]), float((high - low) ** 2 / 8)),
    )
    init = lambda key: (spread * jax.random.normal(key, (1,)), jnp.zeros((c.size, 1)))  # noqa: E731
    problem = Bilevel(init, upper, lower, tasks=c.size, exact=oracle)
    if noise == 0:
        return problem
    draw = lambda key, x, y: noise * jax.random.normal(key, (c.size,), y.dtype)  # noqa: E731
    return problem._replace(draw_upper=draw, draw_lower=draw, drawn=(1, 1))
