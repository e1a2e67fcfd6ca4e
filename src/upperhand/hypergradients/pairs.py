"""Pairs of texts that a person compared, kept in a ring: the newest push out the oldest."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.texts import Reading
from upperhand.types import Key


class Pairs(NamedTuple):
    """P compared pairs. A text is its tokens [T], or for a lexicon its counts [V]: readings are too wide to keep."""

    first: Array  # [P, T] or [P, V]
    second: Array  # like first
    label: Float[Array, " P"]  # how surely the first was preferred, in [0, 1]; NaN: skipped, or an empty place


class Ring(NamedTuple):
    """At most C pairs. Skipped ones take no place."""

    pairs: Pairs  # [C, ...]; empty places have the label NaN, so that losses over all places are right as they are
    count: Int[Array, ""]  # pairs ever put


def ring(capacity: int, width: int, dtype: type = np.int32) -> Ring:
    """An empty ring.

    Args:
      capacity: C, pairs.
      width: T of tokens, or V of counts.
      dtype: of what is kept of a text.
    Returns: Ring. Raises: ValueError for sizes below 1. Cost: 2·C·width numbers of memory.
    """
    if capacity < 1 or width < 1:
        raise ValueError(f"a ring of pairs needs a capacity and a width of at least 1: got {capacity} and {width}.")
    empty = jnp.zeros((capacity, width), dtype)
    return Ring(Pairs(empty, empty, jnp.full(capacity, jnp.nan)), jnp.int32(0))


def put(ring: Ring, pairs: Pairs) -> Ring:
    """The ring with the pairs that were not skipped, in their order.

    Raises: ValueError where there are more of them than places.
    Cost: one scatter of P rows.
    """
    capacity, new = ring.pairs.label.shape[0], pairs.label.shape[0]
    if new > capacity:
        raise ValueError(f"a ring of {capacity} pairs cannot take {new} at once; give it more places.")
    is_kept = ~jnp.isnan(pairs.label)
    places = jnp.where(is_kept, (ring.count + jnp.cumsum(is_kept) - 1) % capacity, capacity)
    join = lambda old, new: old.at[places].set(new.astype(old.dtype), mode="drop")  # noqa: E731
    return Ring(jax.tree.map(join, ring.pairs, pairs), ring.count + jnp.sum(is_kept, dtype=jnp.int32))


def draw(ring: Ring, key: Key, size: int) -> Pairs:
    """So many pairs of those in the ring, each as likely as any other, with repetitions.

    Returns: Pairs [size]; all skipped where the ring is empty.
    """
    filled = jnp.minimum(ring.count, ring.pairs.label.shape[0])
    places = jax.random.randint(key, (size,), 0, jnp.maximum(filled, 1))
    return jax.tree.map(lambda leaf: leaf[places], ring.pairs)


def counts(reading: Reading, vocabulary: int) -> Float[Array, "B V"]:
    """How often each token stands in each text: counts @ x is the total reward of a lexicon. Returns: [B, V]."""
    rows = jnp.arange(reading.tokens.shape[0])[:, None]
    empty = jnp.zeros((reading.tokens.shape[0], vocabulary), reading.alive.dtype)
    return empty.at[rows, reading.tokens].add(reading.alive)
