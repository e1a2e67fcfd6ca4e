"""What is told beside every score, since scores are easily hacked: variety, repetition, length. A word is what stands
between blanks, in lower case."""

from collections.abc import Sequence

import numpy as np


def words(text: str) -> list[str]:
    """The words of a text."""
    return text.lower().split()


def distinct_2(texts: Sequence[str]) -> float:
    """Different pairs of neighbouring words over all such pairs, of all texts together; 0 where there is none.

    It falls as there are more texts: compare equal counts (512 in the studies).

    Reference: Li et al., "A diversity-promoting objective function for neural conversation models", 2016.
    """
    pairs = [pair for text in texts for pair in neighbours(text)]
    return len(set(pairs)) / len(pairs) if pairs else 0.0


def repetition(texts: Sequence[str]) -> float:
    """Words equal to the word before them, over all words that have one before them, of all texts; 0 without any."""
    pairs = [pair for text in texts for pair in neighbours(text)]
    return float(np.mean([former == latter for former, latter in pairs])) if pairs else 0.0


def mean_length(texts: Sequence[str]) -> float:
    """Words a text; 0 where there is no text."""
    return float(np.mean([len(words(text)) for text in texts])) if texts else 0.0


def neighbours(text: str) -> list[tuple[str, str]]:
    """The pairs of neighbouring words of a text."""
    found = words(text)
    return list(zip(found[:-1], found[1:], strict=True))
