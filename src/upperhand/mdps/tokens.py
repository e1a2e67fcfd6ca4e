"""The world of texts: a state is what was written, an action the next token. No reward inside, no discount."""

from collections.abc import Callable
from itertools import product
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.types import Key

BLOCK = 64
"""Tokens whose probabilities are summed before one of them is looked for."""


class Tokens(NamedTuple):
    """Texts of at most `length` tokens. What follows a text is given by its tokens; only the policy is random."""

    vocabulary: int
    length: int  # T, positions after `begin`
    pad: int = 0  # stands after the end; is never written
    begin: int = 1  # what every text is read from; is never written
    end: int = 2

    def alive(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T"]:
        """1 up to the first end token, itself included, then 0; a text without one is alive to its last position."""
        is_end = tokens == self.end
        before = jnp.cumsum(is_end, axis=1) - is_end
        return ((before == 0) & (tokens != self.pad)).astype(float)


def alive(world: Tokens, tokens: Int[Array, "B T"]) -> Float[Array, "B T"]:
    """Which positions belong to the texts."""
    return world.alive(tokens)


def write(
    world: Tokens,
    key: Key,
    step: Callable[[Any, Int[Array, " B"], Int[Array, ""]], tuple[Float[Array, "B V"], Any]],
    memory: Any,
    batch: int,
    more: tuple[int, ...] = (),
) -> Int[Array, "B T"]:
    """Texts drawn token by token, in one scan.

    a ~ π(· | s) through the inverse of its distribution function, with one uniform number a token. All of them are
    drawn before the first token: two policies given the same key write from the same random numbers.

    Args:
      world: the vocabulary and the length.
      key: random key.
      step: (memory, last token [B], position []) → logits of the next token [B, V] and the memory after; the first
        call gets `begin` at position 0. Texts that have ended go on through it, as pads.
      memory: of the policy, before the first token.
      batch: B.
      more: further end tokens.
    Returns: [B, T]; pad and begin are never drawn, whatever their logits; after the first end token come pads.
    Cost: B·T tokens, those after the ends too.
    """
    is_never = np.isin(np.arange(world.vocabulary), (world.pad, world.begin))[None]
    first = jnp.full((batch,), world.begin, jnp.int32)
    shape = jax.eval_shape(step, memory, first, jnp.int32(0))[0]
    words = jax.random.uniform(key, (world.length, batch), shape.dtype)

    def one(carry, now):
        memory, token = carry
        word, position = now
        logits, memory = step(memory, token, position)
        drawn = inverse(jnp.where(is_never, -jnp.inf, logits), word)
        is_over = (token == world.end) | (token == world.pad)
        for end in more:
            is_over |= token == end
        token = jnp.where(is_over, world.pad, drawn)
        return (memory, token), token

    positions = jnp.arange(world.length, dtype=jnp.int32)
    return jax.lax.scan(one, (memory, first), (words, positions))[1].T


def inverse(logits: Float[Array, "B V"], word: Float[Array, " B"]) -> Int[Array, " B"]:
    """The first token whose running sum of probabilities exceeds a uniform number in [0, 1).

    First the block of tokens is found, then the place in it: running sums over a whole vocabulary are slow.
    """
    B, V = logits.shape
    p = jnp.exp(logits - logits.max(-1, keepdims=True))
    p = jnp.pad(p, ((0, 0), (0, -V % BLOCK))).reshape(B, -1, BLOCK)
    sums = jnp.cumsum(p.sum(-1), -1)
    wanted = word[:, None] * sums[:, -1:]
    block = jnp.minimum(jnp.sum(sums <= wanted, -1, keepdims=True), sums.shape[1] - 1)
    before = jnp.where(block > 0, jnp.take_along_axis(sums, jnp.maximum(block - 1, 0), -1), 0)
    inside = jnp.cumsum(jnp.take_along_axis(p, block[..., None], 1)[:, 0], -1)
    place = jnp.minimum(jnp.sum(inside <= wanted - before, -1), jnp.sum(inside < inside[:, -1:], -1))
    return (block[:, 0] * BLOCK + place).astype(jnp.int32)


def every_text(world: Tokens) -> Int[np.ndarray, "N T"]:
    """All texts of a toy vocabulary: with L = V − 3 letters, those that end after n < T of them, and the Lᵀ cut ones.

    Returns: [N, T] with N = 1 + L + … + Lᵀ, by length. Cost: N·T, on the host.
    """
    letters = [a for a in range(world.vocabulary) if a not in (world.pad, world.begin, world.end)]
    T = world.length
    ended = [(*word, world.end, *[world.pad] * (T - n - 1)) for n in range(T) for word in product(letters, repeat=n)]
    return np.array(ended + list(product(letters, repeat=T)), np.int32).reshape(-1, T)
