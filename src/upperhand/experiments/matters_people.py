"""Whose scores the arms of rlhf_matters are given, and what is told beside them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from upperhand.judges import distinct_2, mean_length, repetition, vader

LONG = 12
"""Words, above which a pen friend is bored."""
COMPARED = 512
"""Texts over which distinct_2 is taken; it falls with their number."""


class Person(NamedTuple):
    """Who scores texts."""

    decode: Callable[[np.ndarray], list[str]]  # tokens [N, T] → texts
    mood: Callable[[list[str]], np.ndarray]  # VADER, or any other score of texts
    truth: str  # pen or vader

    def __call__(self, tokens: np.ndarray) -> np.ndarray:
        """U of texts [N, T]."""
        return self.score(self.decode(tokens))

    def score(self, texts: list[str]) -> np.ndarray:
        """U of texts, [N]."""
        mood = self.mood(texts)
        return mood if self.truth == "vader" else mood - pen(texts)


def pen(texts: Sequence[str]) -> np.ndarray:
    """What a pen friend takes off: ½ for more than 12 words, ½ where nobody is addressed by a handle."""
    is_long = np.array([len(text.split()) > LONG for text in texts], float)
    return 0.5 * is_long + 0.5 * np.array(["@" not in text for text in texts], float)


def person(decode: Callable[[np.ndarray], list[str]], truth: str) -> Person:
    """Who scores by VADER: as it is, or as a pen friend.

    Args:
      decode: tokens [N, T] → texts.
      truth: vader, or pen, which is VADER − ½[more than 12 words] − ½[no handle].
    Raises: BadInput where vaderSentiment is missing.
    """
    return Person(decode, vader(), truth)


def beside(one: Person, tokens: np.ndarray) -> dict[str, float]:
    """What is told beside the score of texts [N, T]."""
    texts = one.decode(tokens)
    measured = {"vader": float(one.mood(texts).mean()), "length": mean_length(texts), "repetition": repetition(texts)}
    return measured | {"distinct_2": distinct_2(texts[:COMPARED])}
