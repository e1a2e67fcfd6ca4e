"""The page's tables, as text cells."""

from collections.abc import Mapping

import numpy as np

from upperhand.report.curves import NEAR
from upperhand.report.folder import Folder
from upperhand.report.general import measures
from upperhand.report.writing import count, fixed, number, place, setting, small

PRINTED = 3
"""Most numbers of one x that a table shows."""

FIGURES = {
    "value": "exact value Φ(x)",
    "gap": "gap to the best known",
    "upper": "own upper estimate",
    "lower": "own lower estimate",
    "score": "score of the texts",
    "kl": "KL to π_ref, nats a text",
    "labels": "labels",
    "hypergradient_error": "hypergradient error, relative",
    "hypergradient_cosine": "hypergradient cosine",
    "hypergradient_norm": "hypergradient norm",
    "samples": "samples",
    "gradients": "gradients",
    "products": "second-order products",
    "seconds": "seconds",
}
"""Figures of the aggregate in the order of the page, in words."""

PLANNED = ("step", "temperature", "penalty")
"""Figures that are set, not found: no use in an aggregate."""


def columns(folder: Folder) -> dict[str, list[str]]:
    """What is told of each seed: column name → one text a seed."""
    rows, told = folder.rows, {"seed": [str(seed) for seed in folder.config["seeds"]]}
    x = rows.get("x")
    if x is not None and x.shape[-1] <= PRINTED:
        told["start x"] = [place(path[0]) for path in x]
        told["found x"] = [place(path[-1]) for path in x]
    written = {
        "value": fixed,
        "gap": small,
        "upper": fixed,
        "score": fixed,
        "kl": fixed,
        "samples": count,
        "seconds": lambda last: fixed(last, 1),
    }
    for name, write in written.items():
        if name in rows and not (name == "upper" and "value" in rows):
            told[{"upper": "own estimate", "kl": "KL"}.get(name, name)] = [
                write(float(last)) for last in rows[name][:, -1]
            ]
    for name in measures(folder):
        told[name.replace("_", " ")] = [number(float(last)) for last in rows[name][:, -1]]
    return told


def seeds(folder: Folder) -> tuple[list[str], list[dict], str]:
    """One line a seed.

    Returns: the column names; rows {"cells": texts, "near": whether the gap is small, None where there is none}; and a
      sentence on what is left out: what the seeds share, and an x that is too long.
    """
    told, notes = columns(folder), []
    shared = {name: told.pop(name)[0] for name in ("samples", "seconds") if len(set(told.get(name, ()))) == 1}
    one = len(folder.config["seeds"]) == 1
    if "samples" in shared:
        notes.append(f"{'The' if one else 'Each'} start took {shared['samples']} samples.")
    if "seconds" in shared:
        notes.append(f"It ran for {shared['seconds']} s." if one else f"They ran together for {shared['seconds']} s.")
    x = folder.rows.get("x")
    if x is None:
        notes.append("The rows hold no x.")
    elif x.shape[-1] > PRINTED:
        notes.append(f"x has {x.shape[-1]:,} numbers; they are in rows.jsonl.")
    gaps = folder.rows["gap"][:, -1] if "gap" in folder.rows else [None] * len(told["seed"])
    lines = zip(zip(*told.values(), strict=True), gaps, strict=True)
    rows = [{"cells": list(cells), "near": None if gap is None else bool(gap <= NEAR)} for cells, gap in lines]
    return list(told), rows, " ".join(notes)


def aggregate(folder: Folder) -> list[tuple[str, str, str]]:
    """(figure in words, interquartile mean, its 95% interval) for each figure of the summary."""
    told = {
        name: found
        for name, found in folder.summary["aggregate"].items()
        if name not in PLANNED and isinstance(found, Mapping) and all(_is_number(found.get(part)) for part in PARTS)
    }
    if folder.config.get("form") == "Minimise":
        told.pop("lower", None)  # there is no lower level
    names = [name for name in FIGURES if name in told] + sorted(set(told) - set(FIGURES))
    return [
        (
            FIGURES.get(name, name.replace("_", " ")),
            number(told[name]["iqm"]),
            "the same in all"
            if told[name]["low"] == told[name]["high"]
            else f"{number(told[name]['low'])} to {number(told[name]['high'])}",
        )
        for name in names
    ]


PARTS = ("iqm", "low", "high")


def settings(folder: Folder) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): the problem's settings, the solver's, the run's, and the versions."""
    config = folder.config
    run = {name: config[name] for name in ("steps", "every", "seeds", "precision", "started") if name in config}
    parts = {
        f"Problem: {config['problem']}": config.get("problem_settings"),
        f"Solver: {config['solver']}": config.get("solver_settings"),
        "Run": run,
        "Versions": config.get("versions"),
    }
    return [
        (title, [(str(name), setting(value)) for name, value in part.items()])
        for title, part in parts.items()
        if isinstance(part, Mapping) and part
    ]


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not np.isnan(value)
