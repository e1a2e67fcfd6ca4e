"""What `trajectories` comes to with endless episodes that are cut after T steps, exactly: the bias of the cut alone."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.mdps.mdp import expect, push
from upperhand.rewards.table import reward_gradients
from upperhand.types import Scalar, Tree


def cut(problem: BilevelRL, x: Tree, pi: Float[Array, "S A"], tau: float | Scalar, length: int) -> Tree:
    """The limit of `trajectories` as B → ∞.

    Q_k = g + γ P V_{k−1},  V_k = Σ_a π Q_k          what is left of a return k steps before the cut, of u and of ∂ₓr
    Q̄(s, a) = Σ_t p_t(s) Q_{T−t}(s, a) / Σ_t p_t(s)                  mean over the visits, p_t the law of s_t
    dx = ∂ₓcost − Σ μ_T ∂ₓu − (1/τ) Σ μ_T Ā_u ∂A,   Ā = Q̄ − Σ_a π Q̄        μ_T = Σ_{t < T} γᵗ p_t π

    Args:
      problem: finite; its upper objective a Return.
      x: the upper variable.
      pi: [S, A], π*_τ(x).
      tau: temperature, in units of reward.
      length: T.
    Returns: like x. Cost: T sweeps with 1 + dim(x) columns; S·A·dx memory. Reference: derived.
    """
    mdp, upper = problem.mdp, linear(problem, "cut")
    S, A, gamma = mdp.states, mdp.actions, mdp.discount
    _, slopes = reward_gradients(problem.reward, x, S, A)
    u, slopes_u = reward_gradients(upper.reward, x, S, A)
    gains = jnp.concatenate([u[..., None], slopes], -1)
    start = jnp.asarray(mdp.start, pi.dtype)
    _, laws = jax.lax.scan(lambda p, _: (push(mdp, p[:, None] * pi), p), start, None, length)  # [T, S]
    after = jax.vmap(lambda v: expect(mdp, v), 1, 2)

    def earlier(carry, p):
        v, sums = carry
        q = gains + gamma * after(v)
        return (jnp.sum(pi[..., None] * q, 1), sums + p[:, None, None] * q), None

    none = (jnp.zeros((S, gains.shape[-1]), pi.dtype), jnp.zeros_like(gains))
    (_, sums), _ = jax.lax.scan(earlier, none, laws[::-1])
    mean = sums / jnp.maximum(jnp.sum(laws, 0), 1e-300)[:, None, None]
    advantage = mean - jnp.sum(pi[..., None] * mean, 1, keepdims=True)
    mu = (gamma ** jnp.arange(length) @ laws)[:, None] * pi
    through_policy = jnp.tensordot(mu * advantage[..., 0], advantage[..., 1:], 2) / tau
    through_u = jnp.tensordot(mu, slopes_u, 2)
    flat, unravel = ravel_pytree(jax.grad(upper.cost)(x))
    return unravel(flat - through_u - through_policy)
