"""The figure of an experiment: how each arm went in every cell, over the samples."""

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from upperhand.report import comparison_curves, style
from upperhand.report.comparison import Course, courses
from upperhand.report.comparison_labels import ends
from upperhand.report.experiment_folder import Experiment, Part

HEIGHT = 3.7
"""Inches of a row."""
FEW = 3
"""Up to so many cells have a row each: the score, and what is missing to the best known; more have one panel each."""


def figure(experiment: Experiment) -> Figure | None:
    """A row or a panel for every cell that has something to draw; None where none has.

    Args:
      experiment: as `read_experiment` gives it.
    """
    begun = [(part, courses(part.comparison)) for part in experiment.parts if part.comparison is not None]
    shown = [(part, went) for part, went in begun if comparison_curves.spenders(went, part.told["currency"])]
    if not shown:
        return None
    has_gaps = all(comparison_curves.has_gap(part.comparison, part.told) for part, _ in shown)
    kinds = ("value", "gap") if has_gaps and len(shown) <= FEW else ("gap",) if has_gaps else ("value",)
    panels = [(part, went, kind) for part, went in shown for kind in kinds]
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    drawn = Figure(figsize=(columns * style.WIDTH, HEIGHT * rows), layout="constrained", facecolor="white")
    drawn.get_layout_engine().set(w_pad=0.06, h_pad=0.09)
    FigureCanvasAgg(drawn)
    places, labels = drawn.subplots(rows, columns, squeeze=False).ravel(), []
    for axes, (part, went, kind) in zip(places, panels, strict=False):
        labels.append((axes, panel(axes, part, went, kind)))
        if kind == kinds[0]:
            titled(axes, part.title[:1].upper() + part.title[1:])
    for axes in places[len(panels) :]:
        axes.set_axis_off()
    for axes, names in labels:
        ends(axes, names)
    return style.finish(drawn)


def panel(axes: Axes, part: Part, went: dict[str, Course], kind: str) -> list:
    """The score of a cell, or what is missing to the best known. Returns: the labels of its lines."""
    style.plain(axes)
    if kind == "gap":
        return comparison_curves.gap_on(axes, part.comparison, went, part.told["currency"])
    return comparison_curves.value_on(axes, part.comparison, part.told, went, part.told["currency"])


def titled(axes: Axes, title: str) -> None:
    """A title above a panel's own heading."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline", "parse_math": False}
    axes.annotate(title, (0, 1), (0, 44), font=style.font(13, weight="bold"), color=style.INK, **place)
