"""A sparse x from noisy samples of both losses, where the truth is known: a case for variance reduction.

    lower = mean of  ½ Σ aᵢ (1 + uᵢ) (yᵢ − xᵢ)² + ⟨e, y⟩        u uniform in ± noise[0], e normal of deviation noise[1]
    upper = mean of  ½ Σ (1 + u′ᵢ) (yᵢ − cᵢ)²                  u′ uniform in ± noise[2]
    x*    = soft(c, l1)                                        y*(x) = x,  a from 1 to 2,  c from −2 to 2

u is noise of the Hessian and, times y − x, of the gradient.

Try: asbio_bred
Reference: ours (derived); made for the stochastic methods of "Enhanced Bilevel Optimization via Bregman Distance"
(arXiv 2107.12301).
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel
from upperhand.problems.sparse_shift import shrunk
from upperhand.schedule import whole


def noisy_lasso(
    *, numbers: int = 10, l1: float = 0.3, noise: tuple[float, float, float] = (0.3, 0.5, 0.5), batch: int = 1
) -> Bilevel:
    """Find a sparse x from noisy losses, x ∈ R^numbers.

    Args:
      numbers: length of x.
      l1: weight of ‖x‖₁, at least 0.
      noise: share of the curvature of lower, below 1; deviation of its gradient in y; share of the curvature of upper,
        below 1.
      batch: samples of a batch of either loss.
    Returns: Bilevel with its truth; x and y start at 0. Raises: ValueError for a setting out of its range.
    """
    whole("numbers", (numbers,), 1)
    whole("batch", (batch,), 1)
    if not all(0 <= size < float("inf") for size in (*noise, l1)) or max(noise[::2]) >= 1:
        raise ValueError(f"noise and l1 must be at least 0, both shares below 1: got {noise!r} and {l1!r}.")
    curvatures, targets = np.linspace(1, 2, numbers), np.linspace(-2, 2, numbers)
    stretch, push, upper_stretch = noise

    def stretched(key, share, kind):
        return jnp.mean(jax.random.uniform(key, (batch, numbers), kind, -share, share), 0)

    def draw_lower(key, x, y):
        key_stretch, key_push = jax.random.split(key)
        return stretched(key_stretch, stretch, y.dtype), push * jnp.mean(
            jax.random.normal(key_push, (batch, numbers), y.dtype), 0
        )

    def lower(x, y, batch):
        u, e = batch
        return jnp.sum(jnp.asarray(curvatures, y.dtype) * (1 + u) * (y - x) ** 2) / 2 + jnp.vdot(e, y)

    return Bilevel(
        init=lambda key: (jnp.zeros(numbers), jnp.zeros(numbers)),
        upper=lambda x, y, u: jnp.sum((1 + u) * (y - jnp.asarray(targets, y.dtype)) ** 2) / 2,
        lower=lower,
        draw_upper=lambda key, x, y: stretched(key, upper_stretch, y.dtype),
        draw_lower=draw_lower,
        drawn=(batch, batch),
        l1=l1,
        exact=shrunk(targets, np.ones(numbers), l1),
    )
