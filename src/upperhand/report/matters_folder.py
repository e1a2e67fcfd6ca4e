"""What the folder of rlhf_matters holds, read strictly: each part as far as it is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report.experiment_folder import about
from upperhand.report.four_rooms_folder import SECONDS, Want, checked, is_number, is_row, part, place
from upperhand.report.texts_folder import are
from upperhand.report.tweets_folder import COUNT, NAME, NUMBER, SEEDS

BIAS, GIBBS, STYLE = ("bias-pen", "bias-vader"), ("gibbs-pen", "gibbs-vader"), ("style-hashtags", "style-links")
MARKOV = ("markov-0", "markov-0.5", "markov-0.9", "markov-1")
PARTS = (*BIAS, *GIBBS, *MARKOV, *STYLE)
DIRECT = "direct"
"""A part that need not be there."""
BESIDE = ("vader", "length", "distinct_2", "repetition")
"""Figures beside the score, any of which may be missing."""
ARMS = ("joint", "alternating_ls", "alternating_bt", "frozen_ls", "frozen_bt", "residual_ls", "direct")
"""In the order of the page."""
TOY = {
    "ties": (("rho",), ("frozen", "least_squares", "bradley_terry", "joint")),
    "discount": (("gamma", "rho"), ("least_squares",)),
    "own": (("omega",), ("joint", "frozen", "least_squares", "residual")),
}
"""Tables of the exact toy: what a row is at, and its columns."""


class Study(NamedTuple):
    """The experiment in memory."""

    path: Path
    about: dict[str, Any]  # experiment.json
    parts: dict[str, dict[str, Any]]  # those that are there, by their file's name
    direct: dict[str, Any] | None
    ties: dict[str, Any] | None  # the exact toy
    language: dict[str, Any] | None
    missing: tuple[str, ...]


def read(out: Path | str) -> Study:
    """Every part that is there.

    Args:
      out: the folder that `upperhand reproduce rlhf_matters` wrote, finished or not.
    Returns: Study.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    path, told = Path(out), about(out)
    found = {name: one for name in PARTS if (one := _part(path, name)) is not None}
    ties = part(path, "ties", {"instances": COUNT})
    if ties is not None:
        checked(place(path, "ties"), ties, _toy(ties["instances"]))
    language = part(path, "language", {"preset": NAME, "corpus": NAME, "loss": NUMBER})
    whole = {name: found.get(name) for name in PARTS} | {"ties": ties, "language": language}
    missing = tuple(name for name, one in whole.items() if one is None)
    return Study(path, told, found, _part(path, DIRECT), ties, language, missing)


def _part(path: Path, name: str) -> dict[str, Any] | None:
    found = part(path, name, {"seeds": SEEDS, "names": Want("a list of words", lambda value: are(value, _is_word))})
    if found is not None:
        checked(place(path, name), found, _wanted(len(found["seeds"]), len(found["names"])))
    return found


def _is_word(value: Any) -> bool:
    return isinstance(value, str)


def _is_maybe(value: Any) -> bool:
    return value is None or is_number(value)


def _wanted(seeds: int, names: int) -> dict[str, Want]:
    def is_column(value):
        return are(value, _is_maybe) and len(value) == seeds

    def is_entry(value):
        is_told = isinstance(value, dict) and value.get("arm") in ARMS and is_number(value.get("kl"))
        are_told = is_told and all(is_column(value.get(name)) for name in ("score", "reached"))
        beside = are_told and all(is_column(value.get(name, [None] * seeds)) for name in (*BESIDE, "error"))
        return beside and (value.get("x") is None or is_row(value["x"], names))

    def are_entries(value):
        is_list = are(value, is_entry) and len(value) > 0
        return is_list and len({(one["arm"], one["kl"]) for one in value}) == len(value)

    def is_base(value):
        named = ("vader", "length", "distinct_2", "repetition", "paid", "paid_kl")
        is_told = isinstance(value, dict) and is_number(value.get("score"))
        return is_told and all(_is_maybe(value.get(name)) for name in named)

    return {
        "agent": NAME,
        "truth": NAME,
        "gamma": NUMBER,
        "own": Want("words or null", lambda value: value is None or _is_word(value)),
        "labels": COUNT,
        "texts": COUNT,
        "base": Want('figures with a "score"', is_base),
        "entries": Want(f"one of each arm and KL, with {seeds} of score and reached", are_entries),
    }


def _toy(instances: int) -> dict[str, Want]:
    def rows_of(keys, columns, good):
        def is_row_of(value):
            is_told = isinstance(value, dict) and all(is_number(value.get(key)) for key in keys)
            return is_told and all(good(value.get(column)) for column in columns)

        return lambda value: are(value, is_row_of) and len(value) > 0

    def is_pair(value):
        return value is None or (isinstance(value, list) and len(value) == 2 and all(map(_is_maybe, value)))

    def are_figures(value):
        is_told = isinstance(value, dict)
        return is_told and all(rows_of(*TOY[name], is_pair)(value.get(name)) for name in TOY)

    wanted = {
        name: Want(
            f"rows of {', '.join(keys)} and {instances} numbers a column", rows_of(keys, columns, _many(instances))
        )
        for name, (keys, columns) in TOY.items()
    }
    return wanted | {"published": Want("the same tables with (mean, sd) or null", are_figures), "seconds": SECONDS}


def _many(instances: int) -> Callable[[Any], bool]:
    return lambda value: are(value, _is_maybe) and len(value) == instances and any(map(is_number, value))
