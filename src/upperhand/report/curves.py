"""How a run went: value, gap, schedules and hypergradient error over samples."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from upperhand.report import style
from upperhand.report.folder import Folder
from upperhand.report.general import drawn_of, is_general, measures
from upperhand.report.statistics import interval
from upperhand.report.writing import fixed

POINTS = 200
"""Records that are drawn; a longer run is thinned, its ends kept."""

NEAR = 0.02
"""Gap from which a start counts as having found the best known value, in units of upper loss."""

FLOOR = 1e-6
"""Least gap that is drawn."""


FINE = 1e-15
"""The same of a general problem, whose methods may converge to the last digit."""


class Curve(NamedTuple):
    """One figure of a run, with its seeds together."""

    along: np.ndarray  # [N, R] samples, or updates where the method draws none
    seeds: np.ndarray  # [N, R]
    middle: np.ndarray  # [R] interquartile mean
    low: np.ndarray  # [R] ends of its 95% interval
    high: np.ndarray  # [R]


def progress(folder: Folder) -> tuple[np.ndarray, str]:
    """What the run has spent at each record, [N, R], and what to call it: samples, or updates where there are none."""
    samples = folder.rows.get("samples")
    if samples is None or not np.isfinite(samples).all() or not samples.max() > 0:
        return folder.rows["step"], "updates"
    return samples, f"samples ({drawn_of(folder.config)})"


def floor_of(config: Mapping[str, Any]) -> float:
    """The least gap that is drawn of a run or a comparison."""
    return FINE if is_general(config) else FLOOR


def curve(folder: Folder, name: str) -> Curve | None:
    """A figure over the run.

    Args:
      name: of the figure, as in rows.jsonl.
    Returns: Curve over at most `POINTS` records, or None where fewer than two records have it for every seed.
    """
    column = folder.rows.get(name)
    if column is None:
        return None
    full = np.flatnonzero(np.isfinite(column).all(0))
    if len(full) < 2:
        return None
    kept = full[np.unique(np.linspace(0, len(full) - 1, min(POINTS, len(full))).round().astype(int))]
    return Curve(progress(folder)[0][:, kept], column[:, kept], *interval(column[:, kept]))


def value(folder: Folder) -> Figure | None:
    """The exact value of each seed, or the method's own estimate where no oracle is at hand."""
    exact = curve(folder, "value")
    found = exact or curve(folder, "upper")
    if found is None:
        return None
    drawn, (axes,) = style.figure(3.4)
    _fan(axes, found, style.BLUE)
    best = best_value(folder)
    if exact and best is not None:
        axes.margins(y=0.1)
        _mark(axes, best, f"best known {fixed(best)}")
    title = "Exact value Φ(x), in units of upper loss" if exact else "The method's own estimate of the upper loss"
    style.words(axes, title, below=progress(folder)[1], keys=_keys(folder, style.BLUE))
    return style.finish(drawn)


def gap(folder: Folder) -> Figure | None:
    """How far each seed is from the best known value, on a log scale with a floor."""
    found = curve(folder, "gap")
    if found is None:
        return None
    drawn, (axes,) = style.figure(3.4)
    above = found.seeds[found.seeds > 0]
    least = floor_of(folder.config)
    floor = max(least, 0.7 * above.min()) if above.size else least
    _fan(axes, Curve(found.along, *(np.maximum(part, floor) for part in found[1:])), style.BLUE)
    axes.set_ylim(0.8 * floor, 1.5 * float(above.max()) if above.size else 1.0)
    style.logged(axes)
    if axes.get_ylim()[0] < NEAR < axes.get_ylim()[1]:
        _mark(axes, NEAR, f"near: {NEAR}")
    on_floor = (found.seeds <= floor).any()
    title = "Gap: value above the best known, log scale" + (", floored" if on_floor else "")
    style.words(axes, title, below=progress(folder)[1], keys=_keys(folder, style.BLUE))
    return style.finish(drawn)


def schedules(folder: Folder) -> Figure | None:
    """The temperature and the penalty weight, each on a log scale."""
    titles = {"temperature": "Temperature τ, in units of reward, log scale", "penalty": "Penalty weight w, log scale"}
    along, below = progress(folder)
    lines = {name: folder.rows[name] for name in titles if name in folder.rows}
    lines = {name: row for name, row in lines.items() if np.isfinite(row).any() and not (row <= 0).any()}
    if not lines:
        return None
    drawn, axes = style.figure(1.0 + 2.1 * len(lines), rows=len(lines))
    for one, (name, row), colour in zip(axes, lines.items(), (style.ORANGE, style.PURPLE), strict=False):
        one.plot(along.T, row.T, color=colour, linewidth=2.0, solid_capstyle="round")
        one.margins(x=0.02, y=0.1)
        style.logged(one)
        style.counted(one)
        style.words(one, titles[name], below=below if one is axes[-1] else "")
    return style.finish(drawn)


def hypergradient(folder: Folder) -> Figure | None:
    """How good the hypergradient estimates were, against the exact ∇Φ at the same temperature."""
    error, cosine = curve(folder, "hypergradient_error"), curve(folder, "hypergradient_cosine")
    if error is None and cosine is None:
        return None
    parts = [part for part in (error, cosine) if part is not None]
    drawn, axes = style.figure(1.0 + 2.1 * len(parts), rows=len(parts))
    for one, part in zip(axes, parts, strict=True):
        last = one is axes[-1]
        _fan(one, part, style.BLUE)
        keys = _keys(folder, style.BLUE) if one is axes[0] else ()
        if part is error:
            if (error.seeds > 0).all():
                style.logged(one)
            title = "Relative error of the hypergradient" + (", log scale" if (error.seeds > 0).all() else "")
        else:
            one.set_ylim(min(-0.05, 1.05 * cosine.seeds.min()), 1.05)
            title = "Cosine to the exact hypergradient"
        style.words(one, title, below=progress(folder)[1] if last else "", keys=keys)
    return style.finish(drawn)


def measured(folder: Folder) -> Figure | None:
    """What a general problem measures itself along the run, and what its method plans: a panel each."""
    found = {name: part for name in measures(folder) if (part := curve(folder, name)) is not None}
    if not found:
        return None
    drawn, axes = style.figure(0.9 + 1.7 * len(found), rows=len(found))
    for one, (name, part) in zip(axes, found.items(), strict=True):
        _fan(one, part, style.BLUE)
        one.margins(x=0.02, y=0.1)
        below = progress(folder)[1] if one is axes[-1] else ""
        style.words(one, name.replace("_", " "), below=below, keys=_keys(folder, style.BLUE) if one is axes[0] else ())
    return style.finish(drawn)


def best_value(folder: Folder) -> float | None:
    """The best known value, from the rows themselves: value minus gap."""
    if not {"value", "gap"} <= set(folder.rows):
        return None
    best = folder.rows["value"] - folder.rows["gap"]
    return float(np.median(best[np.isfinite(best)])) if np.isfinite(best).any() else None


def _fan(axes: Axes, found: Curve, colour: str) -> None:
    """Thin lines for the seeds; one seed is drawn as itself."""
    if len(found.seeds) == 1:
        axes.plot(found.along[0], found.seeds[0], color=colour, linewidth=1.8)
    else:
        along = np.median(found.along, 0)
        axes.plot(found.along.T, found.seeds.T, color="#8b98a5", linewidth=0.7, alpha=0.65)
        axes.fill_between(along, found.low, found.high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(along, found.middle, color=colour, linewidth=2.2, solid_capstyle="round")
    axes.margins(x=0.02)
    style.counted(axes)


def _mark(axes: Axes, height: float, text: str) -> None:
    """A dashed line across, with its meaning below it at the right."""
    axes.axhline(height, color=style.ORANGE, linewidth=1.1, linestyle=(0, (5, 3)))
    axes.annotate(
        text,
        (1, height),
        (0, -4),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        va="top",
        color=style.ORANGE,
        font=style.font(9),
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
    )


def _keys(folder: Folder, colour: str) -> list[tuple[str, str]]:
    if len(folder.config["seeds"]) == 1:
        return [("one seed", colour)]
    return [("interquartile mean, 95% interval", colour), ("each seed", "#74818d")]
