"""An instrument with linear neurons: every answer of mean-field methods in closed form.

    Z, U ~ N(0, 1),  A = Z + .8 U + .3 N(0, 1),  Y = 1.5 A + U        the two stages drawn apart
    lower, upper: as npiv, with h(t) = m·(1, t), m_x and m_y the means of the clouds
    y*(x) = every particle at m_y = H m_x,  H = (C + ridge I)⁻¹ D
    Φ(x)  = mean over stage II of ½(m_y·(1, z) − Y)² + ridge/2 E‖x‖²
    ∂Φ/∂xⱼ = ( Hᵀ(C₂ m_y − e) + ridge xⱼ )/N
    C, D  = means of (1, z)(1, z)ᵀ and (1, z)(1, a)ᵀ in stage I        C₂, e = of (1, z)(1, z)ᵀ and (1, z) Y in stage II

With entropies the best laws are Gaussian with the same means, N(m, (entropy/ridge) I). A row tells `slope`, the second
number of m_x, whose truth is 1.5 and which least squares of Y on A puts at 1.96, `intercept`, and `spread`, the
variance of x's cloud.

Try: f2bmld
Reference: derived, for Z. Chen, Nitanda, Gretton, Suzuki, "Towards a Unified Analysis of Neural Networks in
Nonparametric Instrumental Variable Regression: Optimization and Generalization" (arXiv 2511.14710); no instance of the
paper. ∇Φ is in the particles as numbers: the mean-field gradient is N times it.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.policies.neurons import linear_neurons
from upperhand.problems.npiv import instrumental
from upperhand.schedule import positive, whole


class Moments(NamedTuple):
    """All that the means depend on."""

    C: np.ndarray  # [2, 2] of stage I's instruments
    D: np.ndarray  # [2, 2] of stage I's instruments and treatments
    C_upper: np.ndarray  # [2, 2] of stage II's instruments
    e: np.ndarray  # [2] of stage II's instruments and outcomes
    square: float  # mean of the squared outcomes


def stages(rows: int, seed: int) -> tuple[np.ndarray, ...]:
    """Made-up data. Returns: z, a, y of stage I, then of stage II, each [rows]."""
    random, found = np.random.default_rng(seed), []
    for _ in range(2):
        z, u, v = random.normal(size=(3, rows))
        a = z + 0.8 * u + 0.3 * v
        found += [z, a, 1.5 * a + u]
    return tuple(found)


def moments(rows: int = 2000, seed: int = 0) -> Moments:
    """The moments of `linear_iv` with these settings."""
    z, a, _, z_upper, _, y = stages(rows, seed)
    of_z, of_a, above = (np.stack([np.ones(rows), each], 1) for each in (z, a, z_upper))
    return Moments(of_z.T @ of_z / rows, of_z.T @ of_a / rows, above.T @ above / rows, above.T @ y / rows, y @ y / rows)


def penalised(known: Moments, ridge: float, w: float) -> np.ndarray:
    """The mean of x's best law at a penalty weight w, exactly.

    m_y = (C + ridge)⁻¹ D m,  m_w = (w C₂ + C + ridge)⁻¹(w e + D m),  (1/w) Dᵀ(m_y − m_w) + ridge m = 0

    Returns: m [2], intercept and slope; as w → 0 that of the bilevel problem, `linear_iv(…).exact.best()`.
    """
    C, D, C_upper, e, _ = known
    heavy = C + ridge * np.eye(2)
    bent = w * C_upper + heavy
    H, G = np.linalg.solve(heavy, D), np.linalg.solve(bent, D)
    return np.linalg.solve(D.T @ (H - G) / w + ridge * np.eye(2), D.T @ np.linalg.solve(bent, e))


def linear_iv(*, rows: int = 2000, particles: int = 50, batch: int = 0, ridge: float = 0.05, seed: int = 0) -> Bilevel:
    """Find the slope of Y on A, 1.5, from data that are confounded.

    Args:
      rows: examples of either stage.
      particles: N, of x and of y.
      batch: examples of a batch of either stage; 0 takes all.
      ridge: weight of ½ E‖x‖² in upper and of ½ E‖y‖² in lower, above 0.
      seed: of the data.
    Returns: Bilevel with its oracle; x and y [particles, 2] begin standard normal.
    Raises: ValueError for a setting out of its range.
    """
    whole("rows", (rows,), 1, 2)
    whole("particles", (particles,), 1)
    whole("batch", (batch,), 1, least=0)
    positive("ridge", ridge)
    known, neurons = moments(rows, seed), linear_neurons()
    z, a, _, z_upper, _, outcome = stages(rows, seed)
    H = np.linalg.solve(known.C + ridge * np.eye(2), known.D)
    curvature, pull = H.T @ known.C_upper @ H, H.T @ known.e
    best = np.linalg.solve(curvature + ridge * np.eye(2), pull)
    least = best @ curvature @ best / 2 - pull @ best + known.square / 2 + ridge * best @ best / 2
    like = lambda x, array: jnp.asarray(array, x.dtype)  # noqa: E731

    def lower_solution(x):
        return jnp.broadcast_to((like(x, H) @ jnp.mean(x, 0))[None], (particles, 2))

    def value(x):
        m = jnp.mean(x, 0)
        fit = m @ like(x, curvature) @ m / 2 - like(x, pull) @ m + like(x, known.square) / 2
        return fit + ridge * jnp.sum(x**2) / (2 * particles)

    def hypergradient(x):
        return ((like(x, curvature) @ jnp.mean(x, 0) - like(x, pull))[None] + ridge * x) / particles

    def metrics(x, y):
        m = jnp.mean(x, 0)
        return {"slope": m[1], "intercept": m[0], "spread": jnp.mean((x - m[None]) ** 2)}

    problem = instrumental(
        z[:, None], a[:, None], outcome, z_upper=z_upper[:, None], particles=particles, batch=batch, ridge=ridge,
        neurons=(neurons, neurons),
    )  # fmt: skip
    best_of = lambda: (np.broadcast_to(best, (particles, 2)), float(least))  # noqa: E731
    return problem._replace(metrics=metrics, exact=truth(lower_solution, value, hypergradient, best_of))
