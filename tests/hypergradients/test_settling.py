"""Steps of the lower variable: plain descent by hand, and two ends of a step over all steps of all updates."""

import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.settling import settling


def test_two_ends_are_joined_over_the_steps_of_all_updates():
    """Slope 1: y falls by the steps themselves, 1 · 0.01^(k/12) for k = 0 … 11, in 4 updates of 3."""
    found = settling("y_step", (1.0, 0.01), lambda y: y, updates=4, loops=3)
    y, state, seen = jnp.zeros(()), found.start(jnp.zeros(())), []
    for _ in range(4):
        y, state = found.settle(lambda k, y: jnp.ones(()), y, state)
        seen.append(float(y))
    np.testing.assert_allclose(seen, -np.cumsum(0.01 ** (np.arange(12) / 12))[2::3], rtol=1e-5)  # optax's powers


def test_which_step_it_is_and_the_projection():
    found = settling("y_step", 0.5, lambda y: jnp.maximum(y, -1.0), updates=1, loops=3)
    y, _ = found.settle(lambda k, y: k * jnp.ones(()), jnp.zeros(()), found.start(jnp.zeros(())))
    assert float(y) == -1.0  # 0, −.5, then −1.5 cut


def test_what_is_out_of_range_is_named():
    with pytest.raises(ValueError, match=r"loops must be .* got \(0,\)"):
        settling("y_step", 0.5, lambda y: y, updates=1, loops=0)
    with pytest.raises(ValueError, match="inner must be above 0"):
        settling("inner", -0.5, lambda y: y, updates=1, loops=1)
