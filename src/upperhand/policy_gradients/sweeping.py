"""Policies that follow their soft optimum as it moves, in expectation: a sweep of values and visits, a mirror step."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities, total
from upperhand.mdps.mdp import MDP, expect, push
from upperhand.types import Scalar


class Swept(NamedTuple):
    """What is known of a policy."""

    theta: Float[Array, "S A"]  # logits
    v: Float[Array, " S"]  # soft values
    d: Float[Array, " S"]  # discounted visits


def begin(mdp: MDP, theta: Float[Array, "S A"], tau: float | Scalar) -> Swept:
    """At the soft value of the uniform policy without a reward, and at the start law. Returns: Swept."""
    v = jnp.full(mdp.states, tau * np.log(mdp.actions) / (1 - mdp.discount), theta.dtype)
    return Swept(theta, v, jnp.asarray(mdp.start, theta.dtype) / (1 - mdp.discount))


def sweep(
    mdp: MDP, swept: Swept, r: Float[Array, "S A"], tau: float | Scalar, policy_step: float
) -> tuple[Swept, Float[Array, "S A"]]:
    """One sweep at a reward.

    V ← Σ_a π ( Q − τ log π ),  Q = r + γ P V;   d ← start + γ Pᵀ(d π);   θ ← (1 − policy_step) θ + policy_step Q/τ

    Args:
      mdp, r: world and reward.
      swept: before.
      tau: temperature, in units of reward.
      policy_step: of the mirror step, in (0, 1].
    Returns: Swept, and the tracked occupancy [S, A] of the policy before. Cost: two sweeps of S·A·K.
    """
    log_pi = log_probabilities(swept.theta)
    pi = jnp.exp(log_pi)
    q = r + mdp.discount * expect(mdp, swept.v)
    d = jnp.asarray(mdp.start, pi.dtype) + mdp.discount * push(mdp, swept.d[:, None] * pi)
    theta = (1 - policy_step) * swept.theta + policy_step * q / tau
    return Swept(theta, total(pi * (q - tau * log_pi)), d), d[:, None] * pi
