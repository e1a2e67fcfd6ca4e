"""No smoother than MA-SOBA asks for: the third derivative of lower jumps, and so does the second one of upper.

lower = (mu/2) (y − x)² + |y − x|³/6        upper = huber(y − c) + (reg/2) x²        x, y ∈ R
y*(x) = x        ∇Φ(x) = clip(x − c, −1, 1) + reg x        x* = c/(1 + reg), or sign(c)/reg where that is past the kink

Try: ma_soba
Reference: ours, made for the smoothness that MA-SOBA (arXiv 2306.12067) assumes (recalled): Lipschitz gradients of
upper, Lipschitz Hessians of lower, no more.
"""

import jax.numpy as jnp
import numpy as np
import optax

from upperhand.forms import Bilevel, truth
from upperhand.problems.quadratic import noisy
from upperhand.schedule import positive


def kinked(*, mu: float = 1.0, c: float = 2.0, reg: float = 0.25, start: float = -3.0, noise: float = 0.0) -> Bilevel:
    """The problem, of one number each.

    Args:
      mu: curvature of lower at y*, above 0.
      c: where upper wants y.
      reg: weight of ½x², above 0.
      start: of x; y starts at 0.
      noise: σ of the noise of the derivatives, see `quadratic.noisy`; 0 for none.
    Returns: Bilevel with its oracle, x and y [1]. Raises: ValueError for a setting out of its range.
    """
    positive("mu", mu)
    positive("reg", reg)
    x_star = c / (1 + reg) if abs(c) * reg <= 1 + reg else float(np.sign(c)) / reg
    miss = abs(x_star - c)
    least = (miss**2 / 2 if miss <= 1 else miss - 0.5) + reg / 2 * x_star**2

    def upper(x, y, batch):
        return jnp.sum(optax.losses.huber_loss(y, jnp.full_like(y, c)) + reg / 2 * x**2)

    def lower(x, y, batch):
        away = y - x
        return jnp.sum(mu / 2 * away**2 + jnp.abs(away) ** 3 / 6)

    oracle = truth(
        lambda x: x,
        lambda x: upper(x, x, None),
        lambda x: jnp.clip(x - c, -1.0, 1.0) + reg * x,
        lambda: (np.array([x_star]), least),
    )
    init = lambda key: (jnp.full(1, start, float), jnp.zeros(1))  # noqa: E731
    return noisy(Bilevel(init, upper, lower, exact=oracle), noise)
