"""A sparse x where the coordinates matter very differently: a case for mirror steps that adapt to each of them.

    lower = ½ ‖y − x‖²                        y*(x) = x
    upper = ½ Σ sᵢ (yᵢ − cᵢ)²                 s from `least` to 1, evenly in the logarithm; c random
    x*    = soft(c, l1/s)

A Euclidean step is below 2 because of the steepest coordinate, which is far too short for the flattest.

Try: bio_bred x_step=1.9
Reference: ours (derived); made for the adaptive mirror functions of "Enhanced Bilevel Optimization via Bregman
Distance" (arXiv 2107.12301).
"""

import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel
from upperhand.problems.sparse_shift import shrunk
from upperhand.schedule import positive, whole


def drawn(numbers: int, spread: float, seed: int) -> np.ndarray:
    """Targets c [numbers], normal of deviation `spread`."""
    return spread * np.random.default_rng(seed).normal(size=numbers)


def scaled_lasso(
    *, numbers: int = 20, least: float = 1e-3, l1: float = 1e-4, spread: float = 2.5, seed: int = 0
) -> Bilevel:
    """Find a sparse x near random targets, x ∈ R^numbers.

    Args:
      numbers: length of x.
      least: weight of the coordinate that matters least; that of the others rises to 1.
      l1: weight of ‖x‖₁.
      spread: standard deviation of the targets c.
      seed: of the targets.
    Returns: Bilevel with its truth; x and y start at 0. Raises: ValueError for a setting that is not above 0.
    """
    whole("numbers", (numbers,), 1)
    for name, value in (("least", least), ("l1", l1), ("spread", spread)):
        positive(name, value)
    scales = np.geomspace(least, 1.0, numbers)
    targets = drawn(numbers, spread, seed)
    weighed = lambda y: jnp.asarray(scales, y.dtype) * (y - jnp.asarray(targets, y.dtype)) ** 2  # noqa: E731
    return Bilevel(
        init=lambda key: (jnp.zeros(numbers), jnp.zeros(numbers)),
        upper=lambda x, y, batch: jnp.sum(weighed(y)) / 2,
        lower=lambda x, y, batch: jnp.sum((y - x) ** 2) / 2,
        l1=l1,
        exact=shrunk(targets, scales, l1),
    )
