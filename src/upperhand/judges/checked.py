"""A person is any function from texts to numbers; what one gives is looked at before it is used."""

from collections.abc import Callable
from typing import Any

import numpy as np

from upperhand.errors import BadInput
from upperhand.judges.masking import shortened

Person = Callable[[list[str]], Any]
"""Texts to as many numbers, higher for better."""


def checked(person: Person) -> Callable[[list[str]], np.ndarray]:
    """A person whose answer is as many finite numbers as there were texts.

    Args:
      person: any callable, texts → numbers.
    Returns: texts → float64 [B]. It raises BadInput, one line with the text where it is one text, where the person
      raises, or gives no numbers, too many or too few, NaN or infinity. Where the person raises, it is asked again for
      one text at a time until it raises, to find which.
    """

    def scores(texts: list[str]) -> np.ndarray:
        if not texts:
            return np.zeros(0)
        try:
            given = person(list(texts))
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(f"the person failed on {culprit(person, texts)}: {named(error)}.") from error
        try:
            found = np.asarray(given, np.float64)
        except (TypeError, ValueError):
            found = None
        if found is None or given is None:
            raise BadInput(f"the person must give a list of numbers, one a text: got {short(given)}.")
        if found.shape != (len(texts),):
            raise BadInput(
                f"the person must give one number a text: got shape {found.shape} for {len(texts)} "
                f"text{'s' * (len(texts) > 1)}."
            )
        for place in np.flatnonzero(~np.isfinite(found))[:1]:
            raise BadInput(f"the person gave {found[place]} for {shortened(texts[place])!r}: give a finite number.")
        return found

    return scores


def culprit(person: Person, texts: list[str]) -> str:
    """The first text that a person raises on by itself, in words, else the batch."""
    for text in texts if len(texts) > 1 else ():
        try:
            person([text])
        except Exception:
            return repr(shortened(text))
    many = f"{len(texts)} texts, the first of them " if len(texts) > 1 else ""
    return f"{many}{shortened(texts[0])!r}"


def named(error: Exception) -> str:
    """An error's name and the start of its message, in one line."""
    told = " ".join(str(error).split())
    return type(error).__name__ + (f": {told[:200]}" if told else "")


def short(given: Any) -> str:
    """What a person gave, in a few characters of one line."""
    told = " ".join(repr(given).split())
    return told if len(told) <= 60 else f"{told[:59]}…"
