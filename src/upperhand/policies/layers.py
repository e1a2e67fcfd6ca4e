"""A small decoder-only language model in flax.nnx: root-mean-square norms, rotary positions, tied embeddings.

Importing this needs flax; `policies.transformer` does so only when a network is built. The arithmetic is in the type of
the weights, whatever JAX's default is.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from upperhand.types import Key

NEVER = -1e9
"""A logit that no softmax sees; finite, so that 0 · log 0 is 0."""
TURNS = 1000.0
"""The slowest pair of a head turns by one radian in about this many positions."""
SPREAD = 0.7
"""Standard deviation of the first matrices, in units of 1/√(their inputs)."""

Rows = Float[Array, "B S D"]
Mask = Bool[Array, "#B S C"]  # what each place may look at
Pair = tuple[Float[Array, "B H C d"], Float[Array, "B H C d"]]  # keys and values of a layer
Held = tuple[Float[Array, "B H C d"], Float[Array, "B H C d"], Int[Array, ""]]  # the same, and where the next go
Cache = tuple[Pair, ...]  # of each layer
Turn = tuple[Float[Array, "B 1 S c"], Float[Array, "B 1 S c"]]  # c = d/2 angles


def normal(key: Key, *shape: int, spread: float) -> nnx.Param:
    """A matrix of independent normal numbers, float32."""
    return nnx.Param(spread * jax.random.normal(key, shape, jnp.float32))


def rms_norm(h: Array, gain: Float[Array, " D"]) -> Array:
    """h / √(mean h² + ε) · gain, over the last axis."""
    scale = jax.lax.rsqrt(jnp.mean(jnp.square(h), -1, keepdims=True) + 1e-6)
    return h * scale * gain.reshape((1,) * (h.ndim - 1) + (-1,))


def rotated(q: Float[Array, "B H S d"], turn: Turn) -> Float[Array, "B H S d"]:
    """Pairs of a head's numbers, turned by angles that grow with the position: products see only differences."""
    cos, sin = turn
    a, b = jnp.split(q, 2, -1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def dropped(h: Array, key: Key | None, rate: float) -> Array:
    """Dropout to the nearest 256th, with one random byte a number; nothing without a key."""
    lost = round(256 * rate)
    if key is None or not lost:
        return h
    return jnp.where(jax.random.bits(key, h.shape, jnp.uint8) >= lost, h * (256 / (256 - lost)), 0)


def parts(key: Key | None, count: int) -> list[Key | None]:
    """Several keys of one, or none of none."""
    return [None] * count if key is None else list(jax.random.split(key, count))


class Block(nnx.Module):
    """h ← h + attention(norm h);  h ← h + down(relu(up(norm h))²)."""

    def __init__(self, key: Key, width: int, heads: int):
        keys = jax.random.split(key, 2)
        self.heads = heads
        self.before = nnx.Param(jnp.ones(width, jnp.float32))
        self.qkv = normal(keys[0], width, 3 * width, spread=SPREAD / math.sqrt(width))
        self.out = nnx.Param(jnp.zeros((width, width), jnp.float32))
        self.between = nnx.Param(jnp.ones(width, jnp.float32))
        self.up = normal(keys[1], width, 4 * width, spread=SPREAD / math.sqrt(width))
        self.down = nnx.Param(jnp.zeros((4 * width, width), jnp.float32))

    def __call__(
        self, h: Rows, turn: Turn, cache: Held | None, mask: Mask, dropout: tuple[Key | None, float] = (None, 0.0)
    ) -> tuple[Rows, Pair]:
        key, rate = dropout
        keys = parts(key, 2)
        attended, cache = self.attend(rms_norm(h, self.before[...]), turn, cache, mask)
        h = h + dropped(attended @ self.out[...], keys[0], rate)
        wide = jnp.square(jax.nn.relu(rms_norm(h, self.between[...]) @ self.up[...]))
        return h + dropped(wide @ self.down[...], keys[1], rate), cache

    def attend(self, h: Rows, turn: Turn, cache: Held | None, mask: Mask) -> tuple[Rows, Pair]:
        """Softmax attention of every head; with a cache, over it and what it is given by these positions."""
        B, S, D = h.shape
        three = (h @ self.qkv[...]).reshape(B, S, 3, self.heads, D // self.heads).transpose(2, 0, 3, 1, 4)
        q, k, v = rotated(three[0], turn), rotated(three[1], turn), three[2]
        if cache is not None:
            keys, values, start = cache
            k, v = (jax.lax.dynamic_update_slice_in_dim(*pair, start, 2) for pair in ((keys, k), (values, v)))
        scores = jnp.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(D // self.heads)
        weights = jax.nn.softmax(jnp.where(mask[:, None], scores, jnp.asarray(NEVER, h.dtype)), -1)
        read = jnp.einsum("bhqk,bhkd->bhqd", weights, v)
        return read.transpose(0, 2, 1, 3).reshape(B, S, D), (k, v)


class Transformer(nnx.Module):
    """Token ids to logits, with a key-value cache where one is given."""

    def __init__(self, key: Key, *, vocabulary: int, positions: int, width: int, layers: int, heads: int):
        keys = jax.random.split(key, layers + 1)
        self.width, self.heads, self.count = width, heads, layers
        self.angles = positions, width // heads // 2
        self.embedding = normal(keys[-1], vocabulary, width, spread=1 / math.sqrt(width))
        self.layers = nnx.List([Block(key, width, heads) for key in keys[:-1]])
        self.norm = nnx.Param(jnp.ones(width, jnp.float32))

    def __call__(
        self,
        tokens: Int[Array, "B S"],
        positions: Int[Array, "B S"],
        cache: Cache | None = None,
        mask: Mask | None = None,
        dropout: tuple[Key | None, float] = (None, 0.0),
    ) -> tuple[Float[Array, "B S V"], Cache | None]:
        """Logits of the token after each.

        Args:
          tokens: [B, S].
          positions: [B, S], each in its text. With a cache they are consecutive and the same in every row.
          cache: of `memory`, or of an earlier call.
          mask: [B, S, S], what each may look at; with a cache [B, S, C]. Causal where not given.
          dropout: (key, rate), for training.
        Returns: [B, S, V], and the cache with these tokens, or None.
        """
        key, rate = dropout
        keys = parts(key, self.count + 1)
        h = dropped(self.embed(tokens), keys[-1], rate)
        h, cache = self.through(h, positions, cache, mask, dropout=(keys, rate))
        return self.logits(self.normed(h)), cache

    def embed(self, tokens: Int[Array, "B S"]) -> Rows:
        """First hidden states, of size 1."""
        return self.embedding[...][tokens] * math.sqrt(self.width)

    def through(
        self,
        h: Rows,
        positions: Int[Array, "B S"],
        cache: Cache | None = None,
        mask: Mask | None = None,
        *,
        layers: tuple[int, int] | None = None,
        dropout: tuple[Sequence[Key | None], float] = ((), 0.0),
    ) -> tuple[Rows, Cache | None]:
        """Hidden states through the layers [first, last) of `layers`, or all, and their cache or None."""
        first, last = layers or (0, self.count)
        keys, rate = dropout
        span = h.shape[1] if cache is None else cache[0][0].shape[2]
        start = None if cache is None else positions[0, 0]
        if mask is None:  # without a cache by place in the row, with one by position
            place = jnp.arange(h.shape[1])[None] if cache is None else positions
            mask = place[:, :, None] >= jnp.arange(span)[None, None]
        turn, caches = self.turn(positions, h.dtype), []
        for place in range(first, last):
            held = None if cache is None else (*cache[place], start)
            h, held = self.layers[place](h, turn, held, mask, (keys[place] if keys else None, rate))
            caches.append(held)
        return h, None if cache is None else tuple(caches)

    def turn(self, positions: Int[Array, "B S"], dtype: Any) -> Turn:
        """Cosines and sines of the angles at some positions."""
        count, pairs = self.angles
        angle = np.arange(count)[:, None] * TURNS ** (-np.arange(pairs) / pairs)
        return tuple(jnp.asarray(table, dtype)[positions][:, None] for table in (np.cos(angle), np.sin(angle)))

    def normed(self, h: Rows) -> Rows:
        """The last hidden states."""
        return rms_norm(h, self.norm[...])

    def logits(self, hidden: Rows) -> Float[Array, "B S V"]:
        """Products with the embeddings."""
        return jnp.einsum("bsd,vd->bsv", hidden, self.embedding[...])

    def memory(self, batch: int, length: int) -> Cache:
        """An empty cache of `length` positions."""
        shape = batch, self.heads, length, self.width // self.heads
        zero = jnp.zeros(shape, self.embedding[...].dtype)
        return ((zero, zero),) * self.count
