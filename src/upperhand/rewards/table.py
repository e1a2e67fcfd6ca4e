"""A reward function on every state and action at once."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.types import Scalar, Tree


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


def reward_gradients(
    reward: Callable[..., Scalar], x: Tree, S: int, A: int
) -> tuple[Float[Array, "S A"], Float[Array, "S A dx"]]:
    """The table and its derivative in x, flattened, by one reverse pass a state and action.

    Args: as `reward_table`.
    Returns: r [S, A], ∂ₓr [S, A, dx]. Cost: S·A gradients, S·A·dx memory.
    """
    flat, unravel = ravel_pytree(x)
    one = jax.value_and_grad(lambda flat, s, a: reward(unravel(flat), s, a))
    over_actions = jax.vmap(one, (None, None, 0))
    return jax.vmap(over_actions, (None, 0, None))(flat, jnp.arange(S), jnp.arange(A))
