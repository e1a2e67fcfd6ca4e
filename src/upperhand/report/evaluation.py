"""What judges say of texts: the score that was asked for, and what has to stand beside it."""

from collections.abc import Mapping, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np

from upperhand.report.entries import NONE, Entry
from upperhand.report.four_rooms_folder import is_number
from upperhand.report.statistics import interval
from upperhand.report.writing import fixed


class Judge(NamedTuple):
    """A column of the judges' table."""

    words: str
    decimals: int


JUDGES = {
    "vader": Judge("VADER", 3),
    "kl": Judge("KL, nats a text", 2),
    "afinn": Judge("AFINN", 2),
    "textblob": Judge("TextBlob", 3),
    "learned": Judge("learned judge", 3),
    "distinct_2": Judge("distinct-2", 3),
    "repetition": Judge("repetition", 3),
    "length": Judge("words a text", 1),
    "reference": Judge("log π_ref a token", 2),
}
HELD_OUT = ("afinn", "textblob", "learned")
"""Judges that no arm is trained on."""

WORDS = "figures by name, each a number or null"
"""What `is_evaluation` asks for."""


def is_evaluation(value: Any) -> bool:
    """Whether every judge's figure is a finite number, null or not there."""
    return isinstance(value, dict) and all(value.get(name) is None or is_number(value[name]) for name in JUDGES)


def figures(evaluation: Mapping[str, Any] | None) -> dict[str, float | None]:
    """Every judge's figure, None where that judge said nothing; all of them where there is no evaluation."""
    return {name: (evaluation or {}).get(name) for name in JUDGES}


def middles(evaluations: Sequence[Mapping[str, Any] | None]) -> dict[str, dict[str, float] | None]:
    """{judge: {"iqm", "low", "high", "seeds"}} over the seeds that have its figure, None where none has."""
    columns = {name: [figures(one)[name] for one in evaluations] for name in JUDGES}
    return {name: middle(column) for name, column in columns.items()}


def middle(column: Sequence[float | None]) -> dict[str, float] | None:
    """The interquartile mean of what is there, with its 95% interval, and how many numbers it rests on."""
    kept = present(column)
    if not kept.size:
        return None
    return {name: float(part) for name, part in interval(kept)._asdict().items()} | {"seeds": kept.size}


def present(column: Sequence[float | None]) -> np.ndarray:
    """The finite numbers of a column."""
    found = np.array([nan if value is None else value for value in column], np.float64)
    return found[np.isfinite(found)]


def known(evaluations: Sequence[Mapping[str, Any] | None]) -> list[str]:
    """The judges that said anything, in the order of the table."""
    return [name for name in JUDGES if any(figures(one)[name] is not None for one in evaluations)]


def written(value: float | None, decimals: int) -> str:
    """A figure with its decimals; what rounds to 0 has no sign."""
    text = fixed(value, decimals)
    return text if text.strip("−0.") else text.strip("−")


def shown(found: Mapping[str, float] | None, decimals: int) -> Entry:
    """A cell: the middle, and its interval in small print where there are several seeds."""
    if found is None:
        return NONE
    middle, low, high = (written(found[name], decimals) for name in ("iqm", "low", "high"))
    return Entry(middle, [f"{low} to {high}"] if found["seeds"] > 1 else [])
