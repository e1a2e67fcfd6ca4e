"""The numbers of the experiment with happy tweets: how each arm ends, and which arms the seeds can tell apart."""

from typing import Any, NamedTuple

import numpy as np

from upperhand.report import evaluation
from upperhand.report.experiment import verdict_of
from upperhand.report.statistics import improvement
from upperhand.report.tweets_folder import Study

OWN = "joint"
"""The arm that every other is set against, where it is there."""
SLACK = 0.2
"""Nats a text by which an arm may end above its budget of KL and still count as within it."""
BUDGETS = ("budget", "kl")
"""Names that the budget of KL may have among the settings."""
TAIL = 0.1
"""Share of the records that tells how a seed ends where no judge repeats the score at the end."""


class Course(NamedTuple):
    """An arm's records with its seeds together; NaN where a seed has none."""

    step: np.ndarray  # [R]
    score: np.ndarray  # [N, R]
    kl: np.ndarray
    temperature: np.ndarray
    labels: np.ndarray


def course(part: dict[str, Any]) -> Course:
    """The records of an arm on the steps that any of its seeds has."""
    steps = sorted({row["step"] for run in part["rows"] for row in run})
    at = {step: place for place, step in enumerate(steps)}
    found = np.full((4, len(part["rows"]), len(steps)), np.nan)
    for seed, run in enumerate(part["rows"]):
        for row in run:
            values = [row.get(name) for name in Course._fields[1:]]
            found[:, seed, at[row["step"]]] = [np.nan if value is None else value for value in values]
    return Course(np.array(steps), *found)


def table(study: Study) -> dict[str, Any]:
    """What OUT/table.json tells. Scores are the person's: higher is better.

    Args:
      study: as `read` gives it.
    Returns: {"experiment", "missing": parts, "budget": KL in nats a text, None where the settings do not tell it,
      "score": the figure that ranks, "vader", or "score" of the last records where no judge has it; "language": without
      its curve; "base": {judge: figure}, "arms": [{"label", "seeds", "failed": seeds, "score": {"iqm", "low", "high",
      "seeds"}, "final": {judge: the same}, "labels", "tokens_per_second", "seconds", "within": whether no seed failed
      and the KL is at most budget + `SLACK`, "behind_best", "behind_own": {"probability", "low", "high"} that a seed of
      the best arm, and of `OWN`, ends higher than one of it; None against itself}], "best": label of the highest within
      the budget, "tied": the arms within the budget that the seeds do not tell from it}.
    """
    name = ranking(study)
    ends = {label: ending(part, name) for label, part in study.arms.items()}
    arms = [_arm(study, label, ends[label]) for label in study.arms]
    able = [arm for arm in arms if arm["within"] and arm["score"]]
    best = max(able, key=lambda arm: arm["score"]["iqm"])["label"] if able else None
    for arm in arms:
        arm["behind_best"] = _behind(ends, best, arm["label"])
        arm["behind_own"] = _behind(ends, OWN, arm["label"])
    tied = [arm["label"] for arm in able if arm["label"] != best and verdict_of(arm["behind_best"]) != "better"]
    language = study.language and {key: value for key, value in study.language.items() if key != "curve"}
    return {
        "experiment": study.about["experiment"],
        "missing": list(study.missing),
        "budget": budget(study.about["config"]),
        "score": name,
        "language": language,
        "base": study.base and evaluation.figures(study.base),
        "arms": arms,
        "best": best,
        "tied": tied,
    }


def budget(config: dict[str, Any]) -> float | None:
    """The budget of KL, in nats a text."""
    kept = [config.get(name) for name in BUDGETS]
    return next((float(value) for value in kept if type(value) in (int, float) and value > 0), None)


def ranking(study: Study) -> str:
    """The figure that ranks: VADER of the last evaluation, or the score of the last records where it is not there."""
    finals = [one for part in study.arms.values() for one in part["final"] if one]
    return "score" if finals and all(one.get("vader") is None for one in finals) else "vader"


def ending(part: dict[str, Any], name: str) -> np.ndarray:
    """[N] what each seed ends at; NaN where it failed or has no figure, which counts as the worst."""
    if name == "vader":
        found = [evaluation.figures(one)["vader"] for one in part["final"]]
    else:
        kept = [[row.get("score") for row in run[-max(1, round(TAIL * len(run))) :]] for run in part["rows"]]
        found = [evaluation.present(run).mean() if evaluation.present(run).size else None for run in kept]
    ends = np.array([np.nan if value is None else value for value in found], np.float64)
    return np.where(part["failed"], np.nan, ends)


def _behind(ends: dict[str, np.ndarray], ahead: str | None, label: str) -> dict[str, float] | None:
    """That a seed of one arm ends higher than one of another."""
    if ahead is None or ahead not in ends or ahead == label:
        return None
    return improvement(-ends[ahead], -ends[label])._asdict()  # `improvement` takes lower as better


def _arm(study: Study, label: str, ends: np.ndarray) -> dict[str, Any]:
    part, most = study.arms[label], budget(study.about["config"])
    stood = [one for one, is_out in zip(part["final"], part["failed"], strict=True) if not is_out]
    final, failed = evaluation.middles(stood), sum(part["failed"])
    labels = [max((row.get("labels") or 0 for row in run), default=0) for run in part["rows"]]
    kl = final["kl"]["iqm"] if final["kl"] else None
    is_held = most is None or (kl is not None and kl <= most + SLACK)
    return {
        "label": label,
        "seeds": len(part["seeds"]),
        "failed": failed,
        "score": evaluation.middle(ends.tolist()),
        "final": final,
        "labels": float(np.mean(labels)),
        "tokens_per_second": part["tokens_per_second"],
        "seconds": part["seconds"],
        "within": failed == 0 and is_held,
    }
