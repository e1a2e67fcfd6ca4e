"""What the folder of a comparison holds, read strictly."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report.folder import Folder, json_object
from upperhand.report.folder import read as read_run
from upperhand.report.words import stopped

CURRENCIES = {"samples": ("samples",), "gradients": ("gradients", "products"), "seconds": ("seconds",)}
"""What a comparison may be held equal in → the columns that are spent of it."""

AGAIN = "restore it from a copy, or compare again into a new folder"


class Tuning(NamedTuple):
    """What the tuning of an arm tried, K trials on seeds of its own."""

    scales: list[dict[str, float]]  # factor of each setting that was tuned
    scores: list[float | None]  # mean over the tuning seeds; None where one of them failed
    failed: list[int]  # tuning seeds that failed
    chosen: int
    samples: float | None
    seconds: float | None


class Arm(NamedTuple):
    """A solver with its settings, and as much of its run as is there."""

    label: str
    solver: str
    settings: dict[str, Any]
    folder: Folder | None  # None where it has no record yet
    tuning: Tuning | None

    @property
    def state(self) -> str:
        """How far its run is: missing, stopped or finished."""
        if self.folder is None:
            return "missing"
        return "stopped" if stopped(self.folder) else "finished"


class Comparison(NamedTuple):
    """Several arms on one problem, in the order of compare.json."""

    path: Path
    config: dict[str, Any]
    arms: tuple[Arm, ...]


def read(out: Path | str) -> Comparison:
    """A comparison in memory.

    Args:
      out: the folder. Arms and tunings that are not there yet are left empty.
    Returns: Comparison.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    out = Path(out)
    config = _config(out)
    return Comparison(out, config, tuple(_arm(out, config, told) for told in config["arms"]))


def _config(out: Path) -> dict[str, Any]:
    path = out / "compare.json"
    if not path.is_file():
        what = (
            "does not exist"
            if not out.exists()
            else "is not the folder of a comparison, it has no compare.json"
            if out.is_dir()
            else "is a file, not the folder of a comparison"
        )
        raise ValueError(f"{out} {what}: give the folder that `upperhand compare` wrote.")
    config = json_object(path, AGAIN)
    _check(path, config, "the config of a comparison", WANTED)
    for number, arm in enumerate(config["arms"], 1):
        _check(
            path, arm if isinstance(arm, dict) else {}, f"the config of a comparison: of arm {number}", WANTED_OF_ARM
        )
    labels = [arm["label"] for arm in config["arms"]]
    if twice := sorted({label for label in labels if labels.count(label) > 1}):
        raise ValueError(f"{path} has two arms with the label {twice[0]!r}: {AGAIN}.")
    return config


def _check(path: Path, found: Mapping, what: str, wanted: Mapping[str, tuple[str, Callable[[Any], bool]]]) -> None:
    for name, (kind, good) in wanted.items():
        if not good(found.get(name)):
            raise ValueError(
                f"{path} is not {what}{'' if ':' in what else ':'} {name} must be {kind}, got "
                f"{repr(found.get(name))[:60]}. {AGAIN[0].upper()}{AGAIN[1:]}."
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_label(value: Any) -> bool:
    return _is_name(value) and value.isprintable() and not set(value) & set("/\\") and value.strip(". ") != ""


def _are_seeds(value: Any) -> bool:
    is_list = isinstance(value, list) and value and all(type(seed) is int for seed in value)
    return bool(is_list) and len(set(value)) == len(value)


WANTED = {
    "problem": ("a name", _is_name),
    "currency": (f"one of {', '.join(CURRENCIES)}", lambda value: isinstance(value, str) and value in CURRENCIES),
    "budget": ("a number above 0", lambda value: _is_number(value) and value > 0),
    "seeds": ("a list of different whole numbers", _are_seeds),
    "arms": ("a list of arms", lambda value: isinstance(value, list) and len(value) > 0),
}
WANTED_OF_ARM = {
    "label": ("a name that a folder can have", _is_label),
    "solver": ("a name", _is_name),
    "solver_settings": ("its settings", lambda value: value is None or isinstance(value, dict)),
}


def _arm(out: Path, config: dict[str, Any], told: dict[str, Any]) -> Arm:
    label, run = told["label"], out / "arms" / told["label"]
    rows, folder = run / "rows.jsonl", None
    if rows.is_file() and rows.stat().st_size:
        folder = read_run(run)
        wanted = {"problem": config["problem"], "solver": told["solver"], "seeds": config["seeds"]}
        for name, value in wanted.items():
            if folder.config[name] != value:
                raise ValueError(
                    f"{run / 'config.json'} is not of this comparison: its {name} is {repr(folder.config[name])[:60]}, "
                    f"compare.json has {repr(value)[:60]}. Compare again into a new folder."
                )
    return Arm(label, told["solver"], told.get("solver_settings") or {}, folder, _tuning(out, label))


def _tuning(out: Path, label: str) -> Tuning | None:
    path = out / "tuning" / f"{label}.json"
    if not path.exists():
        return None
    remedy = f"delete it and run `upperhand resume {out}`, which tunes the arm again"
    found = json_object(path, remedy)
    K = len(found["scales"]) if isinstance(found.get("scales"), list) else 0
    entries = {
        "scales": lambda one: isinstance(one, dict) and all(_is_number(factor) for factor in one.values()),
        "scores": lambda one: one is None or _is_number(one),
        "failed": lambda one: type(one) is int and one >= 0,
    }
    for name, good in entries.items():
        column = found.get(name)
        if not (K and isinstance(column, list) and len(column) == K and all(good(one) for one in column)):
            raise ValueError(f"{path} is not of a tuning: {name} must have one entry a trial: {remedy}.")
    chosen = found.get("chosen")
    if not (type(chosen) is int and 0 <= chosen < K):
        raise ValueError(f"{path} is not of a tuning: chosen must be one of its {K} trials, got {chosen!r}: {remedy}.")
    cost = (float(found[name]) if _is_number(found.get(name)) else None for name in ("samples", "seconds"))
    return Tuning(found["scales"], found["scores"], found["failed"], chosen, *cost)
