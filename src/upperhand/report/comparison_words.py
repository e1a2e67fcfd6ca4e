"""What the page of a comparison says: who is best, by how much, and whether the seeds can tell."""

from typing import Any

from upperhand.report.comparison import CURRENCIES, Comparison
from upperhand.report.comparison_curves import along
from upperhand.report.curves import NEAR
from upperhand.report.general import is_general
from upperhand.report.words import plain
from upperhand.report.writing import count, number

UNITS = {"samples": "samples a start", "gradients": "oracle calls a start", "seconds": "seconds"}


def headline(told: dict[str, Any]) -> str:
    """The result in one sentence, counted from the finished arms."""
    able = [arm for arm in told["arms"] if arm["state"] == "finished" and arm["iqm"] is not None]
    if not able:
        return f"No arm has {'finished yet' if not _finished(told) else 'a score'}"
    if len(able) == 1:
        what = "has a score" if len(_finished(told)) > 1 else "has finished so far"
        return f"Only {told['winner']} {what}" if len(told["arms"]) > 1 else f"{told['winner']} alone"
    first, second, others = able[0], able[1], _others(told)
    ahead = _ahead(first, second)
    if not any(arm["apart"] for arm in others):
        what = f"{second['label']} cannot be told apart from" if len(others) == 1 else "No arm can be told apart from"
        return f"{what} the best, {first['label']}{', ' + ahead if ahead else ''}"
    start = f"{first['label']} ends best, {ahead or 'level with ' + second['label']}"
    return f"{start}, and the interval {'separates' if second['apart'] else 'does not separate'} the two"


def lede(told: dict[str, Any]) -> str:
    """The best arm's score with its interval, how it does against the next, and which arms may be as good."""
    first = next((arm for arm in told["arms"] if arm["label"] == told["winner"]), None)
    if first is None:
        return ""
    N, what = first["seeds"], "Φ" if told["score"] == "value" else "its own estimate of the upper loss"
    said = [f"{first['label']}: {what} = {number(first['iqm'])} at the last record"]
    if N > 1:
        said[0] += f" (interquartile mean of {N} seeds, 95% interval {number(first['low'])} to {number(first['high'])})"
    if first["near"] is not None:
        said.append(f"{first['near']} of {N} seeds end within {NEAR} of the best known value")
    second = next((arm for arm in told["arms"] if arm["label"] == told["runner_up"]), None)
    if second is not None:
        found = told["improvement"][first["label"]][second["label"]]
        said.append(
            f"A seed of it is better than one of {second['label']} with probability {number(found['probability'], 2)} "
            f"({number(found['low'], 2)} to {number(found['high'], 2)})"
        )
    if not _spends(first, told["currency"]):
        bound = [arm for arm in _others(told) if arm["iqm"] is not None and _spends(arm, told["currency"])]
        what = "draw samples" if told["currency"] == "samples" else "spend of the budget"
        said += (
            [f"Of the arms that {what}, {bound[0]['label']} ends best, at {number(bound[0]['iqm'])}"] if bound else []
        )
    tied = [arm["label"] for arm in _others(told) if not arm["apart"]]
    if tied and len(_others(told)) > 1:
        said.append(f"Not told apart from it: {', '.join(tied)}")
    return ". ".join(said) + "."


def notices(comparison: Comparison, told: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the page."""
    said, arms = [], told["arms"]
    missing = [arm["label"] for arm in arms if arm["state"] == "missing"]
    stopped = [
        f"{arm['label']} at update {arm['step']:,} of {arm['steps']:,}" for arm in arms if arm["state"] == "stopped"
    ]
    if missing or stopped:
        parts = [f"without a record: {', '.join(missing)}"] * bool(missing)
        parts += [f"stopped: {', '.join(stopped)}"] * bool(stopped)
        said.append(
            f"This comparison is not finished ({'; '.join(parts)}). Only finished arms are ranked. "
            f"To go on: upperhand resume {comparison.path}"
        )
    if failed := [f"{arm['failures']} of {arm['seeds']} of {arm['label']}" for arm in arms if arm["failures"]]:
        said.append(f"Seeds that stopped being finite count with their last finite x: {', '.join(failed)}.")
    if lost := [arm["label"] for arm in arms if arm["state"] != "missing" and arm["iqm"] is None]:
        said.append(f"No finite score for every seed, so ranked last: {', '.join(lost)}.")
    currency = told["currency"]
    free = [
        arm["label"] for arm in arms if arm["state"] != "missing" and not sum(arm[n] or 0 for n in CURRENCIES[currency])
    ]
    if free:
        one = len(free) == 1
        what = f"{'draws' if one else 'draw'} no samples, as {_known(comparison, one)}"
        what = what if currency == "samples" else f"{'spends' if one else 'spend'} none of the budget"
        said.append(f"{', '.join(free)} {what}: the budget does not bind {'it' if one else 'them'}.")
    if len(comparison.config["seeds"]) < 4 and len(arms) > 1:
        said.append("With fewer than four seeds an arm, no two arms can be told apart.")
    below = [arm.label for arm in comparison.arms if arm.folder and _beats(arm.folder.rows)]
    if below:
        said.append(
            f"A seed of {', '.join(below)} ends below the best known value, which is a reference found by search, "
            "not a proven optimum."
        )
    return said


def _known(comparison: Comparison, one: bool) -> str:
    if is_general(comparison.config):
        return f"{'its' if one else 'their'} losses are exact"
    return f"{'it knows' if one else 'they know'} the kernel"


def captions(comparison: Comparison, told: dict[str, Any]) -> dict[str, str]:
    """What to see in each figure, one sentence each."""
    N, trials = len(comparison.config["seeds"]), [arm["trials"] for arm in told["arms"] if arm["trials"]]
    curve = "The interquartile mean over the seeds with its 95% bootstrap interval, over {}."
    stopped = [arm["label"] for arm in told["arms"] if arm["state"] == "stopped"]
    ring = " A ring marks an arm that was stopped." if stopped else ""
    level = {
        "samples": f" Arms that {'have exact losses' if is_general(comparison.config) else 'know the kernel'} draw no "
        "samples; they are level lines at their final score.",
        "gradients": " Arms that call no oracle are level lines.",
        "seconds": " Arms without a time are level lines.",
    }
    spends = {
        currency: all(arm["state"] == "missing" or _spends(arm, currency) for arm in told["arms"])
        for currency in CURRENCIES
    }
    every = "The one seed" if N == 1 else f"Every one of {N} seeds"
    said = {
        f"value_{currency}": curve.format(along(comparison, currency))
        + (" Compilation and recording are in it." if currency == "seconds" else "")
        + ("" if spends[currency] else level[currency])
        + ring
        for currency in CURRENCIES
    }
    return said | {
        "gap": f"What is still missing to the best known value; near is {NEAR} and below.",
        "finals": f"{every} at its last record, the arms from the best to the worst."
        + (f" Stopped before their end, and last: {', '.join(stopped)}." if stopped else ""),
        "improvement": "How often a random seed of the row’s arm ends lower than one of the column’s. Blue rows win. "
        "Bold numbers have an interval that leaves out 50%.",
        "tuning": f"Every trial of {'the' if len(set(trials)) == 1 else 'each arm’s'} tuning"
        + (f", {trials[0]} an arm" if len(set(trials)) == 1 else "")
        + ", on seeds that are not among those of the comparison. The choice is by the mean.",
    }


def eyebrow(comparison: Comparison, told: dict[str, Any]) -> str:
    """Problem, arms, seeds and budget in a line."""
    N, arms = len(comparison.config["seeds"]), len(comparison.arms)
    budget, unit = told["budget"], UNITS[told["currency"]]
    seeds, many = "seed" if N == 1 else "seeds", "arm" if arms == 1 else "arms"
    return f"{plain(told['problem'])} · {arms} {many} · {N} {seeds} · budget {count(budget)} {unit}"


def _finished(told: dict[str, Any]) -> list[dict]:
    return [arm for arm in told["arms"] if arm["state"] == "finished"]


def _others(told: dict[str, Any]) -> list[dict]:
    """The finished arms besides the best that can be set against it."""
    return [arm for arm in told["arms"] if arm["apart"] is not None]


def _spends(arm: dict, currency: str) -> bool:
    return sum(arm[name] or 0 for name in CURRENCIES[currency]) > 0


def _ahead(first: dict, second: dict) -> str:
    less = second["iqm"] - first["iqm"]
    return f"{number(less, 2)} below {second['label']}" if less > 0 else ""


def _beats(rows: dict) -> bool:
    return "gap" in rows and bool((rows["gap"][:, -1] < -1e-4).any())
