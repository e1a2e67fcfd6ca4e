"""The person that is played by a lexicon and rules."""

from collections.abc import Callable

import numpy as np

from upperhand.errors import BadInput


def vader() -> Callable[[list[str]], np.ndarray]:
    """VADER's compound score of each text, in [−1, 1]; 0 for the empty text.

    Returns: texts → [B].
    Raises: BadInput where the package is missing.
    Cost: some 40 microseconds a text.
    Reference: Hutto and Gilbert, "VADER: a parsimonious rule-based model for sentiment analysis of social media
      text", 2014; the package vaderSentiment.
    """
    try:
        from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer
    except ImportError:
        raise BadInput("VADER needs vaderSentiment: pip install 'upperhand[tweets]'.") from None
    analyzer = SentimentIntensityAnalyzer()

    def scores(texts: list[str]) -> np.ndarray:
        return np.array([analyzer.polarity_scores(text)["compound"] for text in texts], np.float64)

    return scores
