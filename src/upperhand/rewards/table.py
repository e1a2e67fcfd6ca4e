"""A reward function on every state and action at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.types import Tree


def reward_table(reward: Callable, x: Tree, S: int, A: int) -> Float[Array, "S A"]:
    """r(s, a) = reward(x, s, a) for every state and action.

    Args:
      reward: function of (x, s [], a []) → [].
      x: the upper variable.
      S, A: numbers of states and actions.
    Returns: [S, A]. Cost: S·A rewards.
    """
    over_actions = jax.vmap(reward, (None, None, 0))
    return jax.vmap(over_actions, (None, 0, None))(x, jnp.arange(S), jnp.arange(A))
