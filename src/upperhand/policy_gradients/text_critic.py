"""What is still to come, from the reference's hidden state and the position: ridge regression, no network to train.

V(s_t) = ⟨ b, f_t ⟩,  f_t = [ h(a₁ … a_{t−1}), one-hot t ]        ( F + ridge·I ) b = g
F ← keep·F + (1 − keep) E Σ_t f_t f_tᵀ        g ← keep·g + (1 − keep) E Σ_t G_t f_t
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.texts import Reading
from upperhand.types import Scalar


class Critic(NamedTuple):
    """Averaged normal equations and their solution. K = D + T."""

    gram: Float[Array, "K K"]  # F
    target: Float[Array, " K"]  # g
    solution: Float[Array, " K"]  # b
    mass: Scalar  # of the averages, 1 − keep^updates: they start at 0
    keep: Scalar
    ridge: Scalar


def critic(width: int, length: int, *, keep: float = 0.9, ridge: float = 1e-2) -> Critic:
    """A critic that expects nothing.

    Args:
      width: D of the hidden state.
      length: T, positions.
      keep: of the averages at each update, in [0, 1): what is remembered are about 1/(1 − keep) batches.
      ridge: added to the diagonal of F, above 0; in units of positions a text times squared features.
    Returns: Critic. Raises: ValueError for settings out of their range.
    """
    if not 0 <= keep < 1 or not 0 < ridge < float("inf"):
        raise ValueError(f"keep must be in [0, 1) and ridge above 0: got {keep!r} and {ridge!r}.")
    K = width + length
    zero = jnp.zeros(K)
    return Critic(jnp.zeros((K, K)), zero, zero, jnp.zeros(()), jnp.asarray(keep, float), jnp.asarray(ridge, float))


def features(reading: Reading, dtype: jnp.dtype) -> Float[Array, "B T K"]:
    """What is known before a token is chosen, 0 after the end. Returns: [B, T, K]."""
    before = reading.hidden[:, :-1].astype(dtype)
    size, length, _ = before.shape
    position = jnp.broadcast_to(jnp.eye(length, dtype=dtype), (size, length, length))
    return jnp.concatenate([before, position], -1) * reading.alive.astype(dtype)[..., None]


def values(critic: Critic, reading: Reading) -> Float[Array, "B T"]:
    """V_t of every position, 0 after the end. Returns: [B, T]."""
    return features(reading, critic.solution.dtype) @ critic.solution


def taught(
    critic: Critic, reading: Reading, returns: Float[Array, "B T"], weights: Float[Array, " B"] | None = None
) -> Critic:
    """The critic after one batch.

    Args:
      critic: before.
      reading: B texts.
      returns: [B, T] reward to go, 0 after the end.
      weights: [B] probabilities of the texts; samples where not given.
    Returns: Critic. Cost: B·T·K² and one Cholesky solve of K.
    """
    dtype, size = critic.gram.dtype, returns.shape[0]
    q = jnp.full(size, 1 / size, dtype) if weights is None else weights.astype(dtype)
    rows = features(reading, dtype)
    flat, weighted = rows.reshape(-1, rows.shape[-1]), (rows * q[:, None, None]).reshape(-1, rows.shape[-1])
    gram = critic.keep * critic.gram + (1 - critic.keep) * (weighted.T @ flat)
    target = critic.keep * critic.target + (1 - critic.keep) * (weighted.T @ returns.astype(dtype).reshape(-1))
    mass = critic.keep * critic.mass + 1 - critic.keep
    matrix = gram / mass + critic.ridge * jnp.eye(gram.shape[0], dtype=dtype)
    solution = jax.scipy.linalg.solve(matrix, target / mass, assume_a="pos")
    return Critic(gram, target, solution, mass, critic.keep, critic.ridge)
