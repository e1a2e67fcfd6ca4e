"""A mean over seeds and the interval around it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats


class Mean(NamedTuple):
    """A mean with a 95% interval."""

    mean: float
    low: float
    high: float


def student(values: ArrayLike) -> Mean:
    """The mean of one number a seed, with Student's 95% interval; without a width where there is one seed only.

    Args:
      values: [N].
    Returns: Mean.
    """
    values = np.asarray(values, np.float64)
    middle, N = float(values.mean()), len(values)
    half = float(stats.t.ppf(0.975, N - 1) * values.std(ddof=1) / np.sqrt(N)) if N > 1 else 0.0
    return Mean(middle, middle - half, middle + half)
