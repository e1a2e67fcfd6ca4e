"""How well a reward of texts explains what a person said of them: losses of x, and their hypergradient.

    Bradley–Terry   −log P(label | y₁, y₂)        P(y₁ preferred) = σ( R_x(y₁) − R_x(y₂) )
    least squares   ½ Var( U − scale · R_x )      scale = β/τ: its gradient is β times the hypergradient of the utility

Losses are functions of total rewards, [P] or [B]: of `gibbs.totals` of a reading, or of counts @ x of a lexicon.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.hypergradients.gibbs import TokenReward, centred, covariance, pull, totals, uniform
from upperhand.texts import Reading
from upperhand.types import Scalar, Tree


def pair_losses(
    first: Float[Array, " P"], second: Float[Array, " P"], label: Float[Array, " P"]
) -> tuple[Float[Array, " P"], Float[Array, " P"]]:
    """The Bradley–Terry loss of each pair, in nats.

    ℓ = label log(1 + e^−d) + (1 − label) log(1 + e^d)        d = R_x(y₁) − R_x(y₂)

    Args:
      first, second: [P] total rewards.
      label: [P] how surely the first was preferred, in [0, 1]; NaN where the pair was skipped.
    Returns: ℓ [P] and what it counts [P]: 0 both where the pair was skipped.
    """
    is_told = ~jnp.isnan(label)
    label = jnp.where(is_told, label, 0.5).astype(first.dtype)
    d = first - second
    losses = label * jax.nn.softplus(-d) + (1 - label) * jax.nn.softplus(d)
    return jnp.where(is_told, losses, 0.0), is_told.astype(first.dtype)


def bradley_terry(
    first: Float[Array, " P"],
    second: Float[Array, " P"],
    label: Float[Array, " P"],
    weights: Float[Array, " P"] | None = None,
) -> Scalar:
    """The mean loss over the pairs that were not skipped, Σ q ℓ / Σ q; 0 where all were.

    Args: as `pair_losses`; weights: [P] of the pairs, equal where not given.
    Returns: [], in nats a pair; differentiable in the rewards.
    """
    losses, counts = pair_losses(first, second, label)
    q = uniform(losses, weights) * counts
    mass = jnp.sum(q)
    return jnp.sum(q * losses) / jnp.where(mass > 0, mass, 1.0)


def least_squares(
    total: Float[Array, " B"],
    u: Float[Array, " B"],
    scale: float | Scalar,
    weights: Float[Array, " B"] | None = None,
) -> Scalar:
    """Half the variance of what is left of the scores, in squared units of U.

    ½ Σ_i q_i ( e_i − Σ q e )²        e = U − scale · R_x

    Args:
      total, u: [B] total rewards and scores.
      scale: β/τ, units of U for one of reward. An agent at τ then answers with what is best for E U − β KL.
      weights: [B] q; samples of equal weight where not given.
    Returns: []; differentiable in the rewards.
    """
    rest = u - scale * total
    return jnp.sum(centred(rest, weights) * rest) / 2


def ridge(x: Tree, weight: float | Scalar) -> Scalar:
    """(weight/2) ‖x‖². Returns: []."""
    return weight / 2 * sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(x))


def fitted(loss: Callable[[Tree], Scalar], x: Tree, *, steps: int = 100) -> Tree:
    """The x that explains best, by limited-memory quasi-Newton steps with a line search.

    Args:
      loss: x → [], smooth; with a ridge of 10⁻² or more for a lexicon, whose rare tokens are never told apart.
      x: where to start.
      steps: at most; they end where the gradient is rounding.
    Returns: like x. Cost: `steps` gradients, and those of the line searches.
    """
    method = optax.lbfgs()
    both = optax.value_and_grad_from_state(loss)
    small = 10 * jnp.finfo(jnp.result_type(*jax.tree.leaves(x))).eps

    def goes(carry):
        _, _, count, size = carry
        return (count < steps) & (size > small)

    def body(carry):
        x, memory, count, _ = carry
        value, slope = both(x, state=memory)
        change, memory = method.update(slope, memory, x, value=value, grad=slope, value_fn=loss)
        return optax.apply_updates(x, change), memory, count + 1, optax.tree.norm(slope)

    start = (x, method.init(x), 0, jnp.asarray(jnp.inf, small.dtype))
    return jax.lax.while_loop(goes, body, start)[0]


def halves(total: Array) -> tuple[Array, Array]:
    """What there is of the first and of the second texts of pairs: text i is paired with text B/2 + i.

    Args:
      total: [B, ...] rewards of the texts, or whatever else.
    Returns: two [B/2, ...]. Raises: ValueError for an odd number of texts.
    """
    if total.shape[0] % 2:
        raise ValueError(f"pairs need an even number of texts: got {total.shape[0]}.")
    return total[: total.shape[0] // 2], total[total.shape[0] // 2 :]


def pair_scores(
    total: Float[Array, " B"], label: Float[Array, " P"], weights: Float[Array, " P"] | None = None
) -> tuple[Scalar, Float[Array, " B"]]:
    """The scores that the preference loss amounts to, where texts of both sides are drawn from the policy.

    U_i = −2 n_p ( ℓ_p − L ) / E n        p the pair of text i, n_p 0 where it was skipped, else 1; L = E n ℓ / E n

    The 2: a policy that moves, moves both texts of a pair, and a mean over B = 2P texts counts each of them half.

    Args:
      total: [B] rewards of the texts, paired as in `halves`.
      label: [P] as in `pair_losses`.
      weights: [P] probabilities of the pairs; samples where not given.
    Returns: L [] and U [B], for `covariance` and `tilt`; where pairs have weights, with (q, q)/2 as those of the texts.
      Of samples the bias is O(1/B).
    """
    losses, counts = pair_losses(*halves(total), label)
    q = uniform(losses, weights)
    mass = jnp.sum(q * counts)
    mass = jnp.where(mass > 0, mass, 1.0)
    loss = jnp.sum(q * counts * losses) / mass
    return loss, jnp.tile(-2 * counts * (losses - loss) / mass, 2)


def preference(
    reward: TokenReward,
    x: Tree,
    reading: Reading,
    label: Float[Array, " P"],
    tau: float | Scalar,
    beta: float | Scalar,
    weights: Float[Array, " P"] | None = None,
) -> tuple[Scalar, Tree]:
    """Loss and hypergradient of how badly R_x explains the preferences between texts of the agent that it makes.

    upper = E_{y₁, y₂ ~ π} ℓ_x(y₁, y₂) + β KL(π ‖ π_ref)
    dx    = E ∂ₓℓ_x − (1/τ) Cov( ∇ₓR_x, U − (β/τ) R_x )        U of `pair_scores`

    The second part alone is what partial gradients leave out. It rewards easy pairs: E ℓ falls where the agent writes
    texts that are told apart at once. For claims about scores use the utility.

    Args:
      reward, x: the reward of tokens and where the derivative is taken.
      reading: B texts, text i paired with text B/2 + i.
      label: [B/2] how surely the first was preferred, in [0, 1]; NaN where skipped.
      tau, beta: as `covariance`.
      weights: [B/2] probabilities of the pairs; samples where not given.
    Returns: E ℓ [], dx like x. Cost: two gradients.
    """
    direct = jax.grad(lambda x: bradley_terry(*halves(totals(reward, x, reading)), label, weights))(x)
    total = totals(reward, x, reading)
    loss, u = pair_scores(total, label, weights)
    of_texts = None if weights is None else jnp.tile(weights, 2) / 2
    through = pull(reward, x, reading, covariance(u, total, tau, beta, of_texts))
    return loss, jax.tree.map(jnp.add, direct, through)
