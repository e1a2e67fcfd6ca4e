"""A temperature that holds a KL budget: arms are compared at equal KL, not at whatever KL each ends at.

kl̄ ← keep·kl̄ + (1 − keep)·kl        soon = kl̄ + lead·(kl̄ − kl̄ before)
log τ ← log τ + rate·clip(soon/budget − 1, −1, 1)
"""

from typing import NamedTuple

import jax.numpy as jnp

from upperhand.types import Scalar


class Budget(NamedTuple):
    """Where the temperature stands."""

    tau: Scalar  # τ, units of reward a nat
    kl: Scalar  # averaged KL, nats a text
    mass: Scalar  # of the average, 1 − keep^updates: it starts at 0


def budget(tau: float) -> Budget:
    """A start at a temperature. Returns: Budget. Raises: ValueError where it is not above 0."""
    if not 0 < tau < float("inf"):
        raise ValueError(f"tau must be a finite number above 0: got {tau!r}.")
    return Budget(jnp.asarray(tau, float), jnp.zeros(()), jnp.zeros(()))


def hold(
    state: Budget,
    kl: Scalar,
    most: float | Scalar,
    *,
    rate: float = 0.05,
    keep: float = 0.8,
    lead: float = 8.0,
    ends: tuple[float, float] = (1e-3, 1e3),
) -> Budget:
    """One update of the temperature: up where the policy spends too much, down where it spends too little.

    Args:
      state: before.
      kl: of the policy that was just seen, nats a text.
      most: the budget, nats a text.
      rate: of log τ an update, at most. KL falls as 1/τ² at best, so above ½ the temperature swings.
      keep: of the average of KL; the slower it is, the smaller the rate must be.
      lead: updates that KL is looked ahead along its trend: a policy answers to τ late, and τ would swing.
      ends: least and largest τ. Where x is 0, KL is 0 and no temperature spends the budget.
    Returns: Budget.
    """
    mass = keep * state.mass + 1 - keep
    average = keep * state.kl + (1 - keep) * kl
    now = average / mass
    before = jnp.where(state.mass > 0, state.kl / jnp.maximum(state.mass, 1e-9), now)
    spent = (now + lead * (now - before)) / most - 1
    tau = jnp.clip(state.tau * jnp.exp(rate * jnp.clip(spent, -1.0, 1.0)), *ends)
    return Budget(tau, average, mass)
