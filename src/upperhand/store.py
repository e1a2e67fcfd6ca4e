"""The run folder: config, rows, summary, maps. Every whole file appears at once or not at all."""

import io
import json
import os
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from upperhand.errors import BadInput

CONFIG, ROWS, SUMMARY, MAPS = "config.json", "rows.jsonl", "summary.json", "maps.npz"
TEXTS = "texts.json"
COMPARE = "compare.json"
"""What the folder of a comparison has, and a run folder has not."""
EXPERIMENT = "experiment.json"
"""What the folder of an experiment has, and no other."""
PACKAGES = ("upperhand", "jax", "jaxlib", "numpy", "scipy", "optax", "orbax-checkpoint")


def write_whole(path: Path, content: str | bytes) -> None:
    """A file written under another name and renamed, so that no reader ever sees a part of it."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def versions() -> dict[str, str]:
    """The installed versions of what a run's numbers depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def create(out: str | Path, config: Mapping[str, Any]) -> Path:
    """A new run folder with its config.json and an empty rows.jsonl.

    Args:
      out: a folder that is empty or does not exist.
      config: every setting, resolved; versions and the time of the start are added.
    Returns: the folder. Raises: BadInput where it is not empty or cannot be written.
    """
    out = Path(out)
    vacant(out)
    full = dict(config) | {"versions": versions(), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    text = json.dumps(full, indent=1, allow_nan=False) + "\n"
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / CONFIG, text)
        (out / ROWS).touch()
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}): choose another --out.") from None
    return out


def vacant(out: Path) -> None:
    """BadInput where a folder cannot be the folder of a new run."""
    out = Path(out)
    try:
        if out.exists() and not out.is_dir():
            raise BadInput(f"{out} is a file, not a folder: choose another --out.")
        is_taken = out.exists() and any(out.iterdir())
    except OSError as error:
        raise BadInput(f"{out} cannot be read ({error.strerror}): choose another --out.") from None
    if is_taken:
        is_known = (out / CONFIG).exists() or is_comparison(out) or is_experiment(out)
        go_on = f"continue it with `upperhand resume {out}`, or " if is_known else ""
        raise BadInput(f"{out} is not empty: {go_on}choose another --out.")


def is_comparison(out: str | Path) -> bool:
    """Whether a folder is that of a comparison."""
    return (Path(out) / COMPARE).is_file()


def is_experiment(out: str | Path) -> bool:
    """Whether a folder is that of an experiment."""
    return (Path(out) / EXPERIMENT).is_file()


def read_config(out: str | Path) -> dict[str, Any]:
    """The config of a run folder.

    Raises: BadInput where the folder or its config.json is missing, damaged, or lacks what a run needs.
    """
    out = Path(out)
    if not (out / CONFIG).is_file():
        raise BadInput(f"{out} is not a run folder, it has no {CONFIG}: give the folder that `upperhand run` wrote.")
    remedy = "Restore it from a copy, or run again into a new folder."
    try:
        config = json.loads((out / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        raise BadInput(f"{out / CONFIG} is damaged, it is not JSON. {remedy}") from None
    config = config if isinstance(config, dict) else {}
    kinds = {"problem": str, "solver": str, "problem_settings": dict, "solver_settings": dict, "steps": int}
    for name, kind in (kinds | {"every": int, "seeds": list, "precision": str}).items():
        value = config.get(name)
        is_count = kind is not int or (not isinstance(value, bool) and isinstance(value, int) and value > 0)
        if not isinstance(value, kind) or not is_count:
            raise BadInput(f"{out / CONFIG} is not the config of a run: {name} is {value!r:.60}. {remedy}")
    seeds = config["seeds"]
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds) or len(set(seeds)) < len(seeds):
        raise BadInput(f"{out / CONFIG} is not the config of a run: seeds is {seeds!r:.60}. {remedy}")
    if config["precision"] not in ("float32", "float64"):
        raise BadInput(f"{out / CONFIG} is not the config of a run: precision is {config['precision']!r:.60}. {remedy}")
    return config


def lines(row: Mapping[str, Any], seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row of all seeds as one row a seed, of plain numbers and lists.

    Args:
      row: figures; arrays have the seed as first axis, numbers are the same for all.
      seeds: N of them.
    """

    def entry(value, index):
        return np.asarray(value[index] if np.ndim(value) else value).tolist()

    return [
        {"seed": seed} | {name: entry(value, index) for name, value in row.items()} for index, seed in enumerate(seeds)
    ]


def text(rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as lines of JSON; numbers come back as they were."""
    return "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows)


def rows_sink(out: Path, seeds: Sequence[int]) -> tuple[Callable[[Mapping[str, Any], Any], None], Callable[[], None]]:
    """A sink that appends a line a seed to rows.jsonl and flushes, and what closes it."""
    file = open(Path(out) / ROWS, "a", encoding="utf-8")  # noqa: SIM115  closed by its owner

    def sink(row, state):
        file.write(text(lines(row, seeds)))
        file.flush()

    return sink, file.close


def rows_until(out: Path, step: int, seeds: Sequence[int], every: int) -> list[dict[str, Any]]:
    """The rows of a run up to a step; what comes after, a torn last line among it, is left out.

    Args:
      out: the run folder.
      step: of the checkpoint to continue from; −1 for none.
      seeds, every: of the run, which tell the rows that must be there.
    Returns: in the order of the file. Raises: BadInput where a row that is needed is missing or damaged.
    """
    path = Path(out) / ROWS
    try:
        raw = path.read_bytes().split(b"\n") if path.exists() else []
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror}).") from None
    wanted = [(at, seed) for at in sorted({*range(0, step + 1, every), step} - {-1}) for seed in seeds]
    rows = []
    for number, (line, (at, seed)) in enumerate(zip(raw, wanted, strict=False), 1):
        try:
            row = json.loads(line)
            is_row = row["step"] == at and row["seed"] == seed
        except (ValueError, TypeError, KeyError, RecursionError):
            is_row = False
        if not is_row:
            raise BadInput(
                f"{path} is damaged: line {number} should be the row of seed {seed} at step {at}, which the checkpoint "
                f"at step {step} follows. Restore the file from a copy, or run again into a new folder."
            )
        rows.append(row)
    if len(rows) < len(wanted):
        raise BadInput(
            f"{path} is damaged: it ends before step {step}, where the checkpoint is. "
            "Restore the file from a copy, or run again into a new folder."
        )
    return rows


def write_summary(out: Path, config: Mapping[str, Any], last: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """summary.json from the last row of each seed."""
    from upperhand.report.statistics import aggregate

    summary = {"problem": config["problem"], "solver": config["solver"]}
    summary |= {"seeds": list(last), "aggregate": aggregate(last)}
    write_whole(Path(out) / SUMMARY, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    return summary


def write_maps(out: Path, maps: Mapping[str, Any]) -> None:
    """maps.npz: plain arrays."""
    arrays = {name: np.asarray(array) for name, array in maps.items()}
    objects = [name for name, array in arrays.items() if array.dtype.hasobject]
    if objects:
        raise BadInput(f"maps of the problem must be arrays of numbers: {', '.join(objects)} is not.")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_whole(Path(out) / MAPS, buffer.getvalue())


def write_texts(out: Path, found: Mapping[str, Any]) -> None:
    """texts.json: what was written before and after, the learned lexicon, and what judges say."""
    write_whole(Path(out) / TEXTS, json.dumps(found, indent=1, allow_nan=False) + "\n")


def read_texts(out: Path) -> dict[str, Any]:
    """texts.json of a finished run. Raises: BadInput where it is missing or damaged."""
    path = Path(out) / TEXTS
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        raise BadInput(f"{path} is missing or damaged: finish the run with `upperhand resume {out}`.") from None


def barely_begun(out: Path, seeds: Sequence[int]) -> None:
    """BadInput where a folder without checkpoints holds rows after step 0: its checkpoints were lost."""
    path = Path(out) / ROWS
    written = path.read_bytes().count(b"\n") if path.exists() else 0
    if written > len(seeds):
        raise BadInput(
            f"{out} has {written} rows and no checkpoint to continue from: read it with `upperhand report {out}`, "
            "or run again into a new folder."
        )


def read_summary(out: str | Path) -> dict[str, Any]:
    """summary.json of a run folder."""
    return json.loads((Path(out) / SUMMARY).read_bytes())


def write_part(out: Path, name: str, found: Mapping[str, Any]) -> None:
    """A part of an experiment that is done, as OUT/parts/NAME.json."""
    place = Path(out) / "parts"
    place.mkdir(exist_ok=True)
    write_whole(place / f"{name}.json", json.dumps(found, indent=1, allow_nan=False) + "\n")


def read_part(out: Path, name: str) -> dict[str, Any] | None:
    """A part that was done before, or None. Raises: BadInput where its file is damaged."""
    path = Path(out) / "parts" / f"{name}.json"
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        raise BadInput(f"{path} is damaged: delete it, and the same command does that part again.") from None
