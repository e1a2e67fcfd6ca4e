"""What a policy that writes is worth: fresh texts, judged by the person and by judges that no run has seen.

In each row of a run, and beside the rows at its end.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.hoist import hoist
from upperhand.judges import held_out
from upperhand.judges.masking import masked
from upperhand.judges.measures import distinct_2, mean_length, repetition
from upperhand.texts import Writer
from upperhand.types import Key, Tree

BATCH = 64
"""Fresh texts a call of the compiled program."""
SHOWN = 12
"""Texts that are shown."""
RECORDED = 128
"""Fresh texts of each start that a row is judged by."""


class Written(NamedTuple):
    """Fresh texts, and how far their policy is from the reference."""

    tokens: np.ndarray  # [N, T]
    kl: float  # KL(π ‖ π_ref), nats a text: exact over the vocabulary at each position, a mean over the texts
    reference: float  # mean log π_ref of a token, nats


Fresh = Callable[[Tree, Key, int], Written]
"""(theta, key, texts) → fresh texts."""


def writing(writer: Writer) -> Fresh:
    """(theta, key, texts) → Written, at least so many texts; compiled once."""
    programs = []

    def one(theta, key):
        tokens = writer.write(key, theta, BATCH)
        rows = math.gcd(BATCH, writer.microbatch or BATCH)  # tables over the vocabulary are held for so many texts
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


def of_seed(tree: Tree, i: int) -> Tree:
    """The part of one seed."""
    return jax.tree.map(lambda leaf: leaf[i], tree)


def recorder(decode: Callable, fresh: Fresh, score: Callable) -> Callable[[Any, Any], dict[str, Any]]:
    """(state, told) → score and KL of fresh texts, [] or [N]: the same for every method."""

    def one(theta, count):
        found = fresh(theta, jax.random.fold_in(jax.random.key(1), count), RECORDED)
        return float(np.mean(score(decode(found.tokens)))), found.kl

    def record(state, told):
        counts = np.asarray(state.count)
        if not counts.ndim:
            return dict(zip(("score", "kl"), one(state.y, int(counts)), strict=True))
        found = [one(of_seed(state.y, i), int(n)) for i, n in enumerate(counts)]
        return {name: np.array(part) for name, part in zip(("score", "kl"), zip(*found, strict=True), strict=True)}

    return record


def unseen(**makers: Callable[[], Callable]) -> dict[str, Callable | None]:
    """Judges that no run is trained on, by name; None where a package or the labels are missing."""

    def one(make):
        try:
            return make()
        except BadInput:
            return None

    return {
        name: one(make) for name, make in ({"afinn": held_out.afinn, "textblob": held_out.textblob} | makers).items()
    }


def told(
    decode: Callable,
    fresh: Fresh,
    score: Callable,
    judges: Mapping[str, Callable | None],
    start: Tree,
    y: Tree,
    texts: int,
) -> dict[str, Any]:
    """texts.json but for its lexicon: what is written before and after, and what all judges say.

    Args:
      decode, fresh, score, judges: tokens → texts, fresh texts, the person, and those that no run has seen.
      start: θ of the reference.
      y: found θ, leaves [N, …].
      texts: of each start, at least so many.
    """

    def judged(theta, seed):
        found = fresh(theta, jax.random.fold_in(jax.random.key(2), seed), texts)
        written = decode(found.tokens)
        scores = np.asarray(score(written), float)
        return evaluation(found, written, scores, judges), shown(written, scores, masked)

    base, before = judged(start, 0)
    found = [judged(of_seed(y, i), i) for i in range(len(jax.tree.leaves(y)[0]))]
    return {
        "before": before,
        "after": found[0][1],
        "judges": {"base": base, "seeds": [one for one, _ in found]},
    }
