"""What the folder of an experiment holds, read strictly."""

from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report.comparison import summary
from upperhand.report.comparison_folder import Comparison, read
from upperhand.report.folder import json_object

AGAIN = "restore it from a copy, or reproduce again into a new folder"


class Part(NamedTuple):
    """One comparison of an experiment."""

    name: str
    title: str
    comparison: Comparison | None  # None where it has not begun
    told: dict[str, Any] | None  # its summary

    @property
    def is_finished(self) -> bool:
        """Whether every arm has run to its end."""
        return self.comparison is not None and all(arm.state == "finished" for arm in self.comparison.arms)


class Experiment(NamedTuple):
    """An experiment, and its comparisons in the order of experiment.json."""

    path: Path
    about: dict[str, Any]
    parts: tuple[Part, ...]


def _is_cell(value: Any) -> bool:
    is_told = isinstance(value, dict) and all(isinstance(value.get(name), str) for name in ("name", "title"))
    return is_told and bool(value["name"].strip(".")) and not set(value["name"]) & set("/\\")


WANTED = {
    "experiment": ("a name", lambda value: isinstance(value, str) and value != ""),
    "config": ("its settings", lambda value: isinstance(value, dict)),
    "command": ("a line", lambda value: isinstance(value, str)),
    "cells": ("a list of cells", lambda value: isinstance(value, list) and all(map(_is_cell, value))),
}
QUESTION = ("title", "method", "rival", "claim", "against")


def about(out: Path | str) -> dict[str, Any]:
    """experiment.json. Raises: ValueError in one line where it is missing, damaged, or lacks what is needed."""
    path = Path(out) / "experiment.json"
    if not path.is_file():
        raise ValueError(f"{out} is not of an experiment: give the folder that `upperhand reproduce` wrote.")
    found = json_object(path, AGAIN)
    for name, (kind, good) in WANTED.items():
        if not good(found.get(name)):
            raise ValueError(f"{path}: {name} must be {kind}, got {repr(found.get(name))[:60]}; {AGAIN}.")
    question = found.get("question")
    is_whole = isinstance(question, dict) and all(isinstance(question.get(name), str) for name in QUESTION)
    if found["cells"] and not is_whole:
        raise ValueError(f"{path}: question must tell {', '.join(QUESTION)}; {AGAIN}.")
    return found


def place(out: Path | str, name: str) -> Path:
    """The folder of a cell."""
    return Path(out) / "cells" / name


def part(out: Path | str, cell: dict[str, str]) -> Part:
    """A cell as far as it is there. Raises: ValueError, as `comparison.read`."""
    there = place(out, cell["name"])
    found = read(there) if (there / "compare.json").is_file() else None
    return Part(cell["name"], cell["title"], found, None if found is None else summary(found))


def read_experiment(out: Path | str) -> Experiment:
    """An experiment in memory. Raises: ValueError in one line: which file, what is wrong with it, what to do."""
    told = about(out)
    return Experiment(Path(out), told, tuple(part(out, cell) for cell in told["cells"]))
