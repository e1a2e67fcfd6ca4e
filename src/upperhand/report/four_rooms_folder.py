"""What the folder of the four-rooms experiment holds, read strictly: each part as far as it is there."""

from collections.abc import Callable
from math import isfinite
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report.experiment_folder import about
from upperhand.report.folder import json_object


class Study(NamedTuple):
    """The experiment in memory. Its values are the designer's, where higher is better."""

    path: Path
    about: dict[str, Any]  # experiment.json
    cells: list[list[float]]  # (τ, cost) of each; none where parts/published.json is not there
    published: dict[str, list[list[float]]]  # method → (mean, standard error) of each cell
    known: list[float]  # of exact-gradient ascent, by other code
    ascent: dict[str, Any] | None
    arms: dict[str, dict[str, Any]]  # those that have finished
    missing: tuple[str, ...]  # parts that are not there


class Want(NamedTuple):
    """What a field must be."""

    words: str
    good: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    """A finite number, true and false not among them."""
    return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)


def is_row(value: Any, length: int | None = None) -> bool:
    """A list of finite numbers, one at least, of a length where one is given."""
    is_list = isinstance(value, list) and len(value) > 0 and all(map(is_number, value))
    return is_list and (length is None or len(value) == length)


def is_table(value: Any, rows: int | None, columns: int | None = None) -> bool:
    """Rows of equal length, as many of them and of their numbers as are given."""
    is_list = isinstance(value, list) and len(value) > 0 and (rows is None or len(value) == rows)
    return is_list and all(is_row(row, columns) for row in value) and len({len(row) for row in value}) == 1


SECONDS = Want("a number, at least 0", lambda value: is_number(value) and value >= 0)


def read(out: Path | str) -> Study:
    """Every part that is there.

    Args:
      out: the folder that `upperhand reproduce four_rooms` wrote, finished or not.
    Returns: Study.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    path, told = Path(out), about(out)
    cells = Want("rows of (τ, cost)", lambda value: is_table(value, None, 2))
    references = part(path, "published", {"cells": cells})
    if references is None:
        return Study(path, told, [], {}, [], None, {}, ("published",))
    C = len(references["cells"])
    checked(place(path, "published"), references, _references(C))
    ascent = part(path, "ascent", {"values": _values(C), "seconds": SECONDS})
    grid = {"grid": Want("rows of (step, heat)", lambda value: is_table(value, None, 2))}
    found = {name: one for name in references["arms"] if (one := part(path, name, grid)) is not None}
    for name, one in found.items():
        checked(place(path, name), one, _entry(C, len(one["grid"])))
    missing = (*(() if ascent else ("ascent",)), *(name for name in references["arms"] if name not in found))
    return Study(path, told, *(references[name] for name in ("cells", "published", "known")), ascent, found, missing)


def place(out: Path, name: str) -> Path:
    """The file of a part."""
    return out / "parts" / f"{name}.json"


def part(out: Path, name: str, wanted: dict[str, Want]) -> dict[str, Any] | None:
    """A part with what is wanted of it, None where it is not there. Raises: ValueError, as `checked`."""
    path = place(out, name)
    return checked(path, json_object(path, _remedy(path)), wanted) if path.exists() else None


def checked(path: Path, found: dict[str, Any], wanted: dict[str, Want]) -> dict[str, Any]:
    """The content of a part. Raises: ValueError in one line where a field of it is not what is wanted."""
    for name, want in wanted.items():
        if not want.good(found.get(name)):
            got = repr(found.get(name))[:60] if name in found else "nothing"
            raise ValueError(f"{path}: {name} must be {want.words}, got {got}; {_remedy(path)}.")
    return found


def _remedy(path: Path) -> str:
    return f"delete it, and `upperhand resume {path.parent.parent}` does that part again"


def _values(cells: int) -> Want:
    return Want(f"{cells} numbers, one a cell", lambda value: is_row(value, cells))


def _references(cells: int) -> dict[str, Want]:
    def are_figures(value):
        return isinstance(value, dict) and len(value) > 0 and all(is_table(rows, cells, 2) for rows in value.values())

    def are_names(value):
        kept = isinstance(value, list) and len(value) > 0 and all(isinstance(name, str) and name for name in value)
        return kept and not set("".join(value)) & set("/\\") and len(set(value)) == len(value)

    return {
        "published": Want(f"method → {cells} pairs (mean, standard error)", are_figures),
        "known": _values(cells),
        "arms": Want("a list of different names", are_names),
    }


def _entry(cells: int, trials: int) -> dict[str, Want]:
    def are_places(value):
        return is_row(value, cells) and all(isinstance(at, int) and 0 <= at < trials for at in value)

    return {
        "trials": Want(f"{cells} rows of {trials} scores", lambda value: is_table(value, cells, trials)),
        "chosen": Want(f"{cells} whole numbers below {trials}", are_places),
        "values": Want(f"{cells} rows of a number a seed", lambda value: is_table(value, cells)),
        "transitions": Want(
            f"{cells} numbers, or 0", lambda value: is_row(value, cells) or (is_number(value) and value == 0)
        ),
        "updates": Want("a whole number above 0", lambda value: type(value) is int and value > 0),
        "seconds": SECONDS,
    }
