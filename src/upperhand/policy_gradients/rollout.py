"""Chains of states that follow the discounted visitation of a policy."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.actions import running
from upperhand.mdps.sampling import Law, first, transition
from upperhand.types import Key, Trajectory


def chains(law: Law, batch: int) -> Int[Array, " B"]:
    """Where B chains begin, spread evenly over the start law without a random number. Returns: [B]."""
    places = (np.arange(batch) + 0.5) / batch
    return first(law, jnp.asarray(places, jnp.float32))


def rollout(
    law: Law, key: Key, pi: Float[Array, "S A"], s: Int[Array, " B"], length: int
) -> tuple[Int[Array, " B"], Trajectory]:
    """Follow a policy for some steps in each chain.

    Args:
      law: the world, prepared by `sampling.law`.
      key: used once.
      pi: [S, A] policy table.
      s: [B] states of the chains.
      length: T, steps.
    Returns: the chains' next states [B], Trajectory of [T, B]. Cost: T·B transitions, 3·T·B random words.
    """
    words = jax.random.bits(key, (length, 3, *s.shape), jnp.uint32)
    cumulative = running(pi)

    def follow(s, words):
        a, after, alive, following = transition(law, cumulative, s, words)
        return following, Trajectory(s, a, after, alive)

    return jax.lax.scan(follow, s, words, unroll=length <= 8)
