"""The figure of the four-rooms experiment: a panel a cell, in each a row an arm, against what was published."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from upperhand.report import style
from upperhand.report.four_rooms_folder import Study
from upperhand.report.writing import fixed

WIDTH, ROW = 10.4, 0.27
"""Inches of the figure, and of an arm's row."""
BEST = {"color": style.INK, "linewidth": 1.3, "linestyle": (0, (4, 2))}
OTHER = {"color": "#aab1b8", "linewidth": 1.0}
KNOWN = {"color": style.PURPLE, "linewidth": 1.3, "linestyle": (0, (1, 1.4))}


def figure(study: Study, told: dict) -> Figure | None:
    """Rows of panels are τ, columns are costs; None where no arm has finished.

    Args:
      study: as `read` gives it.
      told: its table.
    """
    if not study.arms:
        return None
    taus, costs = (list(dict.fromkeys(cell[name] for cell in told["cells"])) for name in ("tau", "cost"))
    height = len(taus) * (ROW * len(study.arms) + 0.85) + 0.6
    drawn = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    drawn.get_layout_engine().set(w_pad=0.11, h_pad=0.07)
    FigureCanvasAgg(drawn)
    places = drawn.subplots(len(taus), len(costs), squeeze=False)
    for axes in places.ravel():
        axes.set_axis_off()
    for at, cell in enumerate(told["cells"]):
        row, column = taus.index(cell["tau"]), costs.index(cell["cost"])
        panel(places[row, column], study, cell, at)
        if column:
            places[row, column].set_yticklabels([])
        if row == len(taus) - 1:
            places[row, column].set_xlabel("designer’s value, higher is better →", font=style.font(), color=style.GREY)
    keys(drawn)
    return style.finish(drawn)


def panel(axes: Axes, study: Study, cell: dict, at: int) -> None:
    """Every seed a dot, the interquartile mean with its interval, and the marks of what is known."""
    axes.set_axis_on()
    style.plain(axes)
    axes.grid(False)
    axes.spines["left"].set_visible(False)
    for name, found in cell["published"].items():
        axes.axvline(found["mean"], zorder=1, **(BEST if name == cell["best"]["method"] else OTHER))
    axes.axvline(cell["known"], zorder=1, **KNOWN)
    for height, arm in enumerate(cell["arms"]):
        colour, _ = style.arm(height)
        seeds = np.array(study.arms[arm["label"]]["values"][at])
        apart = height + 0.5 * (np.arange(len(seeds)) * 0.618 % 1 - 0.5)  # beside one another, always alike
        axes.scatter(seeds, apart, 9, color=colour, alpha=0.5, linewidths=0, zorder=2)
        ends, level = [arm["low"], arm["high"]], [height, height]
        axes.plot(ends, level, color=colour, linewidth=4, alpha=0.45, solid_capstyle="butt", zorder=3)
        axes.plot(arm["iqm"], height, "|", color=style.INK, markersize=10, markeredgewidth=1.7, zorder=4)
    axes.set_yticks(range(len(cell["arms"])), [arm["label"] for arm in cell["arms"]])
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(len(cell["arms"]) - 0.4, -0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.margins(x=0.05)
    heading = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
    title = f"τ = {cell['tau']:g}, cost {cell['cost']:g}"
    best = f"best published {fixed(cell['best']['mean'], 2)}, {cell['best']['method']}"
    axes.annotate(title, (0, 1), (0, 6), font=style.font(10.5, weight="bold"), color=style.INK, **heading)
    axes.annotate(best, (1, 1), (0, 6), font=style.font(9), color=style.GREY, ha="right", **heading)


def keys(drawn: Figure) -> None:
    """What dots, bars and marks mean, in a line above the panels."""
    bar = {"color": style.GREY, "linewidth": 4, "alpha": 0.45}
    shown = [
        (Line2D([], [], marker="o", linestyle="", markersize=3.5, color=style.GREY, alpha=0.7), "each seed"),
        ((Line2D([], [], **bar), tick()), "IQM, 95% interval"),
        (Line2D([], [], **BEST), "best published"),
        (Line2D([], [], **OTHER), "others published"),
        (Line2D([], [], **KNOWN), "exact-gradient ascent, known"),
    ]
    handles, labels = zip(*shown, strict=True)
    kept = {"frameon": False, "ncols": len(shown), "prop": style.font(9.5), "labelcolor": style.INK}
    drawn.legend(handles, labels, loc="outside upper left", handlelength=2, columnspacing=1.6, **kept)


def tick() -> Line2D:
    """The sign of an interquartile mean."""
    return Line2D([], [], marker="|", linestyle="", color=style.INK, markersize=10, markeredgewidth=1.7)
