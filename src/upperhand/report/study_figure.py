"""A figure of a study: lines with bands, dots with their intervals, marks, on plain or log axes."""

import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from upperhand.report import style
from upperhand.report.writing import ticked

DASHES = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)))
"""Of the first seven lines, of the next seven, of those after them: a colour that comes again has another dash."""
MARKS = ((0, (4, 2)), (0, (1, 1.6)), (0, (6, 2, 1, 2)), (0, (2, 1)))
SPARSE = 24
"""Points up to which a line shows each of them."""
ACROSS = 56
"""Letters in a line of the heading and of a key."""


def caption(figure: dict[str, Any]) -> str:
    """What to see, and how many points a log axis leaves out."""
    gone = sum(_left_out(figure, line) for line in figure["lines"])
    title = figure["title"].strip()
    title += "" if not title or title[-1] in ".!?…" else "."
    if not gone:
        return title
    one = gone == 1
    return (
        f"{title} {gone:,} {'point' if one else 'points'} at 0 or below {'is' if one else 'are'} not drawn (log axis)."
    )


def _left_out(figure: dict[str, Any], line: dict[str, Any]) -> int:
    x, y = _numbers(line["x"]), _numbers(line["y"])
    below = (figure["x_log"] & (x <= 0)) | (figure["y_log"] & (y <= 0))
    return int((below & np.isfinite(x) & np.isfinite(y)).sum())


def draw(figure: dict[str, Any]) -> Figure:
    """The picture.

    Args:
      figure: as parts/study.json has it: {"x_label", "y_label", "lines", "marks", "x_log", "y_log", …}.
    Returns: a figure; each line of the study is a line of its axes, in their order, the marks after them.
    """
    drawn, (axes,) = style.figure(3.3)
    drawn.set_size_inches(style.WIDTH, 3.3 + 0.17 * _rows(figure))
    for at, line in enumerate(figure["lines"]):
        _line(axes, figure, line, at)
    for at, mark in enumerate(figure["marks"]):
        axes.axhline(mark["y"], color=style.INK, linewidth=1.1, linestyle=MARKS[at % len(MARKS)], zorder=1.5)
    axes.margins(x=0.02, y=0.07)
    axes.autoscale_view()
    _scaled(axes, axes.xaxis, figure["x_log"], _spread(figure, "x"))
    _scaled(axes, axes.yaxis, figure["y_log"], _spread(figure, "y"))
    axes.set_xlabel(figure["x_label"], font=style.font(), color=style.GREY, parse_math=False)
    _headed(drawn, axes, figure)
    return style.finish(drawn)


def _line(axes: Axes, figure: dict[str, Any], line: dict[str, Any], at: int) -> None:
    colour = style.ARMS[at % len(style.ARMS)]
    x, y = _shown(line["x"], figure["x_log"]), _shown(line["y"], figure["y_log"])
    axes.plot(x, y, zorder=3, **_looks(line, at, y))
    if line["low"] is None:
        return
    low, high = _numbers(line["low"]), _shown(line["high"], figure["y_log"])
    if figure["y_log"]:  # a band that reaches 0 goes down to the floor of the picture
        low = np.where(low <= 0, _spread(figure, "y")[0], low)
    if line["dots"]:
        axes.vlines(x, low, high, color=colour, linewidth=1.4, alpha=0.6, zorder=2.5)
    else:
        axes.fill_between(x, low, high, color=colour, alpha=0.17, linewidth=0, zorder=2)


def _looks(line: dict[str, Any], at: int, y: np.ndarray) -> dict[str, Any]:
    """Colour, dash and marker of the line at a place."""
    colour, around = style.ARMS[at % len(style.ARMS)], at // len(style.ARMS)
    looks = {"color": colour, "marker": style.MARKERS[around % 3], "markeredgecolor": "white", "markeredgewidth": 0.5}
    if line["dots"]:
        return looks | {"linestyle": "", "markersize": 5.5}
    there = np.isfinite(np.concatenate([[np.nan], y, [np.nan]]))
    is_alone = bool((there[1:-1] & ~there[:-2] & ~there[2:]).any())
    looks |= {"linestyle": DASHES[around % 3], "linewidth": 1.7, "markersize": 4.5}
    return looks if is_alone or len(y) <= SPARSE else looks | {"marker": ""}


def _numbers(values: list) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)


def _shown(values: list, is_log: bool) -> np.ndarray:
    """The values that an axis can show; NaN for the others."""
    found = _numbers(values)
    return np.where(found > 0, found, np.nan) if is_log else found


def _spread(figure: dict[str, Any], name: str) -> tuple[float, float]:
    """The least and the greatest number that an axis shows; (1, 1) where there is none."""
    is_log, kinds = figure[f"{name}_log"], ("x",) if name == "x" else ("y", "low", "high")
    parts = [_shown(line[kind], is_log) for line in figure["lines"] for kind in kinds if line[kind] is not None]
    parts += [_shown([mark["y"] for mark in figure["marks"]], is_log)] * (name == "y")
    found = np.concatenate([*parts, np.empty(0)])
    found = found[np.isfinite(found)]
    return (float(found.min()), float(found.max())) if found.size else (1.0, 1.0)


def _scaled(axes: Axes, axis: Axis, is_log: bool, ends: tuple[float, float]) -> None:
    """Ticks with plain numbers; a log axis is at least four-fold, so that it is never without a tick."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: ticked(value)))
    if not is_log:
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
        return
    low, high = ends
    if high < 4 * low:
        low, high = (low * high) ** 0.5 / 2, (low * high) ** 0.5 * 2
    room = (high / low) ** (0.03 if axis is axes.xaxis else 0.07)
    (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
    (axes.set_xlim if axis is axes.xaxis else axes.set_ylim)(low / room, high * room)
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 60 * low else (1,), numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: ticked(value)))
    axis.set_minor_formatter(NullFormatter())


def _keys(figure: dict[str, Any]) -> list[tuple[Line2D, str]]:
    lines = [(Line2D([], [], **_looks(line, at, _numbers(line["y"]))), line) for at, line in enumerate(figure["lines"])]
    marks = [
        (Line2D([], [], color=style.INK, linewidth=1.1, linestyle=MARKS[at % len(MARKS)]), mark)
        for at, mark in enumerate(figure["marks"])
    ]
    return [(handle, textwrap.fill(one["label"], ACROSS)) for handle, one in (*lines, *marks) if one["label"].strip()]


def _rows(figure: dict[str, Any]) -> int:
    """Lines of text in the keys, about."""
    keys = [text for _, text in _keys(figure)]
    return sum(text.count("\n") + 1 for text in keys) // _columns(keys) if keys else 0


def _columns(texts: list[str]) -> int:
    """As many keys side by side as fit."""
    widest = max(len(line) for text in texts for line in text.split("\n"))
    return max(1, min(4, len(texts), int(62 // (widest + 6))))


def _headed(drawn: Figure, axes: Axes, figure: dict[str, Any]) -> None:
    """What the vertical axis shows, over the keys of the lines, over the axes."""
    keys, above = _keys(figure), 8.0
    if keys:
        handles, texts = zip(*keys, strict=True)
        kept = {"frameon": False, "prop": style.font(9.5), "labelcolor": style.INK, "handlelength": 1.9}
        kept |= {"borderaxespad": 0.0, "borderpad": 0.0, "labelspacing": 0.35, "columnspacing": 1.6}
        legend = axes.legend(
            handles, texts, loc="lower left", bbox_to_anchor=(0, 1.03), ncols=_columns(list(texts)), **kept
        )
        for text in legend.get_texts():
            text.set_parse_math(False)
        above += 8 + legend.get_window_extent(axes.figure.canvas.get_renderer()).height * 72 / drawn.dpi
    axes.annotate(
        textwrap.fill(figure["y_label"], ACROSS),
        (0, 1),
        (0, above),
        xycoords="axes fraction",
        textcoords="offset points",
        font=style.font(10.5, weight="bold"),
        color=style.INK,
        va="baseline",
        parse_math=False,
    )
