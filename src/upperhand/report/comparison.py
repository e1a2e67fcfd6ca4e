"""The numbers of a comparison: how each arm ends, what it spent, and which arms can be told apart."""

from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from upperhand.report.comparison_folder import CURRENCIES, Arm, Comparison, Tuning, read
from upperhand.report.curves import NEAR, best_value
from upperhand.report.folder import Folder
from upperhand.report.general import is_general
from upperhand.report.statistics import Improvement, improvement, interval

__all__ = ["CURRENCIES", "Arm", "Comparison", "Course", "Tuning", "best", "cost", "courses", "read", "score", "summary"]

POINTS = 100
"""Records of an arm that are drawn; a longer run is thinned, its ends kept."""

SAME, LARGEST = 1e-9, 1e29
"""Share of the range of the scores below which a difference counts as none; what scores of failed seeds are above."""

STATES = ("finished", "stopped", "missing")
NUMBERS = ("samples", "gradients", "products", "seconds")


class Course(NamedTuple):
    """How an arm went, its seeds together."""

    along: dict[str, np.ndarray]  # currency → [R], median over the seeds
    middle: np.ndarray  # [R] interquartile mean
    low: np.ndarray  # [R] ends of its 95% interval
    high: np.ndarray  # [R]


def score(comparison: Comparison) -> str:
    """The figure that judges: the exact value where each arm has it, else the methods' own estimates."""
    told = [arm.folder.rows for arm in comparison.arms if arm.folder]
    return "value" if told and all("value" in rows for rows in told) else "upper"


def best(comparison: Comparison) -> float | None:
    """The best known value, where an arm's rows tell it."""
    found = [best_value(arm.folder) for arm in comparison.arms if arm.folder]
    return next((value for value in found if value is not None), None)


def cost(folder: Folder, currency: str) -> np.ndarray:
    """What a run had spent at each record, [N, R]; zero where its rows do not tell."""
    columns = [folder.rows[name] for name in CURRENCIES[currency] if name in folder.rows]
    return np.nan_to_num(sum(columns, np.zeros(folder.rows["step"].shape)))


def courses(comparison: Comparison) -> dict[str, Course]:
    """Label → Course of each arm with at least two records that are finite for every seed."""
    name, found = score(comparison), {}
    for arm in comparison.arms:
        column = None if arm.folder is None else arm.folder.rows.get(name)
        full = [] if column is None else np.flatnonzero(np.isfinite(column).all(0))
        if len(full) < 2:
            continue
        kept = full[np.unique(np.linspace(0, len(full) - 1, min(POINTS, len(full))).round().astype(int))]
        along = {currency: np.median(cost(arm.folder, currency)[:, kept], 0) for currency in CURRENCIES}
        found[arm.label] = Course(along, *interval(column[:, kept], resamples=1000))
    return found


def summary(comparison: Comparison) -> dict[str, Any]:
    """What OUT/summary.json tells.

    Args:
      comparison: as `read` gives it.
    Returns: {"problem", "currency", "budget", "score", "best": the best known value, "winner": the finished arm with
      the lowest interquartile mean, "runner_up": the next one, "arms": finished first, each kind from the best to the
      worst, "improvement": {a: {b: {"probability", "low", "high"}}} that a seed of a is better than one of b, both
      finished, "equal_cost": {currency: {"cost", "arms": {label: {"iqm", "low", "high"}}}}}.
      Of an arm: label, solver, state (finished, stopped, missing), step, steps, score, iqm, low, high, median, near,
      seeds, failures, samples, gradients, products, seconds (medians over the seeds), trials, scales, tuning_samples,
      tuning_seconds, better_than_winner, apart (whether it can be told apart from the winner); None for what is not
      there.
    """
    name = score(comparison)
    ends = {arm.label: ended for arm in comparison.arms if (ended := final(comparison, arm, name)) is not None}
    told = [_of_arm(arm, name, ends.get(arm.label), len(comparison.config["seeds"])) for arm in comparison.arms]
    told.sort(key=lambda arm: (STATES.index(arm["state"]), arm["iqm"] is None, arm["iqm"] or 0.0))
    ranked = [arm["label"] for arm in told if arm["state"] == "finished" and arm["label"] in ends]
    pairs = _pairs({label: ends[label] for label in ranked})
    able = [arm["label"] for arm in told if arm["state"] == "finished" and arm["iqm"] is not None]
    winner, runner_up = (able + [None, None])[:2]
    for arm in told:
        against = pairs.get(arm["label"], {}).get(winner)
        arm["better_than_winner"] = against
        arm["apart"] = None if against is None else against["high"] < 0.5
    return {
        "problem": comparison.config["problem"],
        "currency": comparison.config["currency"],
        "budget": comparison.config["budget"],
        "score": name,
        "best": best(comparison),
        "winner": winner,
        "runner_up": runner_up,
        "arms": told,
        "improvement": pairs,
        "equal_cost": {currency: at for currency in CURRENCIES if (at := _equal(comparison, name, currency))},
    }


def final(comparison: Comparison, arm: Arm, name: str) -> np.ndarray | None:
    """The scores of an arm at the last record, [N], or None where no seed has one.

    Of a general problem, whose methods may all converge to the last digit, in steps of `SAME` of the range that the
    scores of all arms went through: what is left of it is rounding, and no arm's merit.
    """
    column = None if arm.folder is None else arm.folder.rows.get(name)
    if column is None or not np.isfinite(column[:, -1]).any():
        return None
    if not is_general(comparison.config):
        return column[:, -1]
    found = [one.folder.rows[name] for one in comparison.arms if one.folder and name in one.folder.rows]
    flat = np.concatenate([one[np.abs(one) < LARGEST] for one in found])
    step = SAME * float(np.ptp(flat)) if flat.size else 0.0
    return np.round(column[:, -1] / step) * step if step > 0 else column[:, -1]


def _middle(scores: np.ndarray | None) -> dict[str, float | None]:
    if scores is None or not np.isfinite(scores).all():
        return dict.fromkeys(("iqm", "low", "high"))
    return {part: float(end) for part, end in interval(scores)._asdict().items()}


def _of_arm(arm: Arm, name: str, scores: np.ndarray | None, N: int) -> dict[str, Any]:
    rows = {} if arm.folder is None else {column: table[:, -1] for column, table in arm.folder.rows.items()}
    spent = {
        column: float(np.nanmedian(rows[column])) for column in NUMBERS if np.isfinite(rows.get(column, np.nan)).any()
    }
    gaps = rows.get("gap")
    tuning = arm.tuning
    return {
        "label": arm.label,
        "solver": arm.solver,
        "state": arm.state,
        "step": int(rows["step"][0]) if rows else None,
        "steps": arm.folder.config["steps"] if arm.folder else None,
        "score": name,
        **_middle(scores),
        "median": None if scores is None or np.isnan(scores).any() else float(np.median(scores)),
        "near": None if gaps is None else int((gaps <= NEAR).sum()),
        "seeds": N,
        "failures": int(np.nansum(rows["failed"])) if "failed" in rows else 0,
        **{column: spent.get(column) for column in NUMBERS},
        "trials": len(tuning.scales) if tuning else None,
        "scales": tuning.scales[tuning.chosen] if tuning else None,
        "tuning_samples": tuning.samples if tuning else None,
        "tuning_seconds": tuning.seconds if tuning else None,
    }


def _pairs(ends: dict[str, np.ndarray]) -> dict[str, dict[str, dict[str, float]]]:
    """Every ordered pair; the second order of a pair is the mirror of the first, so that the two agree."""
    found = {label: {} for label in ends} if len(ends) > 1 else {}
    for a, b in combinations(ends, 2):
        one = improvement(ends[a], ends[b])
        found[a][b] = one._asdict()
        found[b][a] = Improvement(1 - one.probability, 1 - one.high, 1 - one.low)._asdict()
    return found


def _equal(comparison: Comparison, name: str, currency: str) -> dict[str, Any] | None:
    """Each arm that spends any, by its last record within what the cheapest finished arm spent in all."""
    spending = {
        arm.label: (arm, spent)
        for arm in comparison.arms
        if arm.folder and name in arm.folder.rows and (spent := cost(arm.folder, currency))[:, -1].min() > 0
    }
    totals = [np.median(spent[:, -1]) for arm, spent in spending.values() if arm.state == "finished"]
    if not totals:
        return None
    limit, found = float(min(totals)), {}
    for label, (arm, spent) in spending.items():
        within = spent <= limit * (1 + 1e-9)
        if arm.state == "finished" or spent[:, -1].min() >= limit:  # what was stopped before is not there yet
            place = within.sum(1) - 1
            column = np.where(place >= 0, arm.folder.rows[name][np.arange(len(place)), place], np.nan)
            found[label] = _middle(column)
    return {"cost": limit, "arms": found}
