"""A sparse x is wanted, and whoever answers copies it: every figure in closed form.

    lower = ½ (y − x)ᵀ A (y − x)        y*(x) = x
    upper = ½ ‖y − c‖²                  Φ(x) = ½ ‖x − c‖² + l1 ‖x‖₁
    x*    = soft(c, l1) = sign(c) max(|c| − l1, 0)

A's eigenvalues lie evenly between two ends, its axes are random. What it shows: how far unrolled lower steps lead
astray while they are few, and whether zeros of x are exact zeros.

Try: bio_bred
Reference: ours (derived); made for the methods of "Enhanced Bilevel Optimization via Bregman Distance"
(arXiv 2107.12301).
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, Exact, truth
from upperhand.schedule import positive


def shrunk(targets: np.ndarray, scales: np.ndarray, l1: float) -> Exact:
    """The truth where y*(x) = x and Φ(x) = ½ Σ sᵢ (xᵢ − cᵢ)² + l1 ‖x‖₁.

    Args:
      targets, scales: c and s, [d] each.
      l1: weight of ‖x‖₁, at least 0.
    Returns: Exact, with x* = soft(c, l1/s). Its hypergradient is that of Φ without l1 ‖x‖₁, as methods tell theirs.
    """

    def value(x):
        c, s = (jnp.asarray(table, x.dtype) for table in (targets, scales))
        return jnp.sum(s * (x - c) ** 2) / 2 + l1 * jnp.sum(jnp.abs(x))

    def best():
        x = np.sign(targets) * np.maximum(np.abs(targets) - l1 / scales, 0)
        return x, float((scales * (x - targets) ** 2).sum() / 2 + l1 * np.abs(x).sum())

    slope = lambda x: jnp.asarray(scales, x.dtype) * (x - jnp.asarray(targets, x.dtype))  # noqa: E731
    return truth(lambda x: x, value, slope, best)


def sparse_shift(
    *,
    targets: tuple[float, ...] = (2.0, -1.5, 0.3, -0.2, 0.05, 1.0),
    curvature: tuple[float, float] = (1.0, 10.0),
    l1: float = 0.5,
    seed: int = 0,
) -> Bilevel:
    """Find a sparse x near the targets, x ∈ R^d.

    Args:
      targets: c, which upper wants.
      curvature: least and largest eigenvalue of A.
      l1: weight of ‖x‖₁, at least 0.
      seed: of A's axes.
    Returns: Bilevel with its truth; x starts at random, y at 0. Raises: ValueError for a curvature that is not above 0,
      no targets, or an l1 below 0.
    """
    for end in curvature:
        positive("curvature", end)
    if not targets or not 0 <= l1 < float("inf"):
        raise ValueError(f"targets must be one number at least, and l1 at least 0: got {targets!r} and {l1!r}.")
    c, d = np.asarray(targets, np.float64), len(targets)
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(d, d)))[0]
    matrix = axes @ np.diag(np.linspace(*curvature, d)) @ axes.T
    return Bilevel(
        init=lambda key: (jax.random.normal(key, (d,)), jnp.zeros(d)),
        upper=lambda x, y, batch: jnp.sum((y - jnp.asarray(c, y.dtype)) ** 2) / 2,
        lower=lambda x, y, batch: jnp.vdot(y - x, jnp.asarray(matrix, y.dtype) @ (y - x)) / 2,
        l1=l1,
        exact=shrunk(c, np.ones(d), l1),
    )
