"""Texts, as every station meets them: what a policy writes, and what its frozen reference makes of it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.errors import BadInput
from upperhand.forms import Population, Preference, Score
from upperhand.types import Key, Tree


class Answer(str):
    """A text that tells which prompt it answers; for all else it is its text."""

    prompt: str

    def __new__(cls, text: str, prompt: str) -> "Answer":
        """An answer to a prompt."""
        found = super().__new__(cls, text)
        found.prompt = prompt
        return found


class Reading(NamedTuple):
    """B texts of at most T tokens, read once by the reference π_ref. T1 is T + 1."""

    tokens: Int[Array, "B T"]  # a₁ … a_T; what follows the end token is padding
    alive: Float[Array, "B T"]  # 1 up to the end token, itself included, then 0
    features: Any  # what θ works on: of the transformer the frozen trunk's output, [B, T1, D]
    hidden: Float[Array, "B T1 D"]  # π_ref's last hidden state; [:, t] has read a₁ … a_t
    log_ref: Float[Array, "B T V"]  # log π_ref(· | a₁ … a_t) at [:, t], before a_{t+1} is chosen
    group: Int[Array, " B"] | None = None  # texts of one number answer one prompt; None: all do


class Writer(NamedTuple):
    """A policy that writes texts, as pure functions; its reference is inside."""

    init: Callable[[Key], Tree]  # key → theta, at which π_θ = π_ref
    write: Callable[[Key, Tree, int], Int[Array, "B T"]]  # (key, theta, B) → texts drawn from π_θ
    read: Callable[[Int[Array, "B T"]], Reading]  # texts → what the reference makes of them; knows no theta
    log_prob: Callable[[Tree, Reading], Float[Array, "B T V"]]  # (theta, reading) → log π_θ(· | a₁ … a_t)
    microbatch: int | None = None  # texts that are held with their tables [T, V] where θ is stepped; None: all
    log_ref: Callable[[Reading], Float[Array, "B T V"]] | None = None  # for a microbatch: a reading's log_ref again


def answering(upper: Score | Population | Preference) -> Callable[[np.ndarray, int], np.ndarray]:
    """How the person of an upper objective is asked about a batch.

    Score and Population: each text. Preference: text i of the first half beside text i of the second, B/2 pairs.

    Args:
      upper: of a problem of texts.
    Returns: (tokens [B, T], seed) → [B], of a Preference [B/2], of a Population [B, M]; host code. It raises
      BadInput, in one line, where the person's program raises, gives another number of answers, or one that is not
      finite (NaN is allowed of a pair: it was skipped).
    """

    def answer(tokens, seed):
        texts = upper.decode(tokens)
        try:
            if isinstance(upper, Preference):
                found = upper.prefer(texts[: len(texts) // 2], texts[len(texts) // 2 :], seed)
            else:
                found = (upper.traits if isinstance(upper, Population) else upper.person)(texts)
            found = np.asarray(found, np.float64)
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(
                f"the person's program failed: {type(error).__name__}: {' '.join(str(error).split())}"
            ) from error
        axes = 2 if isinstance(upper, Population) else 1
        wanted, kind = (len(texts) // 2, "pairs") if isinstance(upper, Preference) else (len(texts), "texts")
        if found.ndim != axes or len(found) != wanted:
            raise BadInput(f"the person must answer once for each of {wanted} {kind}: got shape {found.shape}.")
        wrong = np.isinf(found) | (np.isnan(found) & (not isinstance(upper, Preference)))
        if wrong.any():
            place = int(np.argwhere(wrong)[0][0])
            raise BadInput(f"the person must answer with finite numbers: got {found[place]} for {texts[place][:60]!r}.")
        return found

    return answer
