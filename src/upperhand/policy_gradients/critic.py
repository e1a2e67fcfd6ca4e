"""Tabular critics of one or more policies, learnt from batches of transitions.

Entropy is counted from that of the uniform policy, −τ log(A π), so that a uniform policy gains none and critics do not
drift as τ falls. What is left out, τ log A for every step to come, is the same everywhere unless episodes may end: then
the lifetime has a critic too, and the two add up to the soft action value.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.actions import total_of
from upperhand.types import Trajectory


def following(
    trajectory: Trajectory, columns: Float[Array, "S C"], A: int
) -> tuple[Float[Array, "S A C"], Float[Array, "S A"]]:
    """Mean over the samples of each (s, a) of what follows.

    m(s, a) = mean of alive · columns(s')        n(s, a) = number of samples

    Args:
      trajectory: [T, B] transitions.
      columns: [S, C] values of several critics.
      A: number of actions.
    Returns: m [S, A, C] (0 where unseen), n [S, A]. Cost: one scatter of T·B rows.
    """
    S, C = columns.shape
    rows = columns[trajectory.successor.ravel()] * trajectory.alive.ravel()[:, None]
    rows = jnp.concatenate([rows, jnp.ones_like(rows[:, :1])], -1)
    pairs = (trajectory.state * A + trajectory.action).ravel()
    sums = jnp.zeros((S * A, C + 1), columns.dtype).at[pairs].add(rows).reshape(S, A, C + 1)
    counts = sums[..., -1]
    return sums[..., :-1] / jnp.maximum(counts, 1)[..., None], counts


def step_sizes(counts: Float[Array, "*streams S A"], critic_step: float) -> Float[Array, "*streams S A"]:
    """The step towards a mean of n samples that n single ones make, 1 − (1 − critic_step)ⁿ. Returns: [S, A]."""
    return jnp.where(counts > 0, 1 - jnp.exp(counts * jnp.log1p(-critic_step)), 0.0)


class Critics(NamedTuple):
    """What is known of each of N policies: π first; π_w second, where there are two."""

    q: Float[Array, "N S A C"]  # of reward and centred entropy; where C = 2, of the lifetime too
    q_x: Float[Array, "S A dx"]  # of the gradients under the first policy; dx = 0 where they are not asked for
    v: Float[Array, "S columns"]  # what states are worth: V of each policy (C columns each), V_x (dx columns)


class Gains(NamedTuple):
    """What a step gains, at fixed x."""

    rewards: Float[Array, "N S A"]  # reward that each policy is optimal for
    gradients: Float[Array, "S A dx"]  # ∂ₓ of the first policy's reward
    tau: Float[Array, ""]  # temperature
    discount: float  # γ


def optimistic(rewards: Float[Array, "N S A"], dx: int, discount: float, may_end: bool) -> Critics:
    """Critics at the most that the rewards allow, so that what is unseen attracts. Returns: Critics."""
    most = jnp.broadcast_to(jnp.max(rewards, (1, 2), keepdims=True) / (1 - discount), rewards.shape)
    lifetime = jnp.full(rewards.shape, 1 / (1 - discount), rewards.dtype)
    q = jnp.stack([most, lifetime][: 1 + may_end], -1)
    q_x = jnp.zeros((*rewards.shape[1:], dx), rewards.dtype)
    uniform = jnp.full(rewards.shape, 1 / rewards.shape[-1], rewards.dtype)
    return Critics(q, q_x, state_values(q, q_x, uniform, jnp.log(uniform), jnp.zeros((), rewards.dtype)))


def state_values(
    q: Float[Array, "N S A C"],
    q_x: Float[Array, "S A dx"],
    pi: Float[Array, "N S A"],
    log_pi: Float[Array, "N S A"],
    tau: Float[Array, ""],
) -> Float[Array, "S columns"]:
    """V = Σ_a π ( Q − τ log(A π) ) and the lifetime without an entropy, of each policy; V_x. Returns: [S, N·C + dx]."""
    soft = pi * (q[..., 0] - tau * (log_pi + np.log(pi.shape[-1])))
    v = total_of(jnp.concatenate([soft[..., None], pi[..., None] * q[..., 1:]], -1))
    return jnp.concatenate([*v, total_of(pi[0, ..., None] * q_x)], -1)


def soft_logits(q: Float[Array, "*player S A C"], tau: Float[Array, ""]) -> Float[Array, "*player S A"]:
    """Logits of the soft-greedy policy, (Q + τ log A · lifetime)/τ. Returns: [S, A]."""
    return q[..., 0] / tau + np.log(q.shape[-2]) * jnp.sum(q[..., 1:], -1)


def learn(
    critics: Critics,
    streams: Trajectory,
    pi: Float[Array, "N S A"],
    log_pi: Float[Array, "N S A"],
    gains: Gains,
    critic_step: float,
) -> tuple[Critics, Float[Array, "streams S A"]]:
    """One step of every critic towards the mean target of what was seen; expected targets, so any stream serves.

    Q ← Q + β_n ( gain + γ mean V(s') − Q )        β_n = 1 − (1 − critic_step)ⁿ, n visits;  then V from the new Q

    Args:
      critics: before.
      streams: [streams, T, B] transitions; each teaches its policy, and a single one teaches all. The last teaches Q_x.
      pi, log_pi: [N, S, A] the policies.
      gains: rewards, gradients, temperature and discount.
      critic_step: of a single sample.
    Returns: Critics, and the frequency of each (s, a) in each stream. Cost: one scatter of T·B rows a stream.
    """
    N, *_, C = critics.q.shape
    parts = [jax.tree.map(lambda part, i=i: part[i], streams) for i in range(streams.state.shape[0])]
    means, counts = zip(*(following(part, critics.v, pi.shape[-1]) for part in parts), strict=True)
    counts = jnp.stack(counts)
    beta = step_sizes(counts, critic_step)[..., None]
    gain = jnp.stack([gains.rewards, jnp.ones_like(gains.rewards)][:C], -1)  # the lifetime gains 1 a step
    q = critics.q
    for i in range(N):
        k = min(i, len(parts) - 1)
        target = gain[i] + gains.discount * means[k][..., i * C : (i + 1) * C]
        q = q.at[i].add(beta[k] * (target - critics.q[i]))
    q_x = critics.q_x + beta[-1] * (gains.gradients + gains.discount * means[-1][..., N * C :] - critics.q_x)
    return Critics(q, q_x, state_values(q, q_x, pi, log_pi, gains.tau)), counts / jnp.sum(counts, (1, 2), keepdims=True)
