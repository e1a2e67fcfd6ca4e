"""The penalty hypergradient from samples: how the difference of two occupancies is estimated.

    (1/width)( ∂ₓJ_τ(x, π_low) − ∂ₓJ_τ(x, π_high) )        π_low, π_high: at agent's rewards r + low·w·u and r + w·u

Every estimator is a NamedTuple of the same parts, an argument of the sampled actor-critic.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.actions import total, total_of
from upperhand.forms import BilevelRL
from upperhand.policy_gradients.tracking import Followed
from upperhand.types import Scalar, Tree


class Seen(NamedTuple):
    """What an estimator may look at, all at fixed x."""

    pi: Float[Array, "2 S A"]  # π_low, π_high
    mu: Float[Array, "streams S A"]  # empirical occupancy of each stream; the last stream is that of π_high
    gradients: Float[Array, "S A dx"]  # ∂ₓ of π_low's reward, r + low·w·u
    critic: Float[Array, "S A dx"]  # Q_x, the critic of `gradients` under π_low


class Estimator(NamedTuple):
    """How the sampled actor-critic estimates its hypergradient."""

    low: float  # weight of w·u in the reward that π_low is optimal for: 0, or −1 for the two-sided penalty
    streams: int  # 1: only π_high is followed; 2: both are
    shared: bool  # both streams are driven by the same random numbers
    difference: Callable[[Seen], Float[Array, " dx"]]  # ∂ₓJ(π_low) − ∂ₓJ(π_high)


def through_occupancies(seen: Seen) -> Float[Array, " dx"]:
    """The difference of the gradients that two streams meet.

    Σ ( μ_low − μ_high ) ∂ₓr

    Returns: [dx]. Its noise, divided by w, grows as 1/w. Reference: the paper form of the actor-critic.
    """
    return jnp.tensordot(seen.mu[0] - seen.mu[-1], seen.gradients, 2)


def through_performance(seen: Seen) -> Float[Array, " dx"]:
    """The same by the performance difference lemma, from the stream of π_high alone.

    −Σ_s d_high(s) Σ_a (π_high − π_low)(a|s) Q_x(s, a)

    Returns: [dx]. (π_high − π_low)/w stays bounded as w → 0, and so does the noise. Reference: derived.
    """
    advantage = total_of((seen.pi[1] - seen.pi[0])[..., None] * seen.critic)
    return -total(seen.mu[-1]) @ advantage


two_stream = Estimator(0.0, 2, False, through_occupancies)
"""Two independent streams, one for each policy: the paper form."""
coupled = Estimator(0.0, 2, True, through_occupancies)
"""Two streams driven by the same random numbers."""
one_stream = Estimator(0.0, 1, True, through_performance)
"""One stream, from π_high, through the performance difference."""
two_sided_stream = Estimator(-1.0, 1, True, through_performance)
"""One stream for the two-sided penalty, whose bias is O(w²)."""


def through_streams(
    problem: BilevelRL,
    x: Tree,
    estimator: Estimator,
    w: float | Scalar,
    met: Followed,
    gradients: Float[Array, "S A dx"],
    critic: Float[Array, "S A dx"],
    pull: Callable,
) -> Tree:
    """The penalty hypergradient from what two tracked policies met.

    dx = ∂ₓcost − Σ μ_high ∂ₓu + difference / ((1 − low) w)

    Args:
      problem: its upper objective a Return.
      x: where it is taken.
      estimator: how the difference of occupancies is estimated.
      w: penalty weight.
      met: policies and empirical occupancies.
      gradients, critic: ∂ₓ of π_low's reward, and its critic under π_low.
      pull: vector-Jacobian product of x ↦ u.
    Returns: like x. Cost: one gradient of the cost, one vector-Jacobian product.
    """
    difference = estimator.difference(Seen(met.pi, met.mu, gradients, critic)) / (w * (1 - estimator.low))
    (through_u,) = pull(-met.mu[-1])
    through_reward = ravel_pytree(x)[1](difference)
    return jax.tree.map(lambda *parts: sum(parts), jax.grad(problem.upper.cost)(x), through_u, through_reward)
