"""The tables of a comparison, as text cells."""

import math
from collections.abc import Mapping
from statistics import median
from typing import Any

from upperhand.report.comparison import CURRENCIES, Comparison
from upperhand.report.comparison_words import UNITS
from upperhand.report.writing import count, fixed, number, setting

NONE = "–"


def results(comparison: Comparison, told: dict[str, Any]) -> tuple[list[str], list[dict]]:
    """How each arm ends.

    Returns: the column names; rows {"label", "runs": what it runs, "cells", "best": whether it is the winner or cannot
      be told apart from it}.
    """
    has_gap = any(arm["near"] is not None for arm in told["arms"])
    columns = ["IQM", "95% interval", "median", *["near"] * has_gap, "P(better than best arm)", "failed"]
    given, decimals, rows = {arm.label: arm for arm in comparison.arms}, decimals_of(told["arms"]), []
    for arm in told["arms"]:
        cells = [figure(arm["iqm"], decimals), spread(arm, decimals), figure(arm["median"], decimals)]
        cells += [NONE if arm["near"] is None else f"{arm['near']}/{arm['seeds']}"] * has_gap
        cells += [_probability(arm, told), str(arm["failures"]) if arm["state"] != "missing" else NONE]
        is_best = arm["label"] == told["winner"] or arm["apart"] is False
        rows.append({"label": arm["label"], "runs": _runs(given[arm["label"]], arm), "cells": cells, "best": is_best})
    return columns, rows


def tuned(comparison: Comparison, told: dict[str, Any]) -> tuple[list[str], list[dict]]:
    """What the tuning of each arm chose, of those that tried more than one trial; columns and rows as of `results`."""
    tunings, rows = {arm.label: arm.tuning for arm in comparison.arms}, []
    for arm in told["arms"]:
        if (arm["trials"] or 0) > 1:
            lost = sum(score is None for score in tunings[arm["label"]].scores)
            cells = [factors(arm["scales"]), f"{lost}/{arm['trials']}"]
            rows.append({"label": arm["label"], "runs": "", "cells": cells, "best": False})
    return ["chosen factors", "failed trials"], rows


def costs(told: dict[str, Any]) -> tuple[list[str], list[dict]]:
    """What each arm spent, with its tuning where there was one; columns and rows as of `results`."""
    has_tuning = any(arm["tuning_samples"] or arm["tuning_seconds"] for arm in told["arms"])
    columns = ["updates", "samples", "gradients", "products", "seconds"]
    columns += ["tuning samples", "tuning seconds"] if has_tuning else []
    rows = []
    for arm in told["arms"]:
        cells = [NONE if arm["step"] is None else f"{arm['step']:,}"]
        cells += [_count(arm[name]) for name in ("samples", "gradients", "products")]
        cells.append(_seconds(arm["seconds"]))
        cells += [_count(arm["tuning_samples"]), _seconds(arm["tuning_seconds"])] if has_tuning else []
        rows.append({"label": arm["label"], "runs": "", "cells": cells, "best": False})
    return columns, rows


def equal_cost(told: dict[str, Any]) -> tuple[list[str], list[dict]]:
    """The score of each arm at what the cheapest finished one spent of each currency; as of `results`."""
    shown = {name: told["equal_cost"][name] for name in CURRENCIES if name in told["equal_cost"]}
    columns, rows = [f"at {_limit(name, at['cost'])} {UNITS[name]}" for name, at in shown.items()], []
    scores = [[one["iqm"] for one in at["arms"].values() if one["iqm"] is not None] for at in shown.values()]
    decimals = decimals_of([one for at in shown.values() for one in at["arms"].values()])
    least = [min(column, default=None) for column in scores]
    for arm in told["arms"] if shown else ():
        found = [at["arms"].get(arm["label"]) for at in shown.values()]
        if not any(found):
            continue
        cells = [NONE if not one else f"{figure(one['iqm'], decimals)} ({spread(one, decimals)})" for one in found]
        strong = [n for n, one in enumerate(found) if one and one["iqm"] is not None and one["iqm"] == least[n]]
        rows.append({"label": arm["label"], "runs": "", "cells": cells, "best": False, "strong": strong})
    return columns, rows


def settings(comparison: Comparison) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): the comparison, the problem, every arm as it ran, and the versions."""
    config = comparison.config
    tuning = config.get("tuning") if isinstance(config.get("tuning"), Mapping) else {}
    names = ("currency", "budget", "seeds", "precision", "started")
    own = {name: config[name] for name in names if name in config} | {"budget": number(config["budget"])}
    parts = {"Comparison": own | {f"tuning {name}": value for name, value in tuning.items()}}
    parts[f"Problem: {config['problem']}"] = config.get("problem_settings")
    for arm in comparison.arms:
        ran = arm.folder.config.get("solver_settings") if arm.folder else None
        parts[f"Arm: {arm.label} ({arm.solver})"] = ran if isinstance(ran, Mapping) else arm.settings
    parts["Versions"] = config.get("versions")
    return [
        (title, [(str(name), setting(value)) for name, value in part.items()])
        for title, part in parts.items()
        if isinstance(part, Mapping) and part
    ]


def _runs(given: Any, arm: dict) -> str:
    """What an arm runs, where its label does not tell, and how far it came."""
    own = [f"{name}={setting(value)}" for name, value in given.settings.items()]
    told = [] if given.solver == given.label and not own else [", ".join([given.solver, *own])]
    told += {"missing": ["no record yet"], "stopped": [f"stopped at {arm['step']} of {arm['steps']}"]}.get(
        arm["state"], []
    )
    return "; ".join(told)


def decimals_of(found: list[dict]) -> int:
    """As many that a usual interval shows in its last decimal, at least three."""
    widths = [one["high"] - one["low"] for one in found if one["iqm"] is not None and one["high"] > one["low"]]
    return 3 if not widths else min(max(3, -math.floor(math.log10(median(widths)))), 8)


def figure(value: float | None, decimals: int) -> str:
    """A score with as many decimals."""
    return number(value) if value is not None and abs(value) >= 1e6 else fixed(value, decimals)


def spread(found: dict, decimals: int) -> str:
    """The ends of an interval, a dash where there is none."""
    return NONE if found["iqm"] is None else f"{figure(found['low'], decimals)} to {figure(found['high'], decimals)}"


def _probability(arm: dict, told: dict[str, Any]) -> str:
    found = arm["better_than_winner"]
    if found is None:
        return "best" if arm["label"] == told["winner"] else NONE
    return f"{fixed(found['probability'], 2)} ({fixed(found['low'], 2)} to {fixed(found['high'], 2)})"


def factors(scales: dict) -> str:
    """By what the chosen trial scales the settings."""
    changed = [f"{name} × {number(factor, 2)}" for name, factor in scales.items() if factor != 1]
    return ", ".join(changed) or "as given"


def _count(value: float | None) -> str:
    return NONE if value is None else "0" if value == 0 else count(value)


def _seconds(value: float | None) -> str:
    return NONE if value is None else fixed(value, 1) if value < 1000 else count(value)


def _limit(currency: str, value: float) -> str:
    return number(value, 2) if currency == "seconds" else count(value)
