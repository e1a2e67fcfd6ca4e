"""The middle of the seeds, and how sure it is."""

import sys
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

RESAMPLES = 2000
"""Bootstrap resamples: the ends of a 95% interval then rest on 50 of them each."""


class Interval(NamedTuple):
    """An interquartile mean and the interval around it, each [...]."""

    iqm: np.ndarray
    low: np.ndarray
    high: np.ndarray


def iqm(scores: ArrayLike, axis: int = 0) -> np.ndarray:
    """The interquartile mean: the mean of what is left without the lowest and the highest quarter.

    Args:
      scores: [..., N, ...] one number a seed; ⌊N/4⌋ are cut at each end, none where N < 4.
      axis: of the seeds.
    Returns: [...] without that axis. Raises: ValueError where there are no seeds.
    Reference: Agarwal et al., "Deep Reinforcement Learning at the Edge of the Statistical Precipice", 2021.
    """
    scores = np.asarray(scores, np.float64)
    if scores.ndim == 0 or scores.shape[axis] == 0:
        raise ValueError(f"scores must hold at least one seed: got shape {scores.shape}.")
    return np.asarray(stats.trim_mean(scores, 0.25, axis=axis))


def interval(scores: ArrayLike, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """The interquartile mean over seeds with a percentile bootstrap interval; the same call gives the same interval.

    Args:
      scores: [N, ...] the first axis is the seed; every other entry sees the same resamples.
      confidence: in (0, 1).
      resamples: of the seeds, with replacement.
      seed: of the resampling.
    Returns: Interval of [...]; low = iqm = high for one seed, NaN where a seed is not finite.
    Cost: some 0.6 s for 25 seeds and 100 records.
    """
    scores = np.asarray(scores, np.float64)
    middle = iqm(scores)
    shape, flat = middle.shape, scores.reshape(len(scores), -1)
    finite = np.isfinite(flat).all(0)
    low, high = (np.where(finite, middle.ravel(), np.nan) for _ in range(2))
    if len(flat) > 1 and finite.any():
        found = stats.bootstrap(
            (flat[:, finite],),
            iqm,
            axis=0,
            vectorized=True,
            n_resamples=resamples,
            batch=max(1, min(resamples, 4_000_000 // max(flat[:, finite].size, 1))),
            confidence_level=confidence,
            method="percentile",
            random_state=np.random.default_rng(seed),  # scipy 1.13 knows no other name for it
        ).confidence_interval
        low[finite], high[finite] = found.low, found.high
    middle = np.where(finite, middle.ravel(), np.nan)
    return Interval(*(end.reshape(shape) for end in (middle, low, high)))


def aggregate(rows: Sequence[Mapping]) -> dict[str, dict[str, float]]:
    """What the seeds say together.

    Args:
      rows: the last row of each seed, as in rows.jsonl.
    Returns: {figure: {"iqm", "low", "high"}} for every figure that is one finite number in each row, in the order of
      the first row; the seed's own number is left out.
    """
    names = [
        name for name in (rows[0] if rows else ()) if name != "seed" and all(_finite(row.get(name)) for row in rows)
    ]
    if not names:
        return {}
    found = interval([[row[name] for name in names] for row in rows])
    return {
        name: {part: float(getattr(found, part)[column]) for part in Interval._fields}
        for column, name in enumerate(names)
    }


def _finite(value) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
