"""Your own finite problem, checked before it runs."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients.exact import exact
from upperhand.mdps.mdp import MDP
from upperhand.policies.softmax import softmax
from upperhand.rewards.table import reward_table
from upperhand.schedule import nonnegative, positive
from upperhand.types import Scalar, Tree


def finite(
    mdp: MDP,
    reward: Callable[..., Scalar],
    upper_reward: Callable[..., Scalar],
    *,
    x: Tree,
    cost: Callable[[Tree], Scalar] = lambda x: jnp.zeros(()),
    project_x: Callable[[Tree], Tree] = lambda x: x,
    spread: float = 0.0,
    temperature: float = 0.01,
) -> BilevelRL:
    """A problem on a finite world, with a softmax table as policy and its exact oracle.

    min_x  cost(x) − E Σ γᵗ upper_reward(x, s, a)        under the policy that is best for E Σ γᵗ reward(x, s, a)

    Args:
      mdp: of `sparse`, `dense` or `gridworld`.
      reward: (x, s, a) → [], what the agent gets; s and a are whole numbers, traced.
      upper_reward: (x, s, a) → [], what you get.
      x: where the search begins; an array or a pytree of float arrays.
      cost: x → [], what x costs you.
      project_x: x → the nearest allowed x.
      spread: standard deviation of the starts around x, so that seeds begin apart.
      temperature: τ at which the oracle judges, in units of reward.
    Returns: BilevelRL.
    Raises: ValueError where a function does not give one finite number at the first x, or x is not of float arrays.
    Cost: S·A of each reward, once.
    """
    positive("temperature", temperature)
    leaves = jax.tree.leaves(x)
    if not leaves or not all(jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in leaves):
        raise ValueError(f"x must be a float array, or a pytree of them: got {jax.tree.map(jnp.result_type, x)}.")
    nonnegative("spread", spread)
    for name, function in (("reward", reward), ("upper_reward", upper_reward)):
        _check(name, function, lambda function: reward_table(function, x, mdp.states, mdp.actions), x, 0, 0)
    _check("cost", cost, lambda function: function(x), x)
    policy = softmax(mdp.states, mdp.actions)

    def init(key):
        parts, structure = jax.tree.flatten(x)
        keys = jax.random.split(key, len(parts))
        near = [
            jnp.asarray(part, jnp.result_type(float)) + spread * jax.random.normal(key, jnp.shape(part))
            for part, key in zip(parts, keys, strict=True)
        ]
        return project_x(jax.tree.unflatten(structure, near)), policy.init(key)

    problem = BilevelRL(mdp, reward, policy, Return(upper_reward, cost), init, project_x)
    return problem._replace(exact=exact(problem, temperature=temperature))


def _check(name: str, function: Callable, everywhere: Callable, *args: Any) -> None:
    shape = jax.eval_shape(function, *args)
    if not hasattr(shape, "shape") or shape.shape != ():
        raise ValueError(f"{name} must return one number, of shape []: got {getattr(shape, 'shape', type(shape))}.")
    values = np.asarray(everywhere(function))
    if not np.isfinite(values).all():
        where = f" at (s, a) = {tuple(map(int, np.argwhere(~np.isfinite(values))[0]))}" if values.ndim else ""
        raise ValueError(f"{name} must be finite at the first x: it is {values[~np.isfinite(values)].flat[0]}{where}.")
