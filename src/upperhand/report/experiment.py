"""The numbers of an experiment: how each arm ends in each cell, and whether the method is better than it."""

from typing import Any

import numpy as np

from upperhand.report.comparison import Comparison, cost
from upperhand.report.experiment_folder import Experiment, Part
from upperhand.report.statistics import interval

VERDICTS = ("better", "open", "worse")
"""The method is better than the rival, cannot be told apart from it, or is worse: where the interval of P leaves ½."""


def table(experiment: Experiment) -> dict[str, Any]:
    """What OUT/table.json tells.

    Args:
      experiment: as `read_experiment` gives it.
    Returns: {"experiment", "method", "rival", "cells": {name: {"title", "problem", "best", "score", "finished", "page":
      path inside OUT, "verdict": one of VERDICTS, None before both arms have finished, "arms": [{label, state, iqm,
      low, high, half: its interquartile mean by half of the budget, near, seeds, failures, samples, factors: of its
      tuning, better: {"probability", "low", "high"} that a seed of the method is better than one of it}]}}}.
      None stands for what is not there; a cell that has not begun has no arms.
    """
    question = experiment.about["question"]
    cells = {part.name: _cell(part, question) for part in experiment.parts}
    names = {"experiment": experiment.about["experiment"], "method": question["method"], "rival": question["rival"]}
    return names | {"cells": cells}


def _cell(part: Part, question: dict[str, str]) -> dict[str, Any]:
    told, page = part.told, f"cells/{part.name}/report.html"
    found = {"title": part.title, "finished": part.is_finished, "page": page, "verdict": None, "arms": []}
    if told is None:
        return found | {"problem": None, "best": None, "score": None}
    against = told["improvement"].get(question["method"], {})
    halves = {arm["label"]: half(part.comparison, arm["label"], told) for arm in told["arms"]}
    kept = ("label", "state", "iqm", "low", "high", "near", "seeds", "failures", "samples")
    found["arms"] = [
        {name: arm[name] for name in kept}
        | {"half": halves[arm["label"]], "factors": arm["scales"], "better": against.get(arm["label"])}
        for arm in told["arms"]
    ]
    verdict = verdict_of(against.get(question["rival"]))
    return found | {"problem": told["problem"], "best": told["best"], "score": told["score"], "verdict": verdict}


def verdict_of(better: dict[str, float] | None) -> str | None:
    """One of VERDICTS, by whether the interval of a probability of being better leaves out ½."""
    if better is None:
        return None
    return "better" if better["low"] > 0.5 else "worse" if better["high"] < 0.5 else "open"


def half(comparison: Comparison, label: str, told: dict[str, Any]) -> float | None:
    """The interquartile mean of an arm at its last record within half of the budget, None where that is not finite."""
    arm = next(arm for arm in comparison.arms if arm.label == label)
    if arm.state != "finished" or told["score"] not in arm.folder.rows:
        return None
    within = cost(arm.folder, told["currency"]) <= told["budget"] / 2
    at = within.sum(1) - 1
    scores = arm.folder.rows[told["score"]][np.arange(len(at)), at]
    return float(interval(scores).iqm) if (at >= 0).all() and np.isfinite(scores).all() else None
