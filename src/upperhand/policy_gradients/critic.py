"""Tabular critics of two policies, learnt from batches of transitions.

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
    """What is known of π (first) and of π_w (second)."""

    q: Float[Array, "2 S A C"]  # of reward and centred entropy; where C = 2, of the lifetime too
    q_x: Float[Array, "S A dx"]  # of the gradients under π
    v: Float[Array, "S columns"]  # what states are worth: V (C columns), V_w (C columns), V_x (dx columns)


class Gains(NamedTuple):
    """What a step gains, at fixed x."""

    rewards: Float[Array, "2 S A"]  # reward that each policy is optimal for
    gradients: Float[Array, "S A dx"]  # ∂ₓ of π's reward
    tau: Float[Array, ""]  # temperature
    discount: float  # γ


def optimistic(r: Float[Array, "S A"], dx: int, discount: float, may_end: bool) -> Critics:
    """Critics at the most that the reward allows, so that what is unseen attracts. Returns: Critics."""
    most = jnp.full((2, *r.shape), jnp.max(r) / (1 - discount))
    lifetime = jnp.full((2, *r.shape), 1 / (1 - discount), r.dtype)
    q = jnp.stack([most, lifetime][: 1 + may_end], -1)
    q_x = jnp.zeros((*r.shape, dx), r.dtype)
    uniform = jnp.full((2, *r.shape), 1 / r.shape[-1], r.dtype)
    return Critics(q, q_x, state_values(q, q_x, uniform, jnp.log(uniform), jnp.zeros((), r.dtype)))


def state_values(
    q: Float[Array, "2 S A C"],
    q_x: Float[Array, "S A dx"],
    pi: Float[Array, "2 S A"],
    log_pi: Float[Array, "2 S A"],
    tau: Float[Array, ""],
) -> Float[Array, "S columns"]:
    """V = Σ_a π ( Q − τ log(A π) ), the lifetime without an entropy; V_w likewise; V_x. Returns: [S, 2·C + dx]."""
    soft = pi * (q[..., 0] - tau * (log_pi + np.log(pi.shape[-1])))
    v = total_of(jnp.concatenate([soft[..., None], pi[..., None] * q[..., 1:]], -1))
    return jnp.concatenate([v[0], v[1], total_of(pi[0, ..., None] * q_x)], -1)


def soft_logits(q: Float[Array, "*player S A C"], tau: Float[Array, ""]) -> Float[Array, "*player S A"]:
    """Logits of the soft-greedy policy, (Q + τ log A · lifetime)/τ. Returns: [S, A]."""
    return q[..., 0] / tau + np.log(q.shape[-2]) * jnp.sum(q[..., 1:], -1)


def learn(
    critics: Critics,
    streams: Trajectory,
    pi: Float[Array, "2 S A"],
    log_pi: Float[Array, "2 S A"],
    gains: Gains,
    critic_step: float,
) -> tuple[Critics, Float[Array, "streams S A"]]:
    """One step of every critic towards the mean target of what was seen; expected targets, so any stream serves.

    Q ← Q + β_n ( gain + γ mean V(s') − Q )        β_n = 1 − (1 − critic_step)ⁿ, n visits;  then V from the new Q

    Args:
      critics: before.
      streams: [streams, T, B] transitions; the first stream teaches π, the last π_w and Q_x.
      pi, log_pi: [2, S, A] both policies.
      gains: rewards, gradients, temperature and discount.
      critic_step: of a single sample.
    Returns: Critics, and the frequency of each (s, a) in each stream. Cost: one scatter of T·B rows a stream.
    """
    C = critics.q.shape[-1]
    parts = [jax.tree.map(lambda part, i=i: part[i], streams) for i in range(streams.state.shape[0])]
    means, counts = zip(*(following(part, critics.v, pi.shape[-1]) for part in parts), strict=True)
    counts = jnp.stack(counts)
    beta = step_sizes(counts, critic_step)[..., None]
    gain = jnp.stack([gains.rewards, jnp.ones_like(gains.rewards)][:C], -1)  # the lifetime gains 1 a step
    low = beta[0] * (gain[0] + gains.discount * means[0][..., :C] - critics.q[0])
    high = beta[-1] * (gain[1] + gains.discount * means[-1][..., C : 2 * C] - critics.q[1])
    q_x = critics.q_x + beta[-1] * (gains.gradients + gains.discount * means[-1][..., 2 * C :] - critics.q_x)
    q = critics.q.at[0].add(low).at[1].add(high)
    return Critics(q, q_x, state_values(q, q_x, pi, log_pi, gains.tau)), counts / jnp.sum(counts, (1, 2), keepdims=True)
