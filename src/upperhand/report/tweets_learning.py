"""The figure of how the language model learned, before any arm."""

import numpy as np
from matplotlib.figure import Figure

from upperhand.report import style
from upperhand.report.tweets_folder import Study
from upperhand.report.writing import fixed

KINDS = {"train": ("in training", style.GREY), "validation": ("held out", style.BLUE)}


def learning(study: Study, told: dict) -> Figure | None:
    """Loss over steps, on what was learned from and on what was held out; None with fewer than two points."""
    curve = (study.language or {}).get("curve", [])
    lines = {}
    for name in KINDS:
        points = [(point["step"], point[name]) for point in curve if point.get(name) is not None]
        if len(points) > 1:
            lines[name] = np.array(sorted(points), np.float64).T
    if not lines:
        return None
    drawn, (axes,) = style.figure(2.9)
    for name, (step, loss) in lines.items():
        axes.plot(step, loss, color=KINDS[name][1], linewidth=1.8, solid_capstyle="round")
    name, (step, loss) = list(lines.items())[-1]
    axes.annotate(
        fixed(float(loss[-1]), 2), (step[-1], loss[-1]), (0, 7), textcoords="offset points", ha="right",
        color=KINDS[name][1], font=style.font(9.5, weight="bold"),
    )  # fmt: skip
    axes.margins(x=0.02, y=0.1)
    style.counted(axes)
    style.words(axes, "Loss, nats a token", below="steps", keys=[KINDS[name] for name in lines])
    return style.finish(drawn)
