"""The policy of a toy vocabulary: one logit a history and token, so that every law of texts can be written."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.actions import log_probabilities
from upperhand.texts import Reading, Writer
from upperhand.types import Key

SPECIAL = 3
"""Tokens before the first letter: pad, begin and end."""
NEVER = -1e9
"""The logit of what is never written."""


def text_table(
    rows: np.ndarray,
    length: int,
    write: Callable[[Key, Callable, Array, int], Int[Array, "B T"]],
    alive: Callable[[Array], Float[Array, "B T"]],
) -> Writer:
    """A table over a Markov reference.

    π_θ(a | a₁ … a_t) ∝ rows(a_t, a) exp θ(a₁ … a_t, a)        a₀ = begin

    Args:
      rows: [V, V] probability of each token after each; of pad, begin and end only begin's row is met.
      length: T, positions; there are 1 + L + … + L^(T−1) histories of L = V − 3 letters.
      write: (key, step, memory, B) → texts, the scan of the world.
      alive: tokens → 1 up to the end token.
    Returns: Writer, θ [histories, V] started at 0. A reading's features are the histories, hidden is the last token.
    """
    V = rows.shape[0]
    L = V - SPECIAL
    before = np.concatenate([[0], np.cumsum(L ** np.arange(length))]).astype(np.int32)  # histories shorter than t
    with np.errstate(divide="ignore"):
        logits = np.maximum(np.log(rows), NEVER)

    def init(key: Key) -> Float[Array, "H V"]:
        return jnp.zeros((int(before[length]), V))

    def longer(code, token, position):
        return jnp.where(position > 0, code * L + jnp.maximum(token - SPECIAL, 0), 0)

    def write_texts(key: Key, theta: Float[Array, "H V"], batch: int) -> Int[Array, "B T"]:
        def step(code, token, position):
            code = longer(code, token, position)
            history = jnp.asarray(before)[position] + code
            return jnp.asarray(logits, theta.dtype)[token] + theta[history], code

        return write(key, step, jnp.zeros(batch, jnp.int32), batch)

    def read(tokens: Int[Array, "B T"]) -> Reading:
        last = jnp.concatenate([jnp.ones_like(tokens[:, :1]), tokens], 1)  # begin is 1
        codes = [jnp.zeros_like(tokens[:, 0])]
        for t in range(1, length):
            codes.append(longer(codes[-1], tokens[:, t - 1], t))
        histories = jnp.stack(codes, 1) + jnp.asarray(before)[None, :length]
        is_alive = alive(tokens)
        log_ref = log_probabilities(jnp.asarray(logits, is_alive.dtype)[last[:, :-1]])
        return Reading(tokens, is_alive, histories, jax.nn.one_hot(last, V, dtype=is_alive.dtype), log_ref)

    def log_prob(theta: Float[Array, "H V"], reading: Reading) -> Float[Array, "B T V"]:
        return log_probabilities(reading.log_ref.astype(theta.dtype) + theta[reading.features])

    return Writer(init, write_texts, read, log_prob)
