"""Episodes from the start law, B side by side for T steps; what comes after an end does not count."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from upperhand.actions import running
from upperhand.mdps.sampling import Law, first, outcome
from upperhand.types import Key, Scalar


class Episodes(NamedTuple):
    """B episodes, cut after T steps. States and actions are meaningless where an episode no longer runs."""

    state: Int[Array, "T B"]  # s
    action: Int[Array, "T B"]  # a
    is_running: Float[Array, "T B"]  # 1 up to the step in which the episode ended, 0 after it
    ended: Float[Array, " B"]  # 1 where the episode ended within T steps, 0 where it was cut


def starts(law: Law, shift: Scalar, batch: int) -> Int[Array, " B"]:
    """Where B episodes start: spread evenly over the start law, shifted by a number in [0, 1). Returns: [B]."""
    return first(law, (jnp.arange(batch) + shift) / batch)


def episodes(law: Law, key: Key, pi: Float[Array, "S A"], batch: int, length: int) -> Episodes:
    """Follow a policy from the start law.

    Each episode has the start law, and its start is balanced by those of the others, which lowers the noise.
    The same key gives the same random words for every policy and world of a size.

    Args:
      law: the world, prepared by `sampling.law`.
      key: used once.
      pi: [S, A] policy table.
      batch: B, episodes.
      length: T, steps after which an episode is cut.
    Returns: Episodes. Cost: T·B transitions, 2·T·B + 1 random words.
    """
    key_start, key_steps = jax.random.split(key)
    words = jax.random.bits(key_steps, (length, 2, batch), jnp.uint32)
    cumulative = running(pi)

    def follow(carry, words):
        s, runs = carry
        a, after, ended = outcome(law, cumulative, s, words)
        return (after, jnp.where(ended, 0, runs)), (s, a, runs)

    s = starts(law, jax.random.uniform(key_start, dtype=pi.dtype), batch)
    (_, runs), seen = jax.lax.scan(follow, (s, jnp.ones(batch, pi.dtype)), words)
    return Episodes(*seen, 1 - runs)


def visits(seen: Episodes, weights: Float[Array, "T B"], S: int, A: int) -> Float[Array, "S A"]:
    """A table of what was seen, Σ of the weights over the steps at each (s, a). Returns: [S, A]. Cost: one scatter."""
    pairs = (seen.state * A + seen.action).ravel()
    return jnp.zeros(S * A, weights.dtype).at[pairs].add((weights * seen.is_running).ravel()).reshape(S, A)


def visited(seen: Episodes, gamma: float, S: int, A: int) -> Float[Array, "S A"]:
    """The empirical occupancy, Σ γᵗ over the steps at each (s, a), a mean over the episodes. Returns: [S, A]."""
    length, batch = seen.state.shape
    faded = jnp.asarray(gamma, seen.is_running.dtype) ** jnp.arange(length)
    return visits(seen, jnp.broadcast_to(faded[:, None], (length, batch)), S, A) / batch


def backward(gains: Float[Array, "T B"], gamma: float) -> Float[Array, "T B"]:
    """What is still to come, Σ_{k ≥ t} γ^(k−t) gains_k. Returns: [T, B]."""
    join = lambda after, gain: (gain + gamma * after,) * 2  # noqa: E731
    return jax.lax.scan(join, jnp.zeros_like(gains[0]), gains, reverse=True)[1]


def forward(marks: Float[Array, "T B"], gamma: float) -> Float[Array, "T B"]:
    """What has come, faded, Σ_{k ≤ t} γ^(t−k) marks_k: the transpose of `backward`. Returns: [T, B]."""
    join = lambda before, mark: (mark + gamma * before,) * 2  # noqa: E731
    return jax.lax.scan(join, jnp.zeros_like(marks[0]), marks)[1]
