"""A power of a norm, with gradients whose noise has heavy tails: exact answers for every smoothness between 0 and 1.

    loss(x, ξ) = ‖x‖^(1+ν)/(1+ν) + ⟨ξ, x⟩        E ξ = 0, E ‖ξ‖² = σ²
    ∇Φ(x) = ‖x‖^(ν−1) x, which is (ν, 2^(1−ν))-Hölder        x* = 0, Φ(x*) = 0

ν = 1 is the quadratic ½‖x‖², ν = 0 the norm itself. All noises have the same σ², which is finite: of "student" each
number is t with 2.1 degrees of freedom, of "pareto" the direction is uniform and the length has tail index 2.05. A run
sees less than σ²: half of that of the t law lies in draws rarer than 1 in 10⁷, which in float32 do not come at all.

Try: clipped_sstm
Reference: ours, for the problem class of "High Probability Complexity Bounds for Non-Smooth Stochastic Optimization
with Heavy-Tailed Noise" (arXiv 2106.05958). The t law from two uniform numbers: Bailey, "Polar generation of random
variates with the t-distribution" (1994), recalled, tested against its quantiles.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Minimise, truth
from upperhand.schedule import nonnegative, positive, unit, whole
from upperhand.types import Key

FREEDOM, INDEX = 2.1, 2.05
"""Degrees of freedom of the t law, and the tail index of the Pareto law; above 2, where the variance is finite."""
Noise = Literal["student", "pareto", "gaussian", "none"]


def norm_power(
    *, holder: float = 1.0, numbers: int = 10, noise: Noise = "student", sigma: float = 10.0, start: float = 3.0
) -> Minimise:
    """The problem.

    Args:
      holder: ν, from 0 (a kink at the minimum) to 1 (smooth).
      numbers: of x.
      noise: law of ξ.
      sigma: σ, root of E ‖ξ‖², of every law alike.
      start: ‖x‖ at the start, whose direction is random.
    Returns: Minimise with its oracle, x [numbers]. Raises: ValueError for a setting out of its range.
    """
    (size,) = whole("numbers", (numbers,), 1)
    unit("holder", holder)
    positive("start", start)
    nonnegative("sigma", sigma)
    if noise not in (laws := {"student": student, "pareto": pareto, "gaussian": gaussian, "none": None}):
        raise ValueError(f"noise must be one of {', '.join(laws)}: got {noise!r}.")
    law = laws[noise]

    def value(x):
        square = jnp.sum(x**2)
        is_at = square == 0  # where the slope is 0 by choice, and must not be NaN
        return jnp.where(is_at, 0.0, jnp.where(is_at, 1.0, square) ** ((1 + holder) / 2)) / (1 + holder)

    def init(key):
        direction = jax.random.normal(key, (size,))
        return start * direction / jnp.linalg.norm(direction), ()

    clean = Minimise(
        init=init,
        loss=lambda x, batch: value(x),
        metrics=lambda x, y: {"distance": jnp.linalg.norm(x)},
        exact=truth(lambda x: (), value, jax.grad(value), lambda: (np.zeros(size), 0.0)),
    )
    if law is None or sigma == 0:
        return clean
    return clean._replace(
        loss=lambda x, batch: value(x) + jnp.vdot(batch, x),
        draw=lambda key, x: sigma * law(key, size).astype(x.dtype),
        drawn=1,
    )


def student(key: Key, size: int) -> jax.Array:
    """Independent t numbers. Returns: [size], with E ‖ξ‖² = 1."""
    length, angle = jax.random.uniform(key, (2, size))
    drawn = jnp.sqrt(FREEDOM * jnp.expm1(-2 / FREEDOM * jnp.log1p(-length))) * jnp.cos(2 * jnp.pi * angle)
    return drawn / np.sqrt(size * FREEDOM / (FREEDOM - 2))


def pareto(key: Key, size: int) -> jax.Array:
    """A uniform direction with a length of which P(length > t) ~ t^−INDEX. Returns: [size], with E ‖ξ‖² = 1."""
    key_length, key_direction = jax.random.split(key)
    direction = jax.random.normal(key_direction, (size,))
    length = jnp.exp(-jnp.log1p(-jax.random.uniform(key_length)) / INDEX)
    return length / np.sqrt(INDEX / (INDEX - 2)) * direction / jnp.linalg.norm(direction)


def gaussian(key: Key, size: int) -> jax.Array:
    """Independent normal numbers. Returns: [size], with E ‖ξ‖² = 1."""
    return jax.random.normal(key, (size,)) / np.sqrt(size)
