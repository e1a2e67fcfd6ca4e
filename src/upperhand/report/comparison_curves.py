"""How the arms of a comparison went, over what each had spent."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from upperhand.report import style
from upperhand.report.comparison import Comparison, Course, best
from upperhand.report.comparison_labels import ends, window
from upperhand.report.curves import NEAR, floor_of
from upperhand.report.general import drawn_of, is_general
from upperhand.report.writing import number

ALONG = {
    "samples": "samples a start ({})",
    "gradients": "oracle calls a start: gradients and second-order products",
    "seconds": "seconds, all starts together",
}
WIDE = 30
"""From this ratio between the arms' whole costs on, the horizontal axis is logarithmic."""

LEVEL = (0, (4, 2.5))
SIGNS = {"o": "", "D": "◇ ", "^": "△ "}
"""Before an arm's name where its line bears a marker."""


def along(comparison: Comparison, currency: str) -> str:
    """Name of the horizontal axis."""
    return ALONG[currency].format(drawn_of(comparison.config))


def value(comparison: Comparison, told: dict[str, Any], went: dict[str, Course], currency: str) -> Figure | None:
    """The score of every arm over a currency; an arm that spends none of it is a dashed level at its final score."""
    if not spenders(went, currency):
        return None
    drawn, axes = _axes(len(went))
    ends(axes, value_on(axes, comparison, told, went, currency))
    return style.finish(drawn)


def spenders(went: dict[str, Course], currency: str) -> dict[str, Course]:
    """Those that spend any of a currency."""
    return {label: course for label, course in went.items() if course.along[currency][-1] > 0}


def value_on(axes: Axes, comparison: Comparison, told: dict[str, Any], went: dict[str, Course], currency: str) -> list:
    """The same on given axes. Returns: the labels for `ends`."""
    spending = spenders(went, currency)
    known = best(comparison) if told["score"] == "value" else None
    parts = [[known]] if known is not None else []
    limits = window([[one.middle, one.low, one.high] for one in went.values()])
    low, high = min([limits[0], *(part[0] for part in parts)]), limits[1]
    margin = 0.04 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)
    _across(axes, spending, currency)
    labels = _lines(axes, comparison, went, currency)
    if known is not None:
        axes.axhline(known, color=style.GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
    keys = [("interquartile mean, 95% interval", style.GREY)]
    if len(spending) < len(went):
        exact = "no samples" if is_general(comparison.config) else "kernel known, no samples"
        text = exact if currency == "samples" else "spends none of it"
        keys.append((f"dashed: {text}", style.INK))
    what = "Exact value Φ(x)" if told["score"] == "value" else "The methods' own estimates of the upper loss"
    what += f"; dotted: best known {number(known)}" if known is not None else ""
    style.words(axes, what, below=along(comparison, currency), keys=keys)
    return labels


def gap(comparison: Comparison, told: dict[str, Any], went: dict[str, Course], currency: str) -> Figure | None:
    """What is still missing to the best known value, on a log scale with a floor."""
    if not has_gap(comparison, told) or not spenders(went, currency):
        return None
    drawn, axes = _axes(len(went))
    ends(axes, gap_on(axes, comparison, went, currency))
    return style.finish(drawn)


def has_gap(comparison: Comparison, told: dict[str, Any]) -> bool:
    """Whether the best value is known."""
    return told["score"] == "value" and best(comparison) is not None


def gap_on(axes: Axes, comparison: Comparison, went: dict[str, Course], currency: str) -> list:
    """The same on given axes. Returns: the labels for `ends`."""
    known = best(comparison)
    lifted = {label: Course(one.along, *(part - known for part in one[1:])) for label, one in went.items()}
    above = np.concatenate([one.middle[one.middle > 0] for one in lifted.values()] or [np.empty(0)])
    floor = max(floor_of(comparison.config), 0.7 * float(above.min())) if above.size else floor_of(comparison.config)
    is_floored = any((one.low < floor).any() for one in lifted.values())
    lifted = {label: Course(one.along, *(np.maximum(part, floor) for part in one[1:])) for label, one in lifted.items()}
    axes.set_ylim(0.85 * floor, 1.4 * max(float(one.high.max()) for one in lifted.values()))
    style.logged(axes)
    _across(axes, spenders(lifted, currency), currency)
    labels = _lines(axes, comparison, lifted, currency)
    keys = [("interquartile mean, 95% interval", style.GREY)]
    if axes.get_ylim()[0] < NEAR < axes.get_ylim()[1]:
        axes.axhline(NEAR, color=style.GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
        keys.append((f"dotted: near, {NEAR}", style.INK))
    title = "Value above the best known, log scale" + (", floored" if is_floored else "")
    style.words(axes, title, below=along(comparison, currency), keys=keys)
    return labels


def _axes(arms: int) -> tuple[Figure, Axes]:
    drawn, (axes,) = style.figure(max(3.6, 1.2 + 0.16 * arms))
    return drawn, axes


def _across(axes: Axes, spending: dict[str, Course], currency: str) -> None:
    """The horizontal limits, logarithmic where the arms' whole costs are far apart."""
    totals = [course.along[currency][-1] for course in spending.values()]
    if max(totals) > WIDE * min(totals):
        axes.set_xscale("log")
        first = min(course.along[currency][course.along[currency] > 0][0] for course in spending.values())
        axes.set_xlim(0.9 * first, 1.02 * max(totals))
    else:
        axes.set_xlim(-0.02 * max(totals), 1.01 * max(totals))
    style.counted(axes)


def _lines(axes: Axes, comparison: Comparison, went: dict[str, Course], currency: str) -> list:
    """Every arm's line and interval; returns the labels for `ends`."""
    labels = []
    for place, arm in enumerate(comparison.arms):
        if arm.label not in went:
            continue
        course, (colour, marker) = went[arm.label], style.arm(place)
        along = course.along[currency]
        if not along[-1] > 0:
            axes.axhline(course.middle[-1], color=colour, linewidth=1.6, linestyle=LEVEL, zorder=2)
            labels.append((arm.label, colour, (axes.get_xlim()[1], float(course.middle[-1]))))
            continue
        is_marked = marker != style.MARKERS[0]
        kept = along > 0 if axes.get_xscale() == "log" else along >= 0
        along, middle, low, high = (part[kept] for part in (along, *course[1:]))
        axes.fill_between(along, low, high, color=colour, alpha=0.13, linewidth=0, zorder=2)
        axes.plot(
            along, middle, color=colour, linewidth=1.8, solid_capstyle="round", zorder=3,
            marker=marker if is_marked else None, markersize=4.5, markerfacecolor="white",
            markevery=(0.08 + 0.005 * place, 0.16) if is_marked else None,
        )  # fmt: skip
        is_whole = arm.state == "finished"
        size, face = (3.5, colour) if is_whole else (6, "white")
        axes.plot(along[-1], middle[-1], "o", color=colour, markerfacecolor=face, markersize=size, zorder=4)
        labels.append((SIGNS[marker] + arm.label, colour, (float(along[-1]), float(middle[-1]))))
    return labels
