"""Judges that no run is trained or tuned on: two other lexicons, and a classifier of people's labels."""

from collections.abc import Callable, Sequence

import numpy as np

from upperhand.errors import BadInput


def afinn() -> Callable[[list[str]], np.ndarray]:
    """The sum of AFINN's word scores, each in −5 … 5, over a text.

    Returns: texts → [B].
    Raises: BadInput where the package is missing.
    Cost: some 600 microseconds a text.
    Reference: Nielsen, "A new ANEW: evaluation of a word list for sentiment analysis in microblogs", 2011.
    """
    try:
        from afinn import Afinn
    except ImportError:
        raise BadInput("this judge needs afinn: pip install 'upperhand[tweets]'.") from None
    lexicon = Afinn()
    return lambda texts: np.array([lexicon.score(text) for text in texts], np.float64)


def textblob() -> Callable[[list[str]], np.ndarray]:
    """TextBlob's polarity of each text, in [−1, 1].

    Returns: texts → [B].
    Raises: BadInput where the package is missing.
    Cost: some 500 microseconds a text.
    """
    try:
        from textblob import TextBlob
    except ImportError:
        raise BadInput("this judge needs textblob: pip install 'upperhand[tweets]'.") from None
    return lambda texts: np.array([TextBlob(text).sentiment.polarity for text in texts], np.float64)


def learned(labelled: Sequence[tuple[str, int]]) -> Callable[[list[str]], np.ndarray]:
    """P(happy) − P(unhappy) of each text, in [−1, 1], by a classifier of labelled texts.

    TF-IDF of words and pairs of words, then multinomial logistic regression.

    Args:
      labelled: (text, label), the label −1, 0 or 1; −1 and 1 must both be among them.
    Returns: texts → [B].
    Raises: BadInput where a label is missing or unknown, or scikit-learn is.
    Cost: seconds, once, for some 30 thousand texts; then some 50 microseconds a text.
    """
    try:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise BadInput("the learned judge needs scikit-learn: pip install 'upperhand[tweets]'.") from None
    known = {label for _, label in labelled}
    if not {-1, 1} <= known <= {-1, 0, 1}:
        raise BadInput(f"the learned judge needs texts labelled -1 and 1, and 0 at most besides: got {sorted(known)}.")
    words = TfidfVectorizer(ngram_range=(1, 2), min_df=2 if len(labelled) >= 1000 else 1, sublinear_tf=True)
    classifier = make_pipeline(words, LogisticRegression(C=4.0, solver="newton-cg"))
    classifier.fit([text for text, _ in labelled], [label for _, label in labelled])
    unhappy, happy = (list(classifier.classes_).index(label) for label in (-1, 1))

    def scores(texts: list[str]) -> np.ndarray:
        if not texts:
            return np.zeros(0)
        found = classifier.predict_proba(texts)
        return found[:, happy] - found[:, unhappy]

    return scores
