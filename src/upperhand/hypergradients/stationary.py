"""The stream estimators by themselves: at exact policies and critics, from chains that are stationary.

Inside a solver, policies and critics are tracked and bring errors of their own; here nothing is learnt.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.forms import BilevelRL
from upperhand.hypergradients.penalty import linear
from upperhand.hypergradients.streams import Estimator, through_streams
from upperhand.mdps.mdp import expect
from upperhand.mdps.sampling import Law
from upperhand.policy_gradients.linear import occupancy, suitable
from upperhand.policy_gradients.rollout import rollout
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.policy_gradients.tracking import Followed
from upperhand.rewards.table import reward_gradients, reward_table
from upperhand.types import Key, Scalar, Tree


class Settled(NamedTuple):
    """What an estimator needs at one x, exactly."""

    pi: Float[Array, "2 S A"]  # π_low, π_high
    cumulative: Float[Array, "2 S"]  # running sums of their normalised visits
    total: Float[Array, "2"]  # Σ occupancy of each
    gradients: Float[Array, "S A dx"]  # ∂ₓ of π_low's reward
    critic: Float[Array, "S A dx"]  # its critic under π_low


def settled(problem: BilevelRL, x: Tree, tau: float | Scalar, w: float | Scalar, low: float) -> Settled:
    """Both soft solutions, their occupancies, and the exact critic of ∂ₓr.

    Args:
      problem: finite; its upper objective a Return.
      x: the upper variable.
      tau, w: temperature (reward) and penalty weight.
      low: weight of w·u in the reward of π_low, as in Estimator.
    Returns: Settled. Cost: two lower solutions, 2 + dim(x) linear solves, S·A·dx memory.
    """
    mdp, resolvent = problem.mdp, suitable(problem.mdp)
    size = (mdp.states, mdp.actions)
    upper = linear(problem, "this estimator")
    r, gradients = reward_gradients(problem.reward, x, *size)
    u, slopes = reward_gradients(upper.reward, x, *size)
    gradients = gradients + low * w * slopes
    pi = [policy_iteration(mdp, r + weight * u, tau, resolvent=resolvent).pi for weight in (low * w, w)]
    visits = jnp.stack([jnp.sum(occupancy(mdp, each, resolvent), -1) for each in pi])
    total = jnp.sum(visits, -1)
    gains = jnp.sum(pi[0][..., None] * gradients, 1)
    values = jax.vmap(lambda gain: resolvent.values(mdp, pi[0], gain), 1, 1)(gains)
    critic = gradients + mdp.discount * jax.vmap(lambda v: expect(mdp, v), 1, 2)(values)
    return Settled(jnp.stack(pi), jnp.cumsum(visits, -1) / total[:, None], total, gradients, critic)


def stationary(
    problem: BilevelRL,
    world: Law,
    key: Key,
    x: Tree,
    w: float | Scalar,
    estimator: Estimator,
    at: Settled,
    batch: tuple[int, int],
) -> Tree:
    """One estimate, from fresh chains.

    Args:
      problem, world: the problem, and its world prepared by `sampling.law`.
      key: used once.
      x, w: as `settled` had them.
      estimator: one of hypergradients/streams.py.
      at: of `settled`.
      batch: B, chains of each stream, and T, steps of each.
    Returns: like x; its mean is that of the exact penalty form, one- or two-sided. Cost: streams·B·T transitions.
    """
    S, A = problem.mdp.states, problem.mdp.actions
    places = jax.random.split(key, 2)

    def stream(i):
        place, walk = jax.random.split(places[0 if estimator.shared else i])
        u = jax.random.uniform(place, (batch[0],), at.cumulative.dtype)
        s = jnp.minimum(jnp.searchsorted(at.cumulative[i], u, side="right"), S - 1).astype(jnp.int32)
        _, seen = rollout(world, walk, at.pi[i], s, batch[1])
        pairs = (seen.state * A + seen.action).ravel()
        return jnp.zeros(S * A).at[pairs].add(at.total[i] / pairs.size).reshape(S, A)

    mu = jnp.stack([stream(i) for i in range(2 - estimator.streams, 2)])
    _, pull = jax.vjp(lambda x: reward_table(problem.upper.reward, x, S, A), x)
    met = Followed(at.pi, jnp.log(at.pi), mu)
    return through_streams(problem, x, estimator, w, met, at.gradients, at.critic, pull)
