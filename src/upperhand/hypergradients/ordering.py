"""In which order a method takes the examples of a finite set: the choice that sampling without replacement is about.

A list of places is kept and read from its beginning to its end, again and again. Before the one at `at` is read it is
swapped with a partner; who that may be is the whole difference (a shuffle after Fisher and Yates, one swap an
example).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from upperhand.types import Count, Key

Places = Int[Array, " N"]


class Ordering(NamedTuple):
    """How examples are ordered."""

    partner: Callable[[Key, Count, Bool[Array, ""], int], Count]  # (key, at, is first pass, N) → the partner
    fixed: bool  # whether one order serves a whole run


def _later(key: Key, at: Count, is_first: Bool[Array, ""], length: int) -> Count:
    return jax.random.randint(key, (), at, length, jnp.int32)


def _later_once(key: Key, at: Count, is_first: Bool[Array, ""], length: int) -> Count:
    return jnp.where(is_first, _later(key, at, is_first, length), at)


def _any(key: Key, at: Count, is_first: Bool[Array, ""], length: int) -> Count:
    return jax.random.randint(key, (), 0, length, jnp.int32)


reshuffled = Ordering(_later, False)
"""A fresh permutation every pass."""
shuffle_once = Ordering(_later_once, True)
"""One permutation, drawn in the first pass and kept."""
independent = Ordering(_any, False)
"""With replacement: every example is drawn from all of them; the baseline."""


def unordered(length: int) -> Places:
    """The list before the first pass."""
    return jnp.arange(length, dtype=jnp.int32)


def taken(ordering: Ordering, key: Key, order: Places, count: Count, batch: int) -> tuple[Places, Int[Array, " B"]]:
    """The next `batch` examples.

    Args:
      ordering: how they are ordered.
      key: of this update's draws.
      order: the list as the last update left it, a permutation.
      count: updates before this one, all with the same batch.
      batch: B; a pass that ends within a batch is followed by the next one.
    Returns: the list, and the places [B] of the examples.
    Cost: B random whole numbers and B swaps, however long the list is.
    """
    length = order.shape[0]
    first = count % length * batch

    def swap(order, one):
        number, key = one
        is_first = (count < length) & (first + number < length)
        at = (first + number) % length
        partner = ordering.partner(key, at, is_first, length)
        here, there = order[at], order[partner]
        return order.at[partner].set(here).at[at].set(there), there

    return jax.lax.scan(swap, order, (jnp.arange(batch, dtype=jnp.int32), jax.random.split(key, batch)))


def passed(ordering: Ordering, key: Key, length: int, passes: int) -> Int[Array, "passes N"]:
    """All places of some passes over a list that is begun anew; of a fixed order the same ones for the same key."""
    begun = jnp.asarray(0, jnp.int32)
    return taken(ordering, key, unordered(length), begun, passes * length)[1].reshape(passes, length)
