"""One look for every figure: colours, fonts, axes. No pyplot: nothing is global, so threads may draw at once."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, fontManager
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from upperhand.report.writing import count, ticked

INK, GREY, PALE = "#1b1f24", "#667079", "#d9dde1"
BLUE, ORANGE, PURPLE = "#0b63a5", "#c75100", "#8a4f9e"
"""Told apart by every common kind of colour vision, in the spirit of Okabe and Ito."""

ARMS = ("#0b63a5", "#c9530c", "#0fa35a", "#70206b", "#524200", "#5a96ee", "#85838a")
"""Colours of arms in their order, apart in lightness too, so that no kind of colour vision takes one for another; with
markers, three times as many arms are told apart."""

MARKERS = ("o", "D", "^")

GOOD_BAD = LinearSegmentedColormap.from_list(
    "good_bad", ["#b8480a", "#e58a3c", "#f8cf9f", "#f7f5f1", "#a9d3e6", "#4596c4", "#0b5390"]
)
"""Orange is bad for the designer, blue is good: 0 worst, 1 best."""

WIDTH, DPI = 5.0, 200
"""Inches, and dots an inch: text of 10 points stays readable on a phone."""

FONTS = [name for name in ("Helvetica Neue", "Arial", "Liberation Sans") if name in fontManager.get_font_names()]


def font(size: float = 9.5, *, weight: str = "normal") -> FontProperties:
    """The one typeface, in points."""
    return FontProperties(family=[*FONTS, "DejaVu Sans"], size=size, weight=weight)


def blank(height: float) -> Figure:
    """A white figure without axes, with a canvas that needs no display; the height in inches."""
    drawn = Figure(figsize=(WIDTH, height), layout="constrained", facecolor="white")
    drawn.get_layout_engine().set(w_pad=0.06, h_pad=0.07)
    FigureCanvasAgg(drawn)
    return drawn


def figure(height: float, *, rows: int = 1, ratios: Sequence[float] | None = None) -> tuple[Figure, list[Axes]]:
    """An empty figure.

    Args:
      height: in inches.
      rows: axes above one another that share their horizontal axis.
      ratios: their heights, equal where not given.
    Returns: the figure and its axes from top to bottom.
    """
    drawn = blank(height)
    axes = drawn.subplots(rows, 1, sharex=True, squeeze=False, height_ratios=ratios)[:, 0]
    for one in axes:
        plain(one)
    return drawn, list(axes)


def plain(axes: Axes) -> None:
    """Two thin spines, small grey ticks, a faint horizontal grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#aab1b8")
    axes.tick_params(which="both", color="#aab1b8", labelcolor=GREY, length=3, width=0.8)
    axes.tick_params(which="minor", length=0)
    axes.grid(axis="y", color="#eceff1", linewidth=0.8)
    axes.set_axisbelow(True)


def square(axes: Axes) -> None:
    """A map: no spines, no grid, equal cells, ticks close to their numbers."""
    axes.spines[:].set_visible(False)
    axes.grid(False)
    axes.tick_params(length=0, pad=3)
    axes.set_aspect("equal")


def arm(place: int) -> tuple[str, str]:
    """The colour and the marker of the arm at a place; the first seven arms have the plain marker."""
    return ARMS[place % len(ARMS)], MARKERS[place // len(ARMS) % len(MARKERS)]


def words(axes: Axes, title: str, *, below: str = "", keys: Sequence[tuple[str, str]] = ()) -> None:
    """What the vertical axis shows, as a heading that needs no turned head, and what the colours mean.

    Args:
      title: quantity and unit.
      below: name of the horizontal axis.
      keys: (text, colour) of each kind of line, in a row under the heading.
    """
    axes.annotate(
        title,
        (0, 1),
        (0, 24 if keys else 9),
        xycoords="axes fraction",
        textcoords="offset points",
        font=font(10.5, weight="bold"),
        color=INK,
        va="baseline",
    )
    across = 0.0
    for text, colour in keys:
        key = axes.annotate(
            text,
            (0, 1),
            (across, 9),
            xycoords="axes fraction",
            textcoords="offset points",
            font=font(9.5),
            color=colour,
            va="baseline",
        )
        across += key.get_window_extent(axes.figure.canvas.get_renderer()).width * 72 / axes.figure.dpi + 14
    if below:
        axes.set_xlabel(below, font=font(), color=GREY)


def finish(drawn: Figure) -> Figure:
    """The tick labels in the one typeface, once the axes are full."""
    for axes in drawn.axes:
        axes.tick_params(which="both", labelsize=9, labelfontfamily=[*FONTS, "DejaVu Sans"])  # of ticks that come later
        for tick in (*axes.get_xticklabels(which="both"), *axes.get_yticklabels(which="both")):
            tick.set_fontproperties(font(9))
    return drawn


def counted(axes: Axes) -> None:
    """Horizontal ticks as `count` writes them."""
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value)))


def logged(axes: Axes) -> None:
    """A vertical log scale with plain numbers, at least four-fold, so that it is never without a tick."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    if high < 4 * low:
        middle = (low * high) ** 0.5
        low, high = axes.set_ylim(middle / 2, 2 * middle)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 60 * low else (1,)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: ticked(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())


def save(drawn: Figure, path: Path) -> None:
    """A PNG; the same figure gives the same bytes."""
    drawn.savefig(path, dpi=DPI, metadata={"Software": None})
