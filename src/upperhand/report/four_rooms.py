"""The numbers of the four-rooms experiment: each cell against what was published, and what was spent and chosen."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from upperhand.report.four_rooms_folder import Study
from upperhand.report.statistics import improvement, interval

RIVAL = "hpgd"
"""The arm that the others that sample are set against."""
NEAR = 0.02
"""The ascent reproduces a known value that it comes so close to."""


def table(study: Study) -> dict[str, Any]:
    """What OUT/table.json tells; values are the designer's, higher is better.

    Args:
      study: as `read` gives it.
    Returns: {"experiment", "missing": parts, "rival", "ascent": {"seconds", "near": cells within `NEAR` of the known
      value, "largest": difference}, None before it is there, "cells": [{"tau", "cost", "published": {method: {"mean",
      "error"}}, "best": {"method", "mean"} of the published, "known", "ascent", "difference": ascent − known, "arms":
      [{label, iqm, low, high, seeds, step, heat, reaches: whether the interval's upper end is at least the best
      published mean, better: {"probability", "low", "high"} that a seed of it is better than one of the rival; None for
      the rival and where either draws no samples}]}], "arms": [{label, samples, transitions: mean of a start, updates,
      seconds, reached: cells, steps, heats: [{"of", "cells": how often it was chosen}]}]}.
    """
    ends = {name: interval(np.array(one["values"]).T) for name, one in study.arms.items()}
    cells = [_cell(study, at, ends) for at in range(len(study.cells))]
    return {
        "experiment": study.about["experiment"],
        "missing": list(study.missing),
        "rival": RIVAL,
        "ascent": _ascent(study, cells),
        "cells": cells,
        "arms": [_arm(study, name, cells) for name in study.arms],
    }


def _cell(study: Study, at: int, ends: dict) -> dict[str, Any]:
    (tau, cost), known = study.cells[at], study.known[at]
    published = {name: {"mean": rows[at][0], "error": rows[at][1]} for name, rows in study.published.items()}
    best = max(published, key=lambda name: published[name]["mean"])
    ascent = None if study.ascent is None else study.ascent["values"][at]
    arms = []
    for name, one in study.arms.items():
        step, heat = one["grid"][one["chosen"][at]]
        iqm, low, high = (float(end[at]) for end in ends[name])
        told = {"label": name, "iqm": iqm, "low": low, "high": high, "seeds": len(one["values"][at])}
        told |= {"step": step, "heat": heat, "reaches": max(iqm, high) >= published[best]["mean"]}
        arms.append(told | {"better": _better(study, name, at)})
    return {
        "tau": tau,
        "cost": cost,
        "published": published,
        "best": {"method": best, "mean": published[best]["mean"]},
        "known": known,
        "ascent": ascent,
        "difference": None if ascent is None else ascent - known,
        "arms": arms,
    }


def _better(study: Study, name: str, at: int) -> dict[str, float] | None:
    """That a seed of an arm is better than one of the rival, at equal environment steps."""
    if name == RIVAL or not all(one in study.arms and samples(study.arms[one]) for one in (name, RIVAL)):
        return None
    losses = (-np.array(study.arms[one]["values"][at]) for one in (name, RIVAL))  # `improvement` takes lower as better
    return improvement(*losses)._asdict()


def samples(part: dict[str, Any]) -> bool:
    """Whether an arm draws transitions."""
    return isinstance(part["transitions"], list)


def _ascent(study: Study, cells: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    if study.ascent is None:
        return None
    gaps = [abs(cell["difference"]) for cell in cells]
    return {"seconds": study.ascent["seconds"], "near": sum(gap <= NEAR for gap in gaps), "largest": max(gaps)}


def _arm(study: Study, name: str, cells: Sequence[dict[str, Any]]) -> dict[str, Any]:
    one = study.arms[name]
    own = [arm for cell in cells for arm in cell["arms"] if arm["label"] == name]

    def times(column, key):
        tried = list(dict.fromkeys(row[column] for row in one["grid"]))
        return [{"of": value, "cells": sum(arm[key] == value for arm in own)} for value in tried]

    return {
        "label": name,
        "samples": samples(one),
        "transitions": float(np.mean(one["transitions"])),
        "updates": one["updates"],
        "seconds": one["seconds"],
        "reached": sum(arm["reaches"] for arm in own),
        "steps": times(0, "step"),
        "heats": times(1, "heat"),
    }
