"""Drawing from a finite world, three random words a transition."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, UInt32

from upperhand.mdps.mdp import MDP


class Law(NamedTuple):
    """A world prepared for drawing; NumPy arrays, as in MDP."""

    successor: Int[np.ndarray, "S A K"]
    cumulative: Float[np.ndarray, "S A K"]  # Σ_{j ≤ k} probability[s, a, j]; beyond the last the episode ends
    keep: Float[np.ndarray, " S"]  # alias table of the start law: keep a drawn state with this probability,
    alias: Int[np.ndarray, " S"]  # else take this one
    threshold: int  # (1 − γ) 2³²: a random word below it makes a fresh start
    may_end: bool  # some episode can end


def law(mdp: MDP) -> Law:
    """Prepare a world for drawing. Cost: S·A·K, once, on the host."""
    cumulative = np.cumsum(mdp.probability, -1)
    endless = np.asarray(mdp.ending) == 0
    cumulative[endless, -1] = 2.0  # rows sum to one only up to rounding: the last successor takes the rest
    threshold = min(round((1 - mdp.discount) * 2**32), 2**32 - 1)
    return Law(mdp.successor, cumulative, *_alias_table(np.asarray(mdp.start)), threshold, not endless.all())


def _alias_table(p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walker's alias table of a law [S], built by Vose's two stacks."""
    keep, alias = p * len(p), np.arange(len(p), dtype=np.int32)
    poor, rich = list(np.flatnonzero(keep < 1)), list(np.flatnonzero(keep > 1))
    while poor and rich:
        lender = rich[-1]
        borrower = poor.pop()
        alias[borrower] = lender
        keep[lender] -= 1 - keep[borrower]
        if keep[lender] < 1:
            poor.append(rich.pop())
    keep[np.r_[poor, rich].astype(int)] = 1.0
    return keep, alias


def first(law: Law, u: Float[Array, " B"]) -> Int[Array, " B"]:
    """First states from uniform numbers in [0, 1). Returns: [B]. Cost: two look-ups each."""
    S = len(law.keep)
    place = u * S
    state = jnp.minimum(place.astype(jnp.int32), S - 1)
    kept = place - state < jnp.asarray(law.keep, u.dtype)[state]
    return jnp.where(kept, state, jnp.asarray(law.alias)[state])


def outcome(
    law: Law, pi_cumulative: Float[Array, "S A"], s: Int[Array, " B"], words: UInt32[Array, "2 B"]
) -> tuple[Int[Array, " B"], Int[Array, " B"], Bool[Array, " B"]]:
    """What a policy does in B states, and what comes of it.

    a ~ π(·|s);  s' ~ P(·|s, a) or the end

    Args:
      law: the world.
      pi_cumulative: [S, A] running sums of π over the actions.
      s: [B] states.
      words: [2, B] random words: for the action and for the successor.
    Returns: a [B], s' [B] (meaningless where the episode ended), ended [B]. Cost: B transitions.
    """
    dtype, K = pi_cumulative.dtype, law.successor.shape[-1]
    u = words.astype(dtype) * jnp.asarray(2.0**-32, dtype)
    a = jnp.sum(u[0, :, None] >= pi_cumulative[s, :-1], -1, dtype=jnp.int32)
    k = jnp.sum(u[1, :, None] >= jnp.asarray(law.cumulative, dtype)[s, a], -1, dtype=jnp.int32)
    return a, jnp.asarray(law.successor)[s, a, jnp.minimum(k, K - 1)], k >= K


def transition(
    law: Law, pi_cumulative: Float[Array, "S A"], s: Int[Array, " B"], words: UInt32[Array, "3 B"]
) -> tuple[Int[Array, " B"], Int[Array, " B"], Float[Array, " B"], Int[Array, " B"]]:
    """One transition of B chains whose states follow the discounted visitation.

    a ~ π(·|s);  s' ~ P(·|s, a) or the end;  then a fresh start with probability 1 − γ, and after every end.
    The stationary law of s is the normalised occupancy of π.

    Args:
      law: the world.
      pi_cumulative: [S, A] running sums of π over the actions.
      s: [B] states.
      words: [3, B] random words: for the action, for the successor, and for the fresh start and its state.
    Returns: a [B], s' [B], alive [B] (0 where the episode ended), the chains' next states [B].
    Cost: B transitions.
    """
    dtype = pi_cumulative.dtype
    a, after, ended = outcome(law, pi_cumulative, s, words[:2])
    is_fresh = words[2] < jnp.uint32(law.threshold)
    start = first(law, words[2].astype(dtype) / jnp.asarray(law.threshold, dtype))
    if law.may_end:  # a fresh start after an end may come with any third word: what lies above the threshold serves too
        rest = jnp.asarray(2**32 - law.threshold, dtype)
        start = jnp.where(is_fresh, start, first(law, (words[2] - jnp.uint32(law.threshold)).astype(dtype) / rest))
        is_fresh |= ended
        return a, after, (~ended).astype(dtype), jnp.where(is_fresh, start, after)
    return a, after, jnp.ones_like(s, dtype), jnp.where(is_fresh, start, after)
