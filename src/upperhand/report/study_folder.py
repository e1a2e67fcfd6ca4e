"""What the folder of a study holds, read strictly: experiment.json, and parts/study.json with every field checked."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report.experiment_folder import about
from upperhand.report.folder import json_object
from upperhand.report.four_rooms_folder import is_number

NAME = re.compile(r"[A-Za-z0-9_-]+")
"""What a figure's name is made of: it names a file."""
TITLES = ("title", "question", "answer", "reference")


class Study(NamedTuple):
    """The study in memory."""

    path: Path
    about: dict[str, Any]  # experiment.json; without it the experiment's name, no settings, no command
    told: dict[str, Any]  # parts/study.json


def place(out: Path | str) -> Path:
    """The file that makes the folder of an experiment that of a study."""
    return Path(out) / "parts" / "study.json"


def is_study(out: Path | str) -> bool:
    """Whether a folder is that of a study that has been told."""
    return place(out).is_file()


def read(out: Path | str) -> Study:
    """A study, as far as a page needs it.

    Args:
      out: the folder of an experiment that told a study. Where experiment.json is missing, because the experiment was
        carried out from Python, the page has no settings and no command.
    Returns: Study.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    path, out = place(out), Path(out)
    remedy = f"delete it, and `upperhand resume {out}` does that part again"
    if not path.is_file():
        raise ValueError(f"{path} is missing: finish the study with `upperhand resume {out}`.")
    told = json_object(path, remedy)
    for where, wanted, got in _faults(told):
        raise ValueError(f"{path}: {where} must be {wanted}, got {repr(got)[:60]}; {remedy}.")
    known = about(out) if (out / "experiment.json").exists() else {"experiment": "", "config": {}, "command": ""}
    return Study(out, known, told)


Fault = tuple[str, str, Any]
"""Where, what is wanted, what is there."""


def _faults(told: dict[str, Any]) -> Iterator[Fault]:
    """What is wrong with a study, the first of it first."""
    yield from _wrong(told, "", {name: ("words", _are_words) for name in TITLES})
    yield from _wrong(told, "", {"notes": ("a list of words", _list_of(_is_word))})
    yield from _wrong(told, "", {"seconds": ("a number, at least 0", lambda value: is_number(value) and value >= 0)})
    for name, faults in (("figures", _figure), ("tables", _table)):
        yield from _wrong(told, "", {name: ("a list of objects", _list_of(_is_object))})
        for at, one in enumerate(told[name]):
            yield from faults(one, f"{name}[{at}].")
    names = [figure["name"] for figure in told["figures"]]
    if len(set(names)) < len(names):
        yield "figures", "of different names", names


def _figure(one: dict[str, Any], where: str) -> Iterator[Fault]:
    is_name = lambda value: _is_word(value) and NAME.fullmatch(value) is not None  # noqa: E731
    words = {name: ("words", _is_word) for name in ("title", "x_label", "y_label")}
    flags = {name: ("true or false", lambda value: isinstance(value, bool)) for name in ("x_log", "y_log")}
    lists = {name: ("a list of objects", _list_of(_is_object)) for name in ("lines", "marks")}
    yield from _wrong(one, where, {"name": ("letters, digits and dashes", is_name)} | words | flags | lists)
    for at, line in enumerate(one["lines"]):
        yield from _line(line, f"{where}lines[{at}].")
    for at, mark in enumerate(one["marks"]):
        yield from _wrong(mark, f"{where}marks[{at}].", {"label": ("words", _is_word), "y": ("a number", is_number)})


def _line(one: dict[str, Any], where: str) -> Iterator[Fault]:
    are_numbers = _list_of(_is_maybe)
    points = {"x": ("a list of numbers or null", are_numbers)}
    dots = {"dots": ("true or false", lambda value: isinstance(value, bool))}
    yield from _wrong(one, where, {"label": ("words", _is_word)} | dots | points)
    N = len(one["x"])
    are_as_many = lambda value: are_numbers(value) and len(value) == N  # noqa: E731
    yield from _wrong(one, where, {"y": (f"{N} numbers or null, one for each of x", are_as_many)})
    ends = "low", "high"
    if any(one.get(name) is not None for name in ends):
        wanted = f"{N} numbers or null, one for each of x, or both ends null"
        yield from _wrong(one, where, dict.fromkeys(ends, (wanted, are_as_many)))


def _table(one: dict[str, Any], where: str) -> Iterator[Fault]:
    texts = {name: ("words", _is_word) for name in ("title", "note")}
    are_names = lambda value: _list_of(_is_word)(value) and len(value) > 0  # noqa: E731
    columns, rows = ("a list of words, one at least", are_names), ("a list of lists", _list_of(_is_list))
    yield from _wrong(one, where, texts | {"columns": columns, "rows": rows})
    N = len(one["columns"])
    is_row = lambda value: len(value) == N and all(map(_is_cell, value))  # noqa: E731
    for at, row in enumerate(one["rows"]):
        wanted = f"{N} words, numbers or null, one for each column"
        yield from _wrong({f"rows[{at}]": row}, where, {f"rows[{at}]": (wanted, is_row)})


def _wrong(one: dict[str, Any], where: str, wanted: dict[str, tuple[str, Callable[[Any], bool]]]) -> Iterator[Fault]:
    for name, (words, good) in wanted.items():
        if not good(one.get(name)):
            yield f"{where}{name}", words, one.get(name)


def _list_of(good: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(good, value))


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _are_words(value: Any) -> bool:
    return isinstance(value, str) and value.strip() != ""


def _is_maybe(value: Any) -> bool:
    return value is None or is_number(value)


def _is_cell(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_maybe(value)
