"""How the arms of a comparison ended: every seed, who beats whom, and what the tuning tried."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from upperhand.report import style
from upperhand.report.comparison import Comparison, best, final
from upperhand.report.comparison_labels import short, window
from upperhand.report.writing import number

ROW = 0.25
"""Inches of an arm's row."""


def finals(comparison: Comparison, told: dict[str, Any]) -> Figure | None:
    """A row an arm, best first: every seed at its last record, the interquartile mean and its interval."""
    name, known = told["score"], best(comparison) if told["score"] == "value" else None
    places = {arm.label: place for place, arm in enumerate(comparison.arms)}
    folders = {arm.label: arm.folder for arm in comparison.arms if arm.folder and name in arm.folder.rows}
    shown = [arm for arm in told["arms"] if arm["label"] in folders]
    arms = {arm.label: arm for arm in comparison.arms}
    ends = [final(comparison, arms[arm["label"]], name) for arm in shown]
    columns = [
        folders[arm["label"]].rows[name][:, -1] if end is None else end for arm, end in zip(shown, ends, strict=True)
    ]
    if not any(np.isfinite(column).any() for column in columns):
        return None
    drawn, axes, limits = _rows(
        [arm["label"] for arm in shown], places, [*columns, [np.nan if known is None else known]]
    )
    if known is not None:
        axes.axvline(known, color=style.GREY, linewidth=1.0, linestyle=(0, (5, 3)), zorder=1)
    for height, (arm, column) in enumerate(zip(shown, columns, strict=True)):
        colour, _ = style.arm(places[arm["label"]])
        lost = folders[arm["label"]].rows.get("failed", np.zeros((len(column), 1)))[:, -1] > 0
        apart = height + 0.5 * (np.arange(len(column)) * 0.618 % 1 - 0.5)  # seeds beside one another, always alike
        inside = np.clip(column, *limits)
        for kept, marker, size in ((~lost, "o", 9), (lost, "x", 16)):
            axes.scatter(
                inside[kept], apart[kept], size, color=colour, marker=marker, alpha=0.5 if marker == "o" else 1,
                linewidths=0 if marker == "o" else 1.1, zorder=2,
            )  # fmt: skip
        _outside(axes, column, height, colour, limits)
        if arm["iqm"] is not None:
            low, middle, high = np.clip([arm["low"], arm["iqm"], arm["high"]], *limits)
            axes.plot(
                [low, high], [height, height], color=colour, linewidth=4, alpha=0.45, solid_capstyle="butt", zorder=3
            )
            axes.plot(middle, height, "|", color=style.INK, markersize=11, markeredgewidth=1.8, zorder=4)
    what = "Exact value Φ(x)" if name == "value" else "The methods' own estimates"
    keys = [("each seed", style.GREY), ("bar: IQM, 95% interval", style.INK)]
    if any(arm["failures"] for arm in shown):
        keys.append(("×: failed", style.INK))
    below = "lower is better"
    below += f"; dashed: best known {number(known)}" if known is not None else ""
    style.words(axes, f"{what} at the last record", below=below, keys=keys)
    return style.finish(drawn)


def improvement(comparison: Comparison, told: dict[str, Any]) -> Figure | None:
    """Who beats whom: the probability, in percent, that a seed of the row's arm is better than one of the column's."""
    labels = list(told["improvement"])
    if len(labels) < 2:
        return None
    places = {arm.label: place for place, arm in enumerate(comparison.arms)}
    N, size = len(labels), 9.0 if len(labels) <= 8 else 7.5
    table = np.full((N, N), np.nan)
    drawn = style.blank(1.05 + 0.27 * max(N, 3))
    axes = drawn.subplots()
    for row, a in enumerate(labels):
        for column, b in enumerate(labels):
            if a == b:
                continue
            found = told["improvement"][a][b]
            table[row, column] = found["probability"]
            is_clear = found["low"] > 0.5 or found["high"] < 0.5
            axes.text(
                column, row, f"{100 * found['probability']:.0f}", ha="center", va="center_baseline",
                font=style.font(size, weight="bold" if is_clear else "normal"),
                color="white" if abs(found["probability"] - 0.5) > 0.38 else style.INK,
            )  # fmt: skip
    axes.imshow(table, cmap=style.GOOD_BAD, vmin=0, vmax=1, aspect="auto")
    axes.spines[:].set_visible(False)
    axes.set_xticks(np.arange(N + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(N + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5)
    axes.tick_params(which="both", length=0)
    _named(axes.yaxis, labels, places, size, numbered=True)
    axes.set_xticks(range(N), [str(number) for number in range(1, N + 1)])
    for text, label in zip(axes.get_xticklabels(), labels, strict=True):
        text.set(color=style.arm(places[label])[0], fontproperties=style.font(size))
    keys = [("in %; bold: its 95% interval excludes 50", style.GREY)]
    style.words(axes, "Probability that the row's arm is better", keys=keys)
    return drawn


def tuning(comparison: Comparison, told: dict[str, Any]) -> Figure | None:
    """A row an arm: the score of every trial, the one that was chosen, and the settings as given."""
    tunings = {arm.label: arm.tuning for arm in comparison.arms if arm.tuning and len(arm.tuning.scales) > 1}
    places = {arm.label: place for place, arm in enumerate(comparison.arms)}
    shown = [arm["label"] for arm in told["arms"] if arm["label"] in tunings]
    if not shown:
        return None
    columns = [np.array([np.nan if one is None else one for one in tunings[label].scores]) for label in shown]
    drawn, axes, limits = _rows(shown, places, columns)
    for height, (label, column) in enumerate(zip(shown, columns, strict=True)):
        colour, _ = style.arm(places[label])
        inside, chosen = np.clip(column, *limits), tunings[label].chosen
        axes.scatter(inside, np.full(len(column), height), 22, color=colour, alpha=0.4, linewidths=0, zorder=2)
        axes.plot(inside[0], height, "|", color=style.INK, markersize=10, markeredgewidth=1.2, zorder=3)
        axes.plot(inside[chosen], height, "o", markersize=7, color=colour, markeredgecolor=style.INK, zorder=4)
        _outside(axes, column, height, colour, limits)
        if (lost := int(np.isnan(column).sum())) > 0:
            axes.annotate(
                f"{lost} failed", (1, height), (2, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
                va="center_baseline", font=style.font(7.5), color=style.GREY,
            )  # fmt: skip
    keys = [("each trial", style.GREY), ("ringed: chosen", style.INK), ("bar: as given", style.INK)]
    style.words(axes, "Tuning: mean over the tuning seeds", below="lower is better", keys=keys)
    return style.finish(drawn)


def _rows(labels: list[str], places: dict[str, int], parts: list) -> tuple[Figure, Axes, tuple[float, float]]:
    """Axes with a named row an arm from the top, and the limits that hold the parts."""
    drawn, (axes,) = style.figure(1.25 + ROW * max(len(labels), 3))
    low, high = limits = window(parts)
    margin = 0.03 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(False)
    axes.grid(axis="x", color="#eceff1", linewidth=0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    _named(axes.yaxis, labels, places, 9.0)
    for height in range(len(labels)):
        axes.axhline(height, color="#eceff1", linewidth=0.8, zorder=0)
    return drawn, axes, limits


def _named(axis: Axis, labels: list[str], places: dict[str, int], size: float, *, numbered: bool = False) -> None:
    """The arms' labels as ticks, each in the arm's colour; no label is taken for mathematics."""
    numbers = [f"   {number}" if numbered else "" for number in range(1, len(labels) + 1)]
    axis.set_ticks(range(len(labels)), [short(label) + number for label, number in zip(labels, numbers, strict=True)])
    for text, label in zip(axis.get_ticklabels(), labels, strict=True):
        text.set(color=style.arm(places[label])[0], parse_math=False, fontproperties=style.font(size))


def _outside(axes: Axes, column: np.ndarray, height: int, colour: str, limits: tuple[float, float]) -> None:
    """A small arrow at the edge where something lies beyond it."""
    for edge, beyond, marker in ((limits[0], column < limits[0], "<"), (limits[1], column > limits[1], ">")):
        if beyond.any():
            axes.plot(edge, height, marker, color=colour, markersize=6, zorder=5)
