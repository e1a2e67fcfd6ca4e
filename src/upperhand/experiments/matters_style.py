"""Parts b and c of rlhf_matters on texts of a language model: the Gibbs law, with or without a reward of its own.

    π_x(y) ∝ exp(φ(y) x + r₀(y)) over a pool of texts drawn from π_ref        φ: 30 counts of tokens, or 10 of style

The pool is the world: laws, KL and scores are exact on it, and an arm asks for labels of texts drawn by π_x's weights.
Without r₀ theory says that on-policy least squares ties with joint training. With it (somebody pays the agent for every
hashtag, or link, so well that it leaves π_ref by itself) least squares fits U and forgets what is paid already.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from upperhand.experiments.matters_arms import Agent, Round
from upperhand.experiments.matters_bias import bias
from upperhand.language.pretraining import Language

STYLE = {
    "!": r"!",
    "smileys": r"[:;=8][-o']?[)(\]\[dp3/]|<3|\bx[dp]\b",
    "handles": r"@\w+",
    "?": r"\?",
    "links": r"<url>|https?:\S+",
    "words": r"\S+",
    "#": r"#",
    "..": r"\.\.+",
    "begins with a handle": r"\A@\w+",
    "digits": r"\d+",
}
"""What is counted in a text."""
MOST = 3
"""Of a kind that count, words apart: else a text of exclamation marks alone is worth more than it says."""
PAID = {"hashtags": "#", "links": "links"}
AWAY = 0.5
"""KL to which what it is paid takes the agent where x is 0, of the budget of 2: a quarter."""


class Pool(NamedTuple):
    """N texts of π_ref, the world of these parts."""

    tokens: np.ndarray  # [N, T]
    texts: list[str]


def pool(language: Language, count: int, seed: int = 0) -> Pool:
    """Texts drawn from the language model. Cost: that of writing them, about a millisecond each."""
    agent = bias(language, [language.world.end], None, ["end"])
    size = min(count, 1024)
    rows = [agent.play([(seed, 5, at)], np.zeros((1, 1)), size).texts[0] for at in range(-(-count // size))]
    tokens = np.concatenate(rows)[:count]
    return Pool(tokens, language.decode(tokens))


def styles(texts: Sequence[str]) -> np.ndarray:
    """[N, 10] what STYLE counts."""
    patterns = [re.compile(pattern) for pattern in STYLE.values()]
    found = np.array([[len(pattern.findall(text)) for pattern in patterns] for text in texts], float)
    is_word = np.array([name == "words" for name in STYLE])
    return np.where(is_word[None], found, np.minimum(found, MOST))


def paid(counts: np.ndarray, away: float = AWAY) -> np.ndarray:
    """r₀ [N] of an agent that is paid by the count: so much a piece that its KL is `away` where x is 0."""
    low, high = 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        _, kl = weights((middle * counts)[None])
        low, high = (low, middle) if kl[0] > away else (middle, high)
    return low * counts


def weights(total: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Gibbs law of what is paid for each text: log π_x/π_ref [L, N], and its KL [L]."""
    most = total.max(1, keepdims=True)
    ratio = total - most - np.log(np.exp(total - most).mean(1, keepdims=True))
    return ratio, (np.exp(ratio) * ratio).mean(1)


def pooled(
    features: np.ndarray,
    u: np.ndarray,
    names: Sequence[str],
    own: np.ndarray | None = None,
    tokens: np.ndarray | None = None,
) -> Agent:
    """The Gibbs agent of a pool.

    Args:
      features: [N, k].
      u: [N] the score of each text.
      names: of the k features.
      own: [N] what the agent is paid besides, nats.
      tokens: [N, T], for what is told beside the score.
    Returns: Agent, exact. Cost: of a round N exponentials a lane.
    """
    own = np.zeros(len(u)) if own is None else own

    def law(x):
        return weights(x @ features.T + own[None])

    def play(seeds, x, batch):
        ratio, kl = law(x)
        sums = np.cumsum(np.exp(ratio), 1)
        draws = [np.random.default_rng(seed).random(batch) for seed in seeds]
        drawn = np.array([np.searchsorted(row, draw * row[-1], "right") for row, draw in zip(sums, draws, strict=True)])
        drawn = np.minimum(drawn, len(u) - 1)
        found = features[drawn]
        mean = np.exp(ratio) @ features / len(u)
        return Round(drawn, found, found - mean[:, None], np.take_along_axis(ratio, drawn, 1), kl, own[drawn])

    def exact(x):
        ratio, kl = law(x)
        return np.exp(ratio) @ u / len(u), kl

    return Agent(
        list(names),
        play,
        lambda found, x, c: np.einsum("lb,lbk->lk", c, found.slopes),
        lambda found: u[found.texts],
        exact,
    )
