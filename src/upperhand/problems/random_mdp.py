"""A random world with a quadratic reward: the synthetic task of M-SoBiRL, whose best x is 0.

    r_x(s, a) = k(s, a) · xᵀ M x
    upper     = ½ ‖x‖² + ½ ‖π‖²                    x = 0 gives r = 0, π uniform and S/(2A), least in both terms

A row to check a method with, not to compare quality by.

Reference: M-SoBiRL, "Bilevel Reinforcement Learning via the Development of Hyper-gradient without Lower-Level
Convexity", AISTATS 2025 (from the authors' code; another random generator, so another world of the same law).
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL, Tabular
from upperhand.hypergradients.exact import exact
from upperhand.mdps.random_world import random_world
from upperhand.policies.softmax import softmax
from upperhand.rewards.quadratic import quadratic
from upperhand.schedule import positive, whole
from upperhand.types import Scalar


def random_mdp(
    *,
    states: int = 10,
    actions: int = 5,
    numbers: int = 100,
    spread: float = 1.0,
    seed: int = 3,
    discount: float = 0.5,
    temperature: float = 1.0,
) -> BilevelRL:
    """Find the x whose agent is least decided, x ∈ R^numbers.

    Args:
      states, actions: size of the random world.
      numbers: length of x.
      spread: standard deviation of the first x around 0.
      seed: of the world and the reward, which all starts share.
      discount: γ in [0, 1), per step.
      temperature: τ at which the oracle judges, in units of reward.
    Returns: BilevelRL with its oracle; the best x is 0.
    Raises: ValueError, as `random_world`, and for numbers that are not above 0.
    """
    whole("numbers", (numbers,), 1)
    positive("spread", spread)
    positive("temperature", temperature)
    mdp = random_world(states, actions, discount=discount, seed=seed)
    random = np.random.default_rng([seed, 1])
    gain = random.random((states, actions)) * random.random((states, actions))
    policy = softmax(states, actions)

    def loss(x, pi, mu) -> Scalar:
        return (jnp.sum(x**2) + jnp.sum(pi**2)) / 2

    problem = BilevelRL(
        mdp=mdp,
        reward=quadratic(gain, random.normal(size=(numbers, numbers))),
        policy=policy,
        upper=Tabular(loss),
        init=lambda key: (spread * jax.random.normal(key, (numbers,)), policy.init(key)),
    )
    best = (np.zeros(numbers), states / (2 * actions))
    return problem._replace(exact=exact(problem, temperature=temperature, best=lambda: best))
