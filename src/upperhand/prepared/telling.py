"""What runs of prepared problems tell of their texts: in each row, and beside the rows at the end."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from upperhand.errors import BadInput
from upperhand.judges import held_out
from upperhand.judges.masking import masked
from upperhand.prepared.evaluation import Written, evaluation, shown
from upperhand.types import Tree

Fresh = Callable[[Tree, Any, int], Written]
"""(theta, key, texts) → fresh texts, of `evaluation.writing`."""
RECORDED = 128
"""Fresh texts of each start that a row is judged by."""


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
