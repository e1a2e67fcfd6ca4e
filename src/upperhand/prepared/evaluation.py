"""What a policy that writes is worth: fresh texts, judged by the person and by judges that no run has seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.hoist import hoist
from upperhand.judges.measures import distinct_2, mean_length, repetition
from upperhand.texts import Writer
from upperhand.types import Key, Tree

BATCH = 64
"""Fresh texts a call of the compiled program."""
SHOWN = 12
"""Texts that are shown."""


class Written(NamedTuple):
    """Fresh texts, and how far their policy is from the reference."""

    tokens: np.ndarray  # [N, T]
    kl: float  # KL(π ‖ π_ref), nats a text: exact over the vocabulary at each position, a mean over the texts
    reference: float  # mean log π_ref of a token, nats


def writing(writer: Writer) -> Callable[[Tree, Key, int], Written]:
    """(theta, key, texts) → Written, at least so many texts; compiled once."""
    programs = []

    def one(theta, key):
        tokens = writer.write(key, theta, BATCH)
        rows = math.gcd(BATCH, writer.rows or BATCH)  # tables over the vocabulary are held for so many texts
        parts = jax.lax.map(lambda part: judged(theta, part), tokens.reshape(BATCH // rows, rows, -1))
        return tokens, *(jnp.sum(part) for part in parts)

    def judged(theta, tokens):
        reading = writer.read(tokens)
        log_pi = writer.log_prob(theta, reading)
        alive = reading.alive
        is_met = log_pi > -jnp.inf  # what is never written adds nothing
        kl = jnp.sum(jnp.where(is_met, jnp.exp(log_pi) * (log_pi - reading.log_ref), 0.0), -1)
        chosen = jnp.take_along_axis(reading.log_ref, reading.tokens[..., None], -1)[..., 0]
        likely = jnp.sum(jnp.where(alive > 0, chosen, 0.0))
        return jnp.sum(kl * alive), likely, jnp.sum(alive)

    def written(theta, key, texts):
        theta = jax.tree.map(jnp.asarray, theta)
        if not programs:
            programs.append(hoist(one, theta, key))
        parts = [programs[0](theta, jax.random.fold_in(key, i)) for i in range(-(-texts // BATCH))]
        tokens, kl, likely, alive = (np.asarray([np.asarray(part[place]) for part in parts]) for place in range(4))
        tokens = tokens.reshape(-1, tokens.shape[-1])
        return Written(tokens, float(kl.sum() / len(tokens)), float(likely.sum() / alive.sum()))

    return written


def evaluation(
    written: Written, texts: Sequence[str], scores: np.ndarray, judges: Mapping[str, Callable | None]
) -> dict[str, Any]:
    """What is told of fresh texts: their score never stands alone.

    Args:
      written: the texts as tokens.
      texts, scores: the same as texts, and what the person says of each.
      judges: by name, None where a package is missing.
    Returns: vader (the person's mean score), kl, each judge's mean, distinct_2, repetition, length in words, reference,
      texts.
    """
    texts = list(texts)
    told = {name: None if judge is None else float(np.mean(judge(texts))) for name, judge in judges.items()}
    measures = {"distinct_2": distinct_2(texts), "repetition": repetition(texts), "length": mean_length(texts)}
    found = {"vader": float(np.mean(scores)), "kl": written.kl, **told, **measures, "reference": written.reference}
    return {name: value if value is None else float(value) for name, value in found.items()} | {"texts": len(texts)}


def shown(texts: Sequence[str], scores: np.ndarray, mask: Callable[[str], str]) -> list[dict[str, Any]]:
    """The first texts, fit to print, with what they answer where they tell it."""

    def one(text, score):
        prompt = getattr(text, "prompt", "")
        return {"text": mask(text), "score": float(score)} | ({"prompt": mask(prompt)} if prompt else {})

    return [one(*pair) for pair in list(zip(texts, scores, strict=True))[:SHOWN]]


def lexicon_of(x: Any, words: Sequence[str], mask: Callable[[str], str], most: int = 15) -> list[dict[str, Any]]:
    """The tokens of largest and smallest weight; nothing where x is no lexicon.

    Args:
      x: [V] of one seed.
      words: V, what each token says.
      mask: what makes a word fit to print.
      most: of each sign.
    """
    x = np.asarray(x) if hasattr(x, "shape") else np.zeros(0)
    if x.shape != (len(words),):
        return []
    order = np.argsort(x)
    places = [*order[::-1][:most], *order[:most][::-1]]
    return [{"token": mask(words[i]), "x": float(x[i])} for i in dict.fromkeys(int(i) for i in places) if x[i]]
