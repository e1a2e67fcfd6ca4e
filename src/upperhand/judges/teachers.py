"""Simulated people who say which of two texts they like better, and are not always right."""

from typing import NamedTuple

import numpy as np

from upperhand.errors import BadInput
from upperhand.judges.checked import Person, checked


class Teacher(NamedTuple):
    """How somebody compares two texts.

    Reference: after Lee et al., "B-Pref: benchmarking preference-based reinforcement learning", 2021 (recalled). Their
    myopic teacher discounts earlier rewards; a text's score is no sum over words, so ours reads the last words only.
    """

    temperature: float = 0.0  # of the Bradley–Terry law, in units of the score; 0: always the better one
    mistaken: float = 0.0  # probability that a label is flipped, ties never
    skip: float = -np.inf  # where both scores are below it, no label is given
    words: int = 0  # only the last so many words of each text are read; 0: all
    equal: float = 0.0  # scores closer than this are a tie


rational = Teacher()
stochastic = Teacher(temperature=0.3)
myopic = Teacher(temperature=0.3, words=4)
mistaken = Teacher(temperature=0.3, mistaken=0.1)
skipping = Teacher(temperature=0.3, skip=0.0)
tying = Teacher(temperature=0.3, equal=0.1)


def labels(teacher: Teacher, person: Person, first: list[str], second: list[str], seed: int) -> np.ndarray:
    """What a teacher says of pairs of texts.

    P(first is preferred) = σ((U₁ − U₂)/temperature), then flipped with probability `mistaken`; first of all, both below
    `skip` are skipped, and then scores closer than `equal` are ties.

    Args:
      teacher: how the texts are compared.
      person: texts → scores U, higher for better; asked once, for all texts.
      first: B texts.
      second: B texts.
      seed: of the draws; two for each pair, whatever the teacher.
    Returns: [B]: 1 where the first is preferred, 0 the second, 0.5 a tie, NaN skipped.
    Raises: BadInput where a setting or the person's answer cannot be used.
    """
    legal(teacher)
    if len(first) != len(second):
        raise BadInput(f"labels need as many second texts as first: got {len(first)} and {len(second)}.")
    read = [last_words(text, teacher.words) for text in [*first, *second]]
    u = checked(person)(read)
    u_first, u_second = u[: len(first)], u[len(first) :]
    difference = u_first - u_second
    chosen, flipped = np.random.default_rng(seed).random((2, len(first)))
    label = (chosen < preferred(difference, teacher.temperature)).astype(np.float64)
    label = np.where(flipped < teacher.mistaken, 1.0 - label, label)
    label = np.where(np.abs(difference) < teacher.equal, 0.5, label)
    return np.where(np.maximum(u_first, u_second) < teacher.skip, np.nan, label)


def preferred(difference: np.ndarray, temperature: float) -> np.ndarray:
    """σ(difference/temperature), which at temperature 0 is 0, ½ or 1."""
    if temperature == 0.0:
        return 0.5 + 0.5 * np.sign(difference)
    return 0.5 + 0.5 * np.tanh(difference / (2.0 * temperature))


def last_words(text: str, count: int) -> str:
    """The last words of a text; all of it where the count is 0."""
    return " ".join(text.split()[-count:]) if count else text


def legal(teacher: Teacher) -> None:
    """Raises: BadInput where a setting of a teacher is out of range."""
    ranges = {
        "temperature": (0.0 <= teacher.temperature < np.inf, "0 or above"),
        "mistaken": (0.0 <= teacher.mistaken <= 1.0, "between 0 and 1"),
        "skip": (not np.isnan(teacher.skip), "a number"),
        "words": (teacher.words >= 0, "0 or above"),
        "equal": (0.0 <= teacher.equal < np.inf, "0 or above"),
    }
    for name, (fits, wanted) in ranges.items():
        if not fits:
            raise BadInput(f"teacher.{name} must be {wanted}: got {getattr(teacher, name)}.")
