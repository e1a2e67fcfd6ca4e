"""What a run folder holds, read strictly."""

import json
import zipfile
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from upperhand.report.statistics import aggregate


class Folder(NamedTuple):
    """A run, as its folder tells it. N seeds in the config's order, R records that every seed has."""

    path: Path
    config: dict
    rows: dict[str, np.ndarray]  # name → [N, R], or [N, R, dx] for x; NaN where a row lacks the name
    summary: dict
    maps: dict[str, np.ndarray] | None


def read(out: Path | str) -> Folder:
    """A run folder in memory.

    Args:
      out: the folder. A missing or outdated summary.json is computed from the rows; maps.npz may be missing.
    Returns: Folder; seeds with more rows than others are cut to the common steps.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    out = Path(out)
    config = _config(out)
    rows, last = _table(out, config["seeds"], read_rows(out / "rows.jsonl"))
    return Folder(out, config, rows, _summary(out, config, last), _maps(out, config["seeds"]))


def read_rows(path: Path | str) -> list[dict]:
    """The rows of a run, in the order of the file.

    Args:
      path: rows.jsonl.
    Returns: one dict a line, each with whole numbers `seed` and `step`.
    Raises: ValueError naming the line that is cut off, not JSON, or no row.
    """
    path = Path(path)
    resume = f"run `upperhand resume {path.parent}`"
    lines = _bytes(path, f"{resume}, which starts over where nothing was recorded").split(b"\n")
    if lines[-1].strip() == b"":
        lines.pop()
    if not lines:
        raise ValueError(f"{path} is empty, the run stopped before its first record: {resume}.")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            torn = (
                "which repairs a torn tail" if number == len(lines) else "or, as later lines follow, delete that line"
            )
            raise ValueError(f"{path} line {number} is cut off or not JSON: {resume}, {torn}.") from None
        if not (isinstance(row, dict) and all(type(row.get(name)) is int for name in ("seed", "step"))):
            raise ValueError(
                f"{path} line {number} is not a row of a run: it needs whole numbers seed and step. Delete that line."
            )
        rows.append(row)
    return rows


def _bytes(path: Path, remedy: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path} is missing: {remedy}.") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read ({error.strerror}): {remedy}.") from None


def json_object(path: Path, remedy: str) -> dict:
    """The one JSON object of a file. Raises: ValueError in one line that ends with the remedy."""
    try:
        found = json.loads(_bytes(path, remedy))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        where = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise ValueError(f"{path} is not JSON{where}: {remedy}.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold one JSON object, not a {type(found).__name__}: {remedy}.")
    return found


def _config(out: Path) -> dict:
    if not out.is_dir():
        what = "is a file, not a run folder" if out.exists() else "does not exist"
        raise ValueError(f"{out} {what}: give the folder that `upperhand run` wrote.")
    path = out / "config.json"
    if not path.exists():
        raise ValueError(
            f"{out} is not a run folder, it has no config.json: give the folder that `upperhand run` wrote."
        )
    config = json_object(path, "restore it from a copy, or run again into a new folder")
    wanted = {
        "problem": ("a name", lambda value: isinstance(value, str) and value),
        "solver": ("a name", lambda value: isinstance(value, str) and value),
        "seeds": (
            "a list of different whole numbers",
            lambda value: (
                isinstance(value, list)
                and value
                and all(type(seed) is int for seed in value)
                and len(set(value)) == len(value)
            ),
        ),
        "steps": ("a whole number", lambda value: type(value) is int and value >= 0),
    }
    for name, (kind, good) in wanted.items():
        if not good(config.get(name)):
            raise ValueError(
                f"{path} is not the config of a run: {name} must be {kind}, got {repr(config.get(name))[:60]}. "
                "Restore it from a copy, or run again into a new folder."
            )
    return config


def _table(out: Path, seeds: list[int], rows: list[dict]) -> tuple[dict[str, np.ndarray], list[dict]]:
    """The rows as arrays over the common steps, and each seed's last common row; of a row written twice, the second."""
    path = out / "rows.jsonl"
    found = {seed: {} for seed in seeds}
    for number, row in enumerate(rows, 1):
        if row["seed"] not in found:
            raise ValueError(
                f"{path} line {number} is of seed {row['seed']}, which config.json does not list: "
                "the folder mixes two runs. Run again into a new folder."
            )
        found[row["seed"]][row["step"]] = row
    common = sorted(set.intersection(*(set(steps) for steps in found.values())))
    if not common:
        short = min(seeds, key=lambda seed: len(found[seed]))
        raise ValueError(
            f"{path} has no step that every seed has (seed {short} has {len(found[short])} rows): "
            f"run `upperhand resume {out}`."
        )
    kept = [[found[seed][step] for step in common] for seed in seeds]
    names = dict.fromkeys(name for records in kept for row in records for name in row if name != "x")
    table = {}
    for name in names:
        column = np.array([[_number(row.get(name)) for row in records] for records in kept])
        if name in ("seed", "step") or not np.isnan(column).all():
            table[name] = column
    places = [[_vector(row.get("x")) for row in records] for records in kept]
    if len({None if x is None else x.shape for records in places for x in records}) == 1 and places[0][0] is not None:
        table["x"] = np.array(places)
    return table, [records[-1] for records in kept]


def _number(value) -> float:
    try:
        return float(value) if isinstance(value, int | float) else np.nan
    except OverflowError:
        return np.inf


def _vector(value) -> np.ndarray | None:
    try:
        found = np.asarray(value, np.float64).ravel()
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found.size and value is not None else None


def _summary(out: Path, config: dict, last: list[dict]) -> dict:
    """summary.json where it is of these last rows, else the same from the rows: a resumed run may leave an old one."""
    path = out / "summary.json"
    if path.exists():
        summary = json_object(path, "delete it, the report computes it from rows.jsonl")
        seeds = summary.get("seeds") if isinstance(summary.get("seeds"), list) else []
        told = {row.get("seed"): row.get("step") for row in seeds if isinstance(row, dict)}
        if isinstance(summary.get("aggregate"), dict) and told == {row["seed"]: row["step"] for row in last}:
            return summary
    return {"problem": config["problem"], "solver": config["solver"], "seeds": last, "aggregate": aggregate(last)}


def _maps(out: Path, seeds: list[int]) -> dict[str, np.ndarray] | None:
    path = out / "maps.npz"
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            maps = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile, zlib.error):
        raise ValueError(
            f"{path} is damaged or not a file of arrays: delete it, the report then leaves the maps out."
        ) from None
    for name in ("reward", "occupancy", "greedy"):
        if name in maps and (maps[name].ndim != 3 or len(maps[name]) != len(seeds)):
            raise ValueError(
                f"{path} is not of this run: {name} has shape {maps[name].shape}, wanted one map for each of "
                f"{len(seeds)} seeds. Delete it, the maps are then left out."
            )
    return maps
