"""Names beside lines, moved apart, and limits that one outlier does not set."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from upperhand.report import style

FAR = 50
"""From this many usual ranges on, something is drawn at the edge of a figure."""

LONGEST = 22
"""Letters of a label in a figure."""


def short(text: str, most: int = LONGEST) -> str:
    """A text that fits: its middle gives way, as names differ at their ends."""
    tail = (most - 1) // 2
    return text if len(text) <= most else f"{text[: most - 1 - tail]}…{text[-tail:]}"


def ends(axes: Axes, labels: Sequence[tuple[str, str, tuple[float, float]]]) -> None:
    """Names at the right of the axes, one beside the end of each line, moved apart so that none covers another.

    Args:
      axes: full, with final limits.
      labels: (text, colour, end of its line in data).
    """
    size = 9.0 if len(labels) <= 10 else 8.0
    low, high = axes.get_ylim()
    told = [(text, colour, (x, min(max(y, low), high))) for text, colour, (x, y) in labels]
    placed = [
        axes.annotate(
            short(text),
            end,
            (1.06, 0.5),
            textcoords="axes fraction",
            font=style.font(size),
            color=colour,
            va="center_baseline",
            annotation_clip=False,
            parse_math=False,
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.6, "alpha": 0.6, "shrinkA": 1, "shrinkB": 0}
            | {"relpos": (0, 0.5)},
        )
        for text, colour, end in told
    ]
    axes.figure.draw_without_rendering()  # the layout gives the axes their height
    height = axes.bbox.height * 72 / axes.figure.dpi
    wanted = [axes.transAxes.inverted().transform(axes.transData.transform(end))[1] for _, _, end in told]
    for text, place in zip(placed, spread(wanted, 1.2 * size / height), strict=True):
        text.set_position((1.06, place))


def spread(wanted: Sequence[float], apart: float) -> list[float]:
    """Places as near to the wanted ones as can be, at least so far apart, within 0 to 1 where there is room.

    Args:
      wanted: places in any order; equal ones keep their order.
      apart: least distance.
    Returns: one place each, the least squares sum under these bounds.
    """
    if not len(wanted):
        return []
    order, steps = np.argsort(wanted, kind="stable"), apart * np.arange(len(wanted))
    free = isotonic_regression(np.asarray(wanted, float)[order] - steps).x
    kept = np.clip(free, min(0.0, (1 - steps[-1]) / 2), max(1 - steps[-1], (1 - steps[-1]) / 2))
    found = np.empty(len(wanted))
    found[order] = kept + steps
    return found.tolist()


def window(parts: Sequence[ArrayLike]) -> tuple[float, float]:
    """Limits that show every part, except where a few are so far out that the others could not be seen.

    Args:
      parts: numbers of each arm; what is not finite does not count.
    Returns: (low, high): the least and the greatest number. Where that is more than `FAR` times the range of the parts
      without the quarter of them (at least one) that reaches furthest up, it ends one such range above these; likewise
      below.
    """
    kept = [part[np.isfinite(part)] for part in (np.ravel(np.asarray(part, float)) for part in parts)]
    kept = [part for part in kept if part.size]
    if not kept:
        return 0.0, 1.0
    high = _edge(kept)
    return -_edge([-np.minimum(part, high) for part in kept]), high


def _edge(parts: list[np.ndarray]) -> float:
    """The upper end of a window."""
    highs, low = sorted(float(part.max()) for part in parts), min(float(part.min()) for part in parts)
    inner = highs[max(len(highs) - max(len(highs) // 4, 1) - 1, 0)]
    is_far = inner > low and highs[-1] - low > FAR * (inner - low)
    return inner + (inner - low) if is_far else highs[-1]
