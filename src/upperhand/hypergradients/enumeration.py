"""The best x of a small problem, by brute force: a lattice of values, and a polish by the exact hypergradient."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from scipy.optimize import minimize

from upperhand.forms import Exact
from upperhand.hoist import hoist


def values(exact: Exact, points: np.ndarray, temperature: float | None = None) -> np.ndarray:
    """Φ_τ at many points, in float64, one after another in one program.

    Args:
      exact: the oracle; x an array.
      points: [N, dx].
      temperature: τ; the oracle's own where not given.
    Returns: [N]. Cost: N values. Host code.
    """
    tau = exact.temperature if temperature is None else temperature
    with jax.enable_x64(True):
        points = jnp.asarray(points, jnp.float64)
        return np.asarray(hoist(lambda points: jax.lax.map(lambda x: exact.value(x, tau), points), points)(points))


def lattice(axes: Sequence[np.ndarray]) -> np.ndarray:
    """All points of a product of axes, [N, number of axes], the last axis running fastest."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def polished(
    exact: Exact, points: np.ndarray, bounds: tuple[float, float] | None = None, most: int = 8
) -> tuple[np.ndarray, float]:
    """The best of some points, and of bounded quasi-Newton descents by the exact hypergradient from the best few.

    Args:
      exact: the oracle; x an array.
      points: [N, dx] candidates.
      bounds: (low, high) of every entry of x, or None.
      most: descents.
    Returns: x [dx], Φ at the oracle's temperature. Cost: N values and at most 60·most hypergradients. Host code.
    """
    found = values(exact, points)
    best_x, best = points[found.argmin()], float(found.min())
    with jax.enable_x64(True):
        example = jnp.asarray(best_x, jnp.float64)
        both = hoist(lambda x: (exact.value(x, exact.temperature), exact.hypergradient(x, exact.temperature)), example)
        both_host: Callable = lambda x: tuple(np.asarray(part) for part in both(jnp.asarray(x)))  # noqa: E731
        for index in found.argsort()[:most]:
            limits = None if bounds is None else [bounds] * points.shape[1]
            end = minimize(both_host, points[index], jac=True, bounds=limits, method="L-BFGS-B", options={"maxfun": 60})
            if end.fun < best:
                best_x, best = end.x, float(end.fun)
    return best_x, best
