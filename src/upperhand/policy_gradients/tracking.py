"""Policies that follow their soft optimum as it moves, from samples: roll out, teach the critics, step towards them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from upperhand.actions import policy
from upperhand.mdps.mdp import MDP
from upperhand.mdps.sampling import Law, law
from upperhand.policy_gradients.critic import Critics, Gains, learn, optimistic, soft_logits
from upperhand.policy_gradients.rollout import chains, rollout
from upperhand.schedule import fraction, whole
from upperhand.types import Key


class Tracking(NamedTuple):
    """How N policies are followed: settings, made once by `tracking`."""

    world: Law
    discount: float  # γ
    chains: int  # B of each stream
    length: int  # T, steps of a chain in an update
    streams: int  # 1: the last policy alone is rolled out and teaches all; N: each its own
    shared: bool  # all streams are driven by the same random numbers
    policy_step: float  # of the mirror step
    critic_step: float  # of a single sample


class Tracked(NamedTuple):
    """What is known of the policies besides their logits."""

    critics: Critics
    chains: Int[Array, "streams B"]  # where the chains stand
    restart: Float[Array, " streams"]  # how often chains start afresh, 1/Σ occupancy


class Followed(NamedTuple):
    """What an update saw, all of the policies before it."""

    pi: Float[Array, "N S A"]
    log_pi: Float[Array, "N S A"]
    mu: Float[Array, "streams S A"]  # empirical occupancy of each stream


def tracking(
    mdp: MDP,
    batch: tuple[int, int],
    policy_step: float,
    critic_step: float,
    *,
    streams: int = 1,
    shared: bool = False,
) -> Tracking:
    """Settings, checked.

    Args:
      mdp: the world.
      batch: chains of each stream, and the steps that each makes in an update.
      policy_step, critic_step: in (0, 1].
      streams, shared: see Tracking.
    Returns: Tracking. Raises: ValueError for a setting out of its range.
    """
    fraction("policy_step", policy_step), fraction("critic_step", critic_step)
    width, length = whole("batch", batch, 2)
    return Tracking(law(mdp), mdp.discount, width, length, streams, shared, policy_step, critic_step)


def begin(how: Tracking, rewards: Float[Array, "N S A"], dx: int = 0) -> Tracked:
    """Optimistic critics, and chains spread over the start law.

    Args:
      how: settings.
      rewards: what each policy is optimal for, at the first x.
      dx: numbers of x, where a critic of ∂ₓr is kept.
    Returns: Tracked.
    """
    spread = jnp.broadcast_to(chains(how.world, how.chains), (how.streams, how.chains))
    restart = jnp.full(how.streams, 1 - how.discount, rewards.dtype)
    return Tracked(optimistic(rewards, dx, how.discount, how.world.may_end), spread, restart)


def track(
    how: Tracking, key: Key, thetas: Float[Array, "N S A"], tracked: Tracked, gains: Gains
) -> tuple[Float[Array, "N S A"], Tracked, Followed]:
    """One update of all policies.

    roll out; teach the critics; θ ← (1 − policy_step) θ + policy_step Q/τ

    Args:
      how: settings.
      key: used once.
      thetas: logits.
      tracked: critics and chains.
      gains: rewards, gradients (of the first policy's reward, or [S, A, 0]), temperature, discount.
    Returns: the new logits, Tracked, and what was seen. Cost: streams · B · T transitions.
    """
    pi, log_pi = policy(thetas)
    keys = [key] * how.streams if how.shared or how.streams == 1 else [*jax.random.split(key, how.streams)]
    roll = jax.vmap(lambda key, pi, s: rollout(how.world, key, pi, s, how.length))
    standing, streams = roll(jnp.stack(keys), pi[-how.streams :], tracked.chains)
    critics, visits = learn(tracked.critics, streams, pi, log_pi, gains, how.critic_step)
    fresh = 1 - how.discount * jnp.mean(streams.alive, (1, 2))
    restart = tracked.restart + how.critic_step * (fresh - tracked.restart)
    after = (1 - how.policy_step) * thetas + how.policy_step * soft_logits(critics.q, gains.tau)
    return after, Tracked(critics, standing, restart), Followed(pi, log_pi, visits / restart[:, None, None])
