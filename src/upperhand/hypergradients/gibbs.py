"""The hypergradient of a reward of texts: the agent's answer is the Gibbs law, and samples of it are enough.

The lower optimum of E_π R_x − τ KL(π ‖ π_ref) over texts is π* = π_ref exp(R_x/τ)/Z, and ∇ₓ log π* = (∇R − E ∇R)/τ, so

    upper = −E_π U + β KL(π ‖ π_ref)      dx = −(1/τ) Cov_π*( ∇R_x, U − (β/τ) R_x ) = Σ_i c_i ∇ₓR_x(y_i)

The coefficients c are what differs between the forms below; `pull` makes a hypergradient of them, by one gradient.
Every function takes B texts drawn from π*, or all texts with their probabilities as weights: it is exact then.
R_x/τ stands where log π/π_ref of a policy that learns could: that one lags behind x, and a joint run swings.

Reference: derived.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.texts import Reading
from upperhand.types import Scalar, Tree

TokenReward = Callable[[Tree, Reading], Float[Array, "B T"]]
"""(x, reading) → the reward of each token."""


def totals(reward: TokenReward, x: Tree, reading: Reading) -> Float[Array, " B"]:
    """R_x(y) = Σ_t r_x(s_t, a_t) of each text. Returns: [B]."""
    return jnp.sum(reward(x, reading), 1)


def pull(reward: TokenReward, x: Tree, reading: Reading, c: Float[Array, " B"]) -> Tree:
    """Σ_i c_i ∇ₓR_x(y_i). Returns: like x. Cost: one gradient, whatever B."""
    found, through = jax.vjp(lambda x: totals(reward, x, reading), x)
    return through(c.astype(found.dtype))[0]


def uniform(u: Float[Array, " B"], weights: Float[Array, " B"] | None) -> Float[Array, " B"]:
    """The weights, or 1/B for each of B samples. Returns: [B]."""
    return jnp.full_like(u, 1 / u.shape[0]) if weights is None else weights


def centred(u: Float[Array, " B"], weights: Float[Array, " B"] | None = None) -> Float[Array, " B"]:
    """q_i (u_i − Σ q u): times any v, summed, the covariance of u and v. Returns: [B].

    Of samples it is unbiased: B/(B − 1) times that, 0 for a single one.
    """
    q = uniform(u, weights)
    factor = 1.0 if weights is not None else u.shape[0] / max(u.shape[0] - 1, 1)
    return factor * q * (u - jnp.sum(q * u))


def covariance(
    u: Float[Array, " B"],
    total: Float[Array, " B"],
    tau: float | Scalar,
    beta: float | Scalar,
    weights: Float[Array, " B"] | None = None,
) -> Float[Array, " B"]:
    """The exact hypergradient.

    c_i = −(1/τ) q_i ( Ū_i − Σ_j q_j Ū_j )        Ū = U − (β/τ) R_x

    Args:
      u: [B] the person's scores U.
      total: [B] R_x of the same texts.
      tau, beta: temperature (units of reward a nat) and price of leaving the reference (units of U a nat).
      weights: [B] probabilities q of the texts; samples of equal weight where not given.
    Returns: [B], the coefficients of `pull`; of samples unbiased at fixed x.
    """
    return -centred(u - beta / tau * total, weights) / tau


def tilt(
    u: Float[Array, " B"],
    total: Float[Array, " B"],
    tau: float | Scalar,
    beta: float | Scalar,
    w: float | Scalar,
    weights: Float[Array, " B"] | None = None,
) -> Float[Array, " B"]:
    """The penalty hypergradient from texts of one policy: those of θ_w are the same texts, weighted.

    θ_w maximises E (R_x + w U) − (τ + wβ) KL; its law is π* exp( w Ū/(τ + wβ) )/Z:
    c_i = (1/w) ( q_i − p_i )        p_i ∝ q_i exp( w Ū_i/(τ + wβ) )

    Args: as `covariance`; w: penalty weight, the penalty is multiplied by 1/w.
    Returns: [B], the coefficients of `pull`; their error against the exact ones is O(w).
    """
    q = uniform(u, weights)
    tilted = w * (u - beta / tau * total) / (tau + w * beta)
    p = q * jnp.exp(tilted - jnp.max(tilted))
    return (q - p / jnp.sum(p)) / w


def two_policies(
    reward: TokenReward,
    x: Tree,
    readings: tuple[Reading, Reading],
    w: float | Scalar,
    weights: tuple[Float[Array, " B"], Float[Array, " B2"]] | None = None,
) -> Tree:
    """The penalty hypergradient from texts of two policies, as the paper has it.

    dx = (1/w) ( E_θ ∇ₓR_x − E_θ_w ∇ₓR_x )

    Args:
      reward, x: the reward of tokens and where the derivative is taken.
      readings: of texts of θ and of θ_w.
      w: penalty weight; θ_w maximises E (R_x + w U) − (τ + wβ) KL. With τ for its KL weight the fixed point is another.
      weights: [B], [B2] probabilities of the texts; samples where not given.
    Returns: like x. Its noise grows as 1/w. Cost: two gradients.
    """
    sizes = (reading.tokens.shape[0] for reading in readings)
    low, high = weights or (jnp.full(size, 1 / size, readings[0].hidden.dtype) for size in sizes)
    parts = (pull(reward, x, reading, q / w) for reading, q in zip(readings, (low, -high), strict=True))
    return jax.tree.map(jnp.add, *parts)


def effective(
    loss: Callable[[Float[Array, " M"]], Scalar],
    traits: Float[Array, "B M"],
    weights: Float[Array, " B"] | None = None,
) -> tuple[Scalar, Float[Array, " B"]]:
    """The scores that a population target amounts to, at the present law of texts.

    upper = loss(m), m = E_π φ(y):        U_i = −⟨ ∇loss(m), φ(y_i) ⟩

    Args:
      loss: any smooth function of m.
      traits: [B, M] φ of each text.
      weights: [B] probabilities; samples where not given.
    Returns: loss(m) [] and U [B], for `covariance` and `tilt`. Of samples the bias is O(1/B), that of ∇loss(m).
    """
    q = uniform(traits[:, 0], weights)
    value, slope = jax.value_and_grad(loss)(q @ traits)
    return value, -(traits @ slope)
