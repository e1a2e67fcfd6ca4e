"""A policy of texts that follows its lower optimum: the policy gradient of E Σ r − τ KL, and one step along it.

    G_t  = r_t + Σ_{j > t} γ^(j−t) ( r_j − τ KL_j )        KL_j = KL( π_θ(·|s_j) ‖ π_ref(·|s_j) ), of all tokens
    loss = E Σ_t ( τ KL_t − (G_t − V_t) log π_θ(a_t|s_t) )     G, V held fixed

At γ = 1 the gradient of the loss is that of −E R + τ KL(π_θ ‖ π_ref), whatever V. At γ < 1 the agent answers to the
soft Bellman equation with that discount, and every state counts as often as it is met, without γᵗ.
The KL of a step is analytic and differentiated itself, so sampled actions carry the rewards alone.

Reference: tweets; the gradient is derived, and checked against enumeration.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.policy_gradients.text_critic import Critic, taught, values
from upperhand.texts import Reading, Writer
from upperhand.types import Scalar, Tree


class Learner(NamedTuple):
    """A policy that learns, and what it remembers."""

    theta: Tree
    memory: Any  # of the optimiser
    critic: Critic | None  # None: no baseline


class Written(NamedTuple):
    """What was seen of θ before the step, means over the texts."""

    loss: Scalar  # −E R + τ KL, the lower loss
    kl: Scalar  # KL(π_θ ‖ π_ref), nats a text
    entropy: Scalar  # of π_θ, nats a text
    length: Scalar  # tokens a text, the end token included


class Steps(NamedTuple):
    """What a policy does at each position of some texts; 0 after the end."""

    chosen: Float[Array, "B T"]  # log π_θ(a_t|s_t)
    kl: Float[Array, "B T"]  # KL_t, nats
    entropy: Float[Array, "B T"]  # nats


def steps(log_pi: Float[Array, "B T V"], reading: Reading) -> Steps:
    """What a policy does at each position, differentiable; tokens that neither policy ever writes (−∞) count nothing.

    Args:
      log_pi: [B, T, V] log π_θ of every token.
      reading: the texts.
    Returns: Steps. Cost: a few passes over B·T·V.
    """
    is_alive = reading.alive > 0
    is_possible = jnp.isfinite(log_pi) & jnp.isfinite(reading.log_ref)
    log_pi, log_ref = (jnp.where(is_possible, table, 0.0) for table in (log_pi, reading.log_ref.astype(log_pi.dtype)))
    pi = jnp.where(is_possible, jnp.exp(log_pi), 0.0)
    chosen = jnp.take_along_axis(log_pi, reading.tokens[..., None], -1)[..., 0]
    kl, entropy = jnp.sum(pi * (log_pi - log_ref), -1), -jnp.sum(pi * log_pi, -1)
    return Steps(*(jnp.where(is_alive, table, 0.0) for table in (chosen, kl, entropy)))


def held(writer: Writer, theta: Tree, reading: Reading) -> Steps:
    """What π_θ does at each position of some texts, differentiable, with the tables of a microbatch in memory.

    Args:
      writer: the policy; without `microbatch` all texts are taken at once.
      theta: of it.
      reading: B texts; of parts of them log_ref is made again.
    Returns: Steps. Cost: log_prob of B texts; in parts, twice where its gradient is taken.
    """
    size = reading.tokens.shape[0]
    rows = math.gcd(size, writer.microbatch or size)
    if rows == size:
        return steps(writer.log_prob(theta, reading), reading)

    @jax.checkpoint
    def one(part):
        part = part._replace(log_ref=writer.log_ref(part))
        return steps(writer.log_prob(theta, part), part)

    split = lambda leaf: leaf.reshape(size // rows, rows, *leaf.shape[1:])  # noqa: E731
    parts = jax.tree.map(split, reading._replace(log_ref=None))
    return jax.tree.map(lambda leaf: leaf.reshape(size, -1), jax.lax.map(one, parts))


def to_go(
    r: Float[Array, "B T"], kl: Float[Array, "B T"], tau: float | Scalar, gamma: float = 1.0
) -> Float[Array, "B T"]:
    """The reward to go of each action, G_t = r_t + Σ_{j > t} γ^(j−t) ( r_j − τ KL_j ).

    Args:
      r, kl: [B, T], 0 after the end.
      tau: temperature, units of reward a nat.
      gamma: γ of the agent, in [0, 1].
    Returns: [B, T]. Cost: one scan.
    """

    def join(after, gain):
        r, kl = gain
        here = r + gamma * after
        return here - jnp.asarray(tau, here.dtype) * kl, here

    return jax.lax.scan(join, jnp.zeros_like(r[:, 0]), (r.T, kl.T), reverse=True)[1].T


def at_end(reading: Reading, u: Float[Array, " B"]) -> Float[Array, "B T"]:
    """A score of each text as a reward of its last token: w U for θ_w, or U itself without an x. Returns: [B, T]."""
    after = jnp.pad(reading.alive[:, 1:], ((0, 0), (0, 1)))
    return jnp.maximum(reading.alive - after, 0).astype(u.dtype) * u[:, None]


def surrogate(
    log_pi: Float[Array, "B T V"] | Steps,
    reading: Reading,
    r: Float[Array, "B T"],
    tau: float | Scalar,
    gamma: float = 1.0,
    baseline: Float[Array, "B T"] | None = None,
    weights: Float[Array, " B"] | None = None,
) -> tuple[Scalar, tuple[Written, Float[Array, "B T"]]]:
    """The loss whose gradient in θ is the policy gradient; its own value says nothing.

    Args:
      log_pi: [B, T, V] log π_θ, at the θ that the texts were drawn from; or Steps of it.
      reading: the texts.
      r: [B, T] rewards, 0 after the end.
      tau, gamma: as `to_go`.
      baseline: [B, T] V_t, of s_t alone; 0 where not given.
      weights: [B] probabilities of the texts under π_θ; samples where not given.
    Returns: [], and what was seen: Written and G [B, T], both without derivative.
    """
    seen = log_pi if isinstance(log_pi, Steps) else steps(log_pi, reading)
    size, dtype, fixed = r.shape[0], seen.chosen.dtype, jax.lax.stop_gradient
    q = jnp.full(size, 1 / size, dtype) if weights is None else weights.astype(dtype)
    r = r.astype(dtype)
    returns = to_go(r, fixed(seen.kl), tau, gamma) * reading.alive.astype(dtype)
    advantage = returns if baseline is None else returns - baseline.astype(dtype)
    loss = q @ jnp.sum(tau * seen.kl - fixed(advantage) * seen.chosen, 1)
    kl, entropy, length, gained = (
        fixed(q @ jnp.sum(table.astype(dtype), 1)) for table in (seen.kl, seen.entropy, reading.alive, r)
    )
    return loss, (Written(tau * kl - gained, kl, entropy, length), returns)


def adam(policy_step: float = 2e-3, clip: float = 1.0) -> optax.GradientTransformation:
    """Adam along a gradient clipped to a norm: how policies of texts are stepped."""
    return optax.chain(optax.clip_by_global_norm(clip), optax.adam(policy_step))


def improve(
    writer: Writer,
    policy_step: optax.GradientTransformation,
    learner: Learner,
    reading: Reading,
    r: Float[Array, "B T"],
    tau: float | Scalar,
    *,
    gamma: float = 1.0,
    weights: Float[Array, " B"] | None = None,
) -> tuple[Learner, Written]:
    """One step of θ towards the lower optimum; the critic's baseline is of what it knew before these texts.

    Args:
      writer: the policy.
      policy_step: optax transformation, for example `adam()`.
      learner: θ, the optimiser's memory, and a critic or None.
      reading: B texts drawn from θ.
      r: [B, T] rewards, 0 after the end. Of θ_w: r_x + `at_end` of w U, with τ + wβ for tau.
      tau: temperature, units of reward a nat.
      gamma: γ of the agent, in [0, 1].
      weights: [B] probabilities of the texts under θ, which make the step exact; samples where not given.
    Returns: Learner, Written. Cost: one gradient of B texts.
    """
    baseline = None if learner.critic is None else values(learner.critic, reading)

    def loss(theta):
        return surrogate(held(writer, theta, reading), reading, r, tau, gamma, baseline, weights)

    slope, (written, returns) = jax.grad(loss, has_aux=True)(learner.theta)
    change, memory = policy_step.update(slope, learner.memory, learner.theta)
    critic = None if learner.critic is None else taught(learner.critic, reading, returns, weights)
    return Learner(optax.apply_updates(learner.theta, change), memory, critic), written
