"""The tabular softmax policy."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities
from upperhand.types import Key, Tree


class Policy(NamedTuple):
    """A policy as two pure functions."""

    init: Callable[[Key], Tree]  # key → theta
    log_prob: Callable[[Tree, Array], Float[Array, " A"]]  # (theta, s) → log π(·|s)


def softmax(S: int, A: int) -> Policy:
    """One logit a state and action, started at 0 (uniform).

    π(a|s) = exp θ(s, a) / Σ_b exp θ(s, b)

    Returns: Policy with theta [S, A].
    """

    def init(key: Key) -> Float[Array, "S A"]:
        return jnp.zeros((S, A))

    def log_prob(theta: Float[Array, "S A"], s: Array) -> Float[Array, " A"]:
        return log_probabilities(theta[s])

    return Policy(init, log_prob)
