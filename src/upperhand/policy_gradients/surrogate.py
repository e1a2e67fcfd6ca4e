"""A number whose derivatives, of every order, are estimates of those of an expected return; and the exact return."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.mdps.mdp import MDP
from upperhand.policy_gradients.episodes import Episodes, backward
from upperhand.policy_gradients.linear import evaluate
from upperhand.types import Scalar


def surrogate(seen: Episodes, gains: Float[Array, "T B"], log_pi: Float[Array, "T B"], gamma: float) -> Scalar:
    """The mean return of episodes, differentiable as if the episodes moved with the policy.

    (1/B) Σ_b Σ_t γᵗ ( gainₜ mₜ + bₜ (mₜ₋₁ − mₜ) )        mₜ = exp(Lₜ − [Lₜ]), Lₜ = Σ_{j ≤ t} log π(aⱼ|sⱼ)

    [·] is held fixed; the gains may depend on the policy too, as −τ log π does. The second part has the value 0 and
    derivatives of mean 0: bₜ, the mean return to come at t of the other episodes, takes noise away, of every order.

    Args:
      seen: episodes, drawn under the policy at which derivatives are taken.
      gains: [T, B] what each step gains.
      log_pi: [T, B] log-probability of each action.
      gamma: γ, per step.
    Returns: []. Cost: a few scans of T·B.
    Reference: the estimator of Foerster et al., "DiCE: The Infinitely Differentiable Monte-Carlo Estimator", ICML 2018
      (recalled); the baseline over the other episodes is derived.
    """
    length, batch = seen.state.shape
    gains, log_pi = gains * seen.is_running, log_pi * seen.is_running
    past = jnp.cumsum(log_pi, 0)
    to_come = backward(gains, gamma)
    baseline = (jnp.sum(to_come, 1, keepdims=True) - to_come) / max(batch - 1, 1)
    held = jax.lax.stop_gradient
    before = past - log_pi
    now, before = jnp.exp(past - held(past)), jnp.exp(before - held(before))
    parts = gains * now + held(baseline) * (before - now)
    return jnp.sum(jnp.asarray(gamma, gains.dtype) ** jnp.arange(length) @ parts) / batch


def soft_return(mdp: MDP, r: Float[Array, "S A"], log_pi: Float[Array, "S A"], tau: float | Scalar) -> Scalar:
    """J_τ = start · V, V = (I − γ P_π)⁻¹ Σ_a π (r − τ log π), differentiable to every order.

    Args:
      mdp, r: world and reward.
      log_pi: [S, A] log-probabilities.
      tau: temperature, in units of reward.
    Returns: []. Cost: one dense solve; a product with its Hessian, linearised once, S² and no new factors.
    """
    v, _ = evaluate(mdp, jnp.exp(log_pi), r - tau * log_pi)
    return jnp.asarray(mdp.start, v.dtype) @ v
