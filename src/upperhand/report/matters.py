"""The numbers of rlhf_matters: every arm at every budget of KL, joint against each rival, and the exact toy."""

from collections.abc import Sequence
from typing import Any

from upperhand.report.evaluation import present
from upperhand.report.matters_folder import ARMS, BESIDE, TOY, Study
from upperhand.report.statistics import student

OWN = "joint"
RIVALS = ("alternating_ls", "alternating_bt")
"""The arms that the claim is made against: both have to be beaten."""
ROUNDED = {"ties": 0.05, "discount": 0.05, "own": 0.0005}
"""Half of the last digit of what was published."""
ERRORS = 3
"""Standard errors within which a published figure counts as reproduced."""


def table(study: Study) -> dict[str, Any]:
    """What OUT/table.json tells. Scores are the person's: higher is better.

    Args:
      study: as `read` gives it.
    Returns: {"experiment", "missing": parts, "parts": {name: {"agent", "truth", "gamma", "own", "seeds", "base",
      "rows": [{"arm", "kl", "score": `spread`, "reached", "beside": {figure: mean}, "ahead": `spread` of joint − arm by
      seed, "verdict": better, open or worse, by whether its 95% interval leaves out 0; None for joint, and where one
      seed or none has both}]}}, "direct": the same or None, "claims": {part: {"held": budgets of KL at which joint is
      above both alternating arms, "lost": at which it is below one, "of": budgets}}, "toy": {table: [{its keys,
      column: {"mean", "sd", "instances", "published", "reproduced"}}]}, None where it is not there}.
    """
    parts = {name: _part(one) for name, one in study.parts.items()}
    return {
        "experiment": study.about["experiment"],
        "missing": list(study.missing),
        "parts": parts,
        "direct": study.direct and _part(study.direct),
        "claims": {name: claim(part) for name, part in parts.items() if _is_told(part)},
        "toy": study.ties and {name: _toy(study.ties, name) for name in TOY},
    }


def spread(values: Sequence[float | None]) -> dict[str, float | None] | None:
    """{"mean", "low", "high", "seeds"}: the mean with its 95% t interval; None for its ends where there is one number.

    Args:
      values: one a seed, null where there is none.
    """
    kept = present(values)
    if not kept.size:
        return None
    found = student(kept)
    low, high = (found.low, found.high) if kept.size > 1 else (None, None)
    return {"mean": found.mean, "low": low, "high": high, "seeds": kept.size}


def verdict(ahead: dict[str, float | None] | None) -> str | None:
    """better, open or worse, by whether an interval leaves out 0; None where there is none."""
    if ahead is None or ahead["low"] is None:
        return None
    return "better" if ahead["low"] > 0 else "worse" if ahead["high"] < 0 else "open"


def _part(part: dict[str, Any]) -> dict[str, Any]:
    entries = sorted(part["entries"], key=lambda one: (one["kl"], ARMS.index(one["arm"])))
    own = {one["kl"]: one["score"] for one in entries if one["arm"] == OWN}
    kept = {name: part[name] for name in ("agent", "truth", "gamma", "own", "base")}
    return kept | {"seeds": len(part["seeds"]), "rows": [_row(one, own.get(one["kl"])) for one in entries]}


def _row(entry: dict[str, Any], own: Sequence[float | None] | None) -> dict[str, Any]:
    ahead = None
    if own is not None and entry["arm"] != OWN:
        pairs = zip(own, entry["score"], strict=True)
        ahead = spread([None if None in pair else pair[0] - pair[1] for pair in pairs])
    beside = {name: present(entry.get(name, [])) for name in BESIDE}
    reached = present(entry["reached"])
    return {
        "arm": entry["arm"],
        "kl": entry["kl"],
        "score": spread(entry["score"]),
        "reached": float(reached.mean()) if reached.size else None,
        "beside": {name: float(found.mean()) for name, found in beside.items() if found.size},
        "ahead": ahead,
        "verdict": verdict(ahead),
    }


def _is_told(part: dict[str, Any]) -> bool:
    return any(row["arm"] in RIVALS and row["ahead"] for row in part["rows"])


def claim(part: dict[str, Any]) -> dict[str, Any]:
    """At which budgets joint is above both alternating arms, and at which below one, beyond the 95% intervals."""
    found = {
        kl: [row["verdict"] for row in part["rows"] if row["kl"] == kl and row["arm"] in RIVALS] for kl in kls(part)
    }
    found = {kl: verdicts for kl, verdicts in found.items() if verdicts}
    held = [kl for kl, verdicts in found.items() if len(verdicts) == len(RIVALS) and set(verdicts) == {"better"}]
    return {"held": held, "lost": [kl for kl, verdicts in found.items() if "worse" in verdicts], "of": list(found)}


def kls(part: dict[str, Any]) -> list[float]:
    """The budgets of KL of a part."""
    return sorted({row["kl"] for row in part["rows"]})


def find(part: dict[str, Any], arm: str, kl: float) -> dict[str, Any] | None:
    """A row of a part."""
    return next((row for row in part["rows"] if row["arm"] == arm and row["kl"] == kl), None)


def _toy(ties: dict[str, Any], name: str) -> list[dict[str, Any]]:
    keys, columns = TOY[name]
    published = {tuple(row[key] for key in keys): row for row in ties["published"][name]}
    rows = []
    for row in ties[name]:
        at = tuple(row[key] for key in keys)
        beside = published.get(at, {})
        rows.append(
            dict(zip(keys, at, strict=True)) | {c: _cell(row[c], beside.get(c), ROUNDED[name]) for c in columns}
        )
    return rows


def _cell(values: Sequence[float | None], published: Sequence[float | None] | None, rounded: float) -> dict[str, Any]:
    """Ours beside the earlier figure, which had as many instances, and our standard deviation where it tells none.

    It is reproduced within `ERRORS` standard errors of the difference of the means, and the rounding.
    """
    (mean, other), ours = published or (None, None), present(values)
    sd = float(ours.std(ddof=1)) if ours.size > 1 else 0.0
    error = (sd**2 / ours.size + (sd if other is None else other) ** 2 / len(values)) ** 0.5
    is_near = None if mean is None else bool(abs(ours.mean() - mean) <= ERRORS * error + rounded)
    told = {"mean": float(ours.mean()), "sd": sd, "instances": ours.size}
    return told | {"published": mean, "published_sd": other, "reproduced": is_near}
