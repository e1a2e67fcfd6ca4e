"""Lines about texts: a score against the KL that it costs, running means, and the marks of both."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from upperhand.report import style
from upperhand.report.statistics import Interval, interval

FAR = 2.5
"""Budgets of KL that a figure shows at most."""
GRID, WIDTH, FLAT = 60, 0.05, 0.1
"""Points of a curve over KL, the width of its neighbourhoods as a share of the axis, and what keeps it from steepness
where a neighbourhood has few records."""
TOP = 0.95
"""Quantile of a seed's KL up to which its curve goes: beyond are a few records, chosen by their noise."""
POINTS = 120
"""Records that are drawn."""
SMOOTH = 0.06
"""Half-width of the running mean over updates, as a share of the records."""


def reach(parts: Sequence[np.ndarray], budget: float | None) -> float:
    """The right end of an axis of KL: what the parts reach, but at most `FAR` budgets."""
    most = max([float(np.nanmax(part)) for part in parts if np.isfinite(part).any()] or [1.0])
    return max(min(most, FAR * budget) if budget else most, 1e-3)


def over_kl(kl: np.ndarray, score: np.ndarray, far: float) -> tuple[np.ndarray, np.ndarray]:
    """Each seed's score over its records of like KL: a line through its neighbours, by weighted least squares.

    Args:
      kl, score: [N, R] the records; NaN where there is none.
      far: right end of the axis.
    Returns: KL [GRID]; scores [N, GRID], NaN where a seed has not been, below its least KL and above its `TOP`.
    """
    grid, width = np.linspace(0, far, GRID), WIDTH * far
    scores = np.full((len(kl), GRID), np.nan)
    for seed, (x, y) in enumerate(zip(kl, score, strict=True)):
        kept = np.isfinite(x) & np.isfinite(y)
        if kept.any():
            x, y = x[kept], y[kept]
            beside = (x - grid[:, None]) / width
            weight = np.exp(-0.5 * beside**2) + 1e-12
            weight /= weight.sum(1, keepdims=True)
            shift, level = (weight * beside).sum(1), weight @ y
            spread = (weight * beside**2).sum(1) - shift**2
            slope = ((weight * beside) @ y - shift * level) / (spread + FLAT)
            ends = x.min() - 0.5 * grid[1], np.quantile(x, TOP) + 0.5 * grid[1]
            scores[seed] = np.where((grid >= ends[0]) & (grid <= ends[1]), level - slope * shift, np.nan)
    return grid, scores


def running(rows: np.ndarray, share: float = SMOOTH) -> np.ndarray:
    """The running mean of [N, R] over records, NaN left out; the window is even-sided, so shorter near both ends."""
    R, found = rows.shape[1], np.full(rows.shape, np.nan)
    for at in range(R):
        half = min(round(share * R), at, R - 1 - at)
        part = rows[:, at - half : at + half + 1]
        count = np.isfinite(part).sum(1)
        found[:, at] = np.where(count > 0, np.nansum(part, 1) / np.maximum(count, 1), np.nan)
    return found


def thin(length: int) -> np.ndarray:
    """The places of at most `POINTS` records, both ends kept."""
    return np.unique(np.linspace(0, length - 1, min(POINTS, length)).round().astype(int))


def fan(axes: Axes, along: np.ndarray, rows: np.ndarray, colour: str) -> tuple[float, float] | None:
    """The middle of [N, R] over the seeds with its interval. Returns: the end of the line, None where there is none."""
    middle, low, high = across(rows)
    kept = np.flatnonzero(np.isfinite(middle))
    if not kept.size:
        return None
    axes.fill_between(along, low, high, color=colour, alpha=0.12, linewidth=0, zorder=2)
    axes.plot(along, middle, color=colour, linewidth=1.7, solid_capstyle="round", zorder=3)
    return float(along[kept[-1]]), float(middle[kept[-1]])


def across(rows: np.ndarray) -> Interval:
    """Over the seeds of [N, R] that have a number, where more than half of them have one; NaN elsewhere."""
    found, has = np.full((3, rows.shape[1]), np.nan), np.isfinite(rows)
    for pattern in np.unique(has, axis=1).T:
        if 2 * pattern.sum() > len(rows):
            columns = (has == pattern[:, None]).all(0)
            found[:, columns] = interval(rows[pattern][:, columns])
    return Interval(*found)


def mark_base(axes: Axes, score: float | None) -> None:
    """The language model as it was: a star at KL 0."""
    if score is not None:
        axes.plot(0, score, "*", color=style.INK, markersize=11, markeredgecolor="white", zorder=5)
        below = {"textcoords": "offset points", "va": "top", "font": style.font(9), "color": style.INK}
        axes.annotate("π_ref", (0, score), (8, -4), parse_math=False, **below)


def mark_budget(axes: Axes, budget: float | None, far: float) -> None:
    """A dotted upright at the budget of KL, where the axis reaches it."""
    if budget is not None and budget <= 1.02 * far:
        axes.axvline(budget, color=style.GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        beside = {"textcoords": "offset points", "ha": "right", "va": "bottom", "rotation": 90}
        told = {"xycoords": ("data", "axes fraction"), "font": style.font(8.5), "color": style.GREY}
        axes.annotate("budget", (budget, 0), (-3, 4), **beside, **told)
