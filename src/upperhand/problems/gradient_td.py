"""Policy evaluation with linear features by gradient TD: two coupled linear equations from single transitions.

    δ = r + γ φ'ᵀx − φᵀx
    slow = −δ φ + γ φ' (φᵀy)        fast = φ φᵀy − δ φ
    y*(x) = C⁻¹(b − M x)            Φ = ½ (b − M x)ᵀ C⁻¹ (b − M x)        x* = M⁻¹ b

C = E φφᵀ = I, M = E φ(φ − γφ')ᵀ, b = E rφ: Φ is half the projected Bellman error, and E slow(x, y*(x)) = ∇Φ.
Transitions are drawn one by one, their states from the stationary law of a random chain, under which the features are
made orthonormal. Both equations are linear, so the standard two-time-scale method's x is as fast as any; what
averaging gains is in y.

Try: fast_two_time_scale
Reference: TDC as in Sutton et al., "Fast gradient-descent methods for temporal-difference learning with linear
function approximation" (2009), recalled; the chain is ours.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Equations, truth
from upperhand.schedule import whole


def gradient_td(*, states: int = 10, features: int = 4, discount: float = 0.8, seed: int = 0) -> Equations:
    """Find the weights x of the value's features whose projected Bellman error is 0.

    Args:
      states: of the chain, more than features.
      features: numbers of x and of y.
      discount: γ in [0, 1), per step.
      seed: of the chain, the rewards and the features, which all starts share.
    Returns: Equations with their oracle; x and y [features] begin at 0.
    Raises: ValueError for a size or a discount out of its range.
    """
    whole("features", (features,), 1)
    whole("states", (states,), 1, features + 1)
    if not 0 <= discount < 1:
        raise ValueError(f"discount must be from 0 to below 1: got {discount!r}.")
    random = np.random.default_rng(seed)
    kernel = random.dirichlet(np.ones(states), states)
    features_of = random.normal(size=(states, features))
    rewards = random.normal(size=states)
    share = np.linalg.matrix_power(kernel, 10_000)[0]
    features_of = features_of @ np.linalg.inv(np.linalg.cholesky((features_of.T * share) @ features_of)).T
    weighed = features_of.T * share
    C, M = weighed @ features_of, weighed @ (features_of - discount * kernel @ features_of)
    b, inverse = weighed @ rewards, np.linalg.inv(C)

    def draw(key, x, y):
        key_state, key_next = jax.random.split(key)
        place = jax.random.choice(key_state, states, p=jnp.asarray(share, x.dtype))
        successor = jax.random.choice(key_next, states, p=jnp.asarray(kernel, x.dtype)[place])
        table = jnp.asarray(features_of, x.dtype)
        return table[place], table[successor], jnp.asarray(rewards, x.dtype)[place]

    def error(x, batch):
        here, there, reward = batch
        return reward + discount * jnp.vdot(there, x) - jnp.vdot(here, x)

    def slow(x, y, batch):
        here, there, _ = batch
        return -error(x, batch) * here + discount * there * jnp.vdot(here, y)

    def fast(x, y, batch):
        return batch[0] * (jnp.vdot(batch[0], y) - error(x, batch))

    def rest(x):
        return jnp.asarray(b, x.dtype) - jnp.asarray(M, x.dtype) @ x

    def answer(x):
        return jnp.asarray(inverse, x.dtype) @ rest(x)

    x_star = np.linalg.solve(M, b)
    return Equations(
        init=lambda key: (jnp.zeros(features), jnp.zeros(features)),
        slow=slow,
        fast=fast,
        draw=draw,
        drawn=1,
        metrics=lambda x, y: {
            "slow_error": jnp.sum((x - jnp.asarray(x_star, x.dtype)) ** 2),
            "fast_error": jnp.sum((y - answer(x)) ** 2),
        },
        exact=truth(
            answer,
            lambda x: jnp.vdot(rest(x), answer(x)) / 2,
            lambda x: -(jnp.asarray(M, x.dtype).T @ answer(x)),
            lambda: (x_star, 0.0),
        ),
    )
