"""An agent alone, with an entropy bonus: its policy and its critic as two coupled equations.

    fast = Q − ( r + γ Σ_b π(b|s′) ( Q(s′, b) − τ log π(b|s′) ) )        one successor s′ drawn for every (s, a)
    slow = −∇ log π(a|s) ( Q(s, a) − τ log π(a|s) ) / (1 − γ)            s from the visits of π, a from π(·|s)
    y*(x) = Q_π of the policy π = softmax x,  Φ(x) = −J_τ(π)             E slow(x, y*(x)) = ∇Φ(x)

Φ is not convex in the logits; it has gradient domination whose constant depends on x and falls with the least likely
action. Its least value is that of soft value iteration.

Try: fast_two_time_scale
Reference: the entropy-regularised instance of Zeng, Doan, "Fast Two-Time-Scale Stochastic Gradient Method with
Applications in Reinforcement Learning" (arXiv 2405.09660), recalled; ours draws a successor for every pair and states
from their exact law. World: random_world.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.actions import log_probabilities
from upperhand.forms import Equations, truth
from upperhand.mdps.mdp import MDP
from upperhand.mdps.random_world import random_world
from upperhand.policy_gradients.linear import evaluate, occupancy
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.schedule import positive


def soft_control(
    *, states: int = 5, actions: int = 3, discount: float = 0.5, temperature: float = 0.5, seed: int = 0
) -> Equations:
    """Find the best policy with an entropy bonus.

    Args:
      states, actions: S, at least 2, and A, at least 2.
      discount: γ in [0, 1), per step.
      temperature: τ, in units of reward a nat; above 0.
      seed: of the world and the rewards, which are uniform on (0, 1).
    Returns: Equations with their oracle; x and y [S, A] begin at 0.
    Raises: ValueError for a size or a number out of its range.
    """
    tau, world = positive("temperature", temperature), random_world(states, actions, discount=discount, seed=seed)
    if actions < 2:
        raise ValueError(f"actions must be at least 2: got {actions!r}.")
    rewards = np.random.default_rng([seed, 1]).random((states, actions))

    def value(x):
        return -jnp.asarray(world.start, x.dtype) @ critic(world, x, rewards, tau)[0]

    def draw(key, x, y):
        key_state, key_action, key_next = jax.random.split(key, 3)
        visits = jnp.sum(occupancy(world, jnp.exp(log_probabilities(x))), -1)
        state = jax.random.categorical(key_state, jnp.log(visits))
        action = jax.random.categorical(key_action, x[state])
        chances = jnp.log(jnp.asarray(world.probability, x.dtype))
        picked = jax.random.categorical(key_next, chances)[..., None]
        return state, action, jnp.take_along_axis(jnp.asarray(world.successor), picked, -1)[..., 0]

    def slow(x, y, batch):
        state, action, _ = batch
        log_pi = log_probabilities(x)
        paid = y[state, action] - tau * log_pi[state, action]
        return -paid / (1 - discount) * jax.grad(lambda x: log_probabilities(x)[state, action])(x)

    def fast(x, y, batch):
        log_pi = log_probabilities(x)
        ahead = jnp.sum(jnp.exp(log_pi) * (y - tau * log_pi), -1)
        return y - jnp.asarray(rewards, x.dtype) - discount * ahead[batch[2]]

    def best():
        with jax.enable_x64(True):
            found = policy_iteration(world, jnp.asarray(rewards), tau)
            return np.asarray(found.q / tau), -float(world.start @ np.asarray(found.v))

    return Equations(
        init=lambda key: (jnp.zeros((states, actions)), jnp.zeros((states, actions))),
        slow=slow,
        fast=fast,
        draw=draw,
        drawn=states * actions + 1,
        metrics=lambda x, y: {"fast_error": jnp.sum((y - critic(world, x, rewards, tau)[1]) ** 2)},
        exact=truth(lambda x: critic(world, x, rewards, tau)[1], value, jax.grad(value), best),
    )


def critic(
    world: MDP, x: Float[Array, "S A"], rewards: Float[np.ndarray, "S A"], tau: float
) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
    """V_π [S] with the entropy bonus and Q_π [S, A] without that of its first action, of π = softmax x."""
    log_pi = log_probabilities(x)
    r = jnp.asarray(rewards, x.dtype)
    v, q = evaluate(world, jnp.exp(log_pi), r - tau * log_pi)
    return v, q + tau * log_pi
