"""The folder of a comparison: what was asked for, and what tuning found; the arms are run folders inside it."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upperhand.arms import CURRENCIES
from upperhand.errors import BadInput
from upperhand.report.folder import json_object
from upperhand.store import COMPARE, vacant, versions, write_whole
from upperhand.tuning import Trials


def create(out: str | Path, config: Mapping[str, Any]) -> Path:
    """A new folder with its compare.json; versions and the time of the start are added.

    Raises: BadInput where it is not empty or cannot be written.
    """
    out = Path(out)
    vacant(out)
    full = dict(config) | {"versions": versions(), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        (out / "arms").mkdir(parents=True)
        (out / "tuning").mkdir()
        write_whole(out / COMPARE, json.dumps(full, indent=1, allow_nan=False) + "\n")
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}): choose another --out.") from None
    return out


def are_seeds(value: Any) -> bool:
    """Whether JSON tells different seeds."""
    is_list = isinstance(value, list) and value and all(type(seed) is int and 0 <= seed < 2**32 for seed in value)
    return bool(is_list) and len(set(value)) == len(value)


def is_number(value: Any) -> bool:
    """Whether JSON tells a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_arm(value: Any) -> bool:
    """Whether JSON tells an arm."""
    kinds = {"label": str, "solver": str, "solver_settings": dict, "defaults": dict}
    return isinstance(value, dict) and all(isinstance(value.get(name), kind) for name, kind in kinds.items())


def is_tuning(value: Any) -> bool:
    """Whether JSON tells how arms are tuned."""
    is_told = isinstance(value, dict) and type(value.get("trials")) is int and value["trials"] > 0
    return is_told and are_seeds(value.get("seeds"))


WANTED = {
    "problem": lambda value: isinstance(value, str),
    "problem_settings": lambda value: isinstance(value, dict),
    "currency": lambda value: isinstance(value, str) and value in CURRENCIES,
    "budget": lambda value: is_number(value) and value > 0,
    "seeds": are_seeds,
    "precision": lambda value: value in ("float32", "float64"),
    "tuning": is_tuning,
    "arms": lambda value: isinstance(value, list) and bool(value) and all(map(is_arm, value)),
    "command": lambda value: isinstance(value, str),
}
"""What compare.json must tell."""


def read(out: str | Path) -> dict[str, Any]:
    """compare.json. Raises: BadInput where it is missing, damaged, or lacks what a comparison needs."""
    path, remedy = Path(out) / COMPARE, "restore it from a copy, or compare again into a new folder"
    config = checked_object(path, remedy)
    for name, good in WANTED.items():
        if not good(config.get(name)):
            raise BadInput(f"{path} is not of a comparison: {name} is {config.get(name)!r:.60}; {remedy}.")
    return config


def checked_object(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object. Raises: BadInput where the file does not hold one."""
    try:
        return json_object(path, remedy)
    except ValueError as error:
        raise BadInput(str(error)) from None


def write_trials(out: Path, label: str, found: Trials) -> None:
    """OUT/tuning/LABEL.json."""
    (Path(out) / "tuning").mkdir(exist_ok=True)
    told = {"label": label} | found._asdict()
    write_whole(Path(out) / "tuning" / f"{label}.json", json.dumps(told, indent=1, allow_nan=False) + "\n")


def read_trials(out: Path, label: str, names: list[str]) -> Trials | None:
    """What tuning found of an arm, None where it is not done.

    Args:
      out, label: of the arm.
      names: the settings that are tuned.
    Raises: BadInput where the file is damaged, or of other settings.
    """
    path = Path(out) / "tuning" / f"{label}.json"
    if not path.exists():
        return None
    remedy = f"delete it and run `upperhand resume {out}`, which tunes the arm again"
    told = checked_object(path, remedy)
    found = Trials(*(told.get(name) for name in Trials._fields))
    factors = found.scales if isinstance(found.scales, list) and found.scales else [None]
    is_whole = type(found.chosen) is int and 0 <= found.chosen < len(factors)
    is_whole = is_whole and type(found.steps) is int and found.steps > 0
    for one in factors:
        is_whole = is_whole and isinstance(one, dict) and sorted(one) == sorted(names)
        is_whole = is_whole and all(is_number(factor) and factor > 0 for factor in one.values())
    if not is_whole:
        raise BadInput(f"{path} is damaged, it is not what tuning wrote: {remedy}.")
    return found


def swept(out: Path) -> None:
    """Remove what a kill in the middle of writing a file left over."""
    for path in Path(out).rglob(".*.tmp"):
        path.unlink(missing_ok=True)
