"""The oracle of a toy vocabulary: all texts at once, the Gibbs law of their rewards, and derivatives through it."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.forms import Exact
from upperhand.hypergradients.gibbs import TokenReward, totals
from upperhand.texts import Reading
from upperhand.types import Scalar, Tree


def log_gibbs(
    total: Float[Array, " N"], log_ref: Float[Array, " N"] | Float[np.ndarray, " N"], tau: float | Scalar
) -> Float[Array, " N"]:
    """The logarithm of π*(y) = π_ref(y) exp(R_x(y)/τ)/Z. Returns: [N]."""
    return jax.nn.log_softmax(jnp.asarray(log_ref, total.dtype) + total / tau)


def log_texts(log_pi: Float[Array, "N T V"], reading: Reading) -> Float[Array, " N"]:
    """log π(y) of each text, from those of its tokens. Returns: [N]."""
    chosen = jnp.take_along_axis(log_pi, jnp.asarray(reading.tokens)[..., None], -1)[..., 0]
    return jnp.sum(jnp.where(reading.alive > 0, chosen, 0.0), 1)


def every_text_exact(
    reward: TokenReward,
    reading: Reading,
    log_ref: np.ndarray,
    upper: Callable[[Float[Array, " N"], Float[Array, " N"]], Scalar],
    *,
    beta: float,
    cost: Callable[[Tree], Scalar],
    temperature: float,
    best: Callable | None = None,
) -> Exact:
    """Value, hypergradient and lower solution where all texts can be listed.

    Φ_τ(x) = upper(π*_τ, R_x) + β KL(π*_τ ‖ π_ref) + cost(x)        ∇Φ by automatic differentiation, through all of it

    Args:
      reward: (x, reading) → rewards of tokens.
      reading: of all N texts, as NumPy arrays, so that the precision is that of x.
      log_ref: [N] log π_ref of the texts.
      upper: probabilities [N], total rewards [N] → []: −Σ p U of scores, loss(Σ p φ) of a population, or of pairs.
      beta, cost: price of leaving the reference, per nat; and of x.
      temperature: τ at which runs are judged, units of reward a nat.
      best: () → the best known x and its value, or None.
    Returns: Exact; its lower solution is π* [N], over the texts of the reading.
    Cost: one pass over N texts; a hypergradient three.
    """

    def law(x, tau):
        total = totals(reward, x, reading)
        return log_gibbs(total, log_ref, tau), total

    def lower_solution(x, tau=temperature):
        return jnp.exp(law(x, tau)[0])

    def value(x, tau=temperature):
        log_p, total = law(x, tau)
        p = jnp.exp(log_p)
        return upper(p, total) + beta * p @ (log_p - jnp.asarray(log_ref, p.dtype)) + cost(x)

    def hypergradient(x, tau=temperature):
        return jax.grad(value)(x, tau)

    return Exact(temperature, lower_solution, value, hypergradient, best)
