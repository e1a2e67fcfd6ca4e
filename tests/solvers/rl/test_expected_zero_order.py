"""The zero-order method in expectation: its dx is the exact slope along its direction; it goes downhill."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from test_expected_actor_critic import corner, light
from test_hpgd import downhill

from probes import rmdp6
from upperhand.hypergradients.directions import direction
from upperhand.solvers.rl import expected_zero_order


def test_its_estimate_is_the_exact_slope_along_a_random_direction():
    """dx = (∇Φ·Z) Z on RMDP-6 at τ = 0.5, h = 1e-4, 20 updates at a held x: to 1e-6."""
    problem, x = rmdp6()
    solver = expected_zero_order(problem, radius=1e-4, temperature=0.5, x_step=optax.set_to_zero())

    @light
    def go(key):
        state = solver.init(*problem.init(key))
        told = jax.lax.scan(lambda state, key: solver.update(key, state), state, jax.random.split(key, 20))[1]
        return told.hypergradient[-1], told.upper[-1], direction(jax.random.split(key, 20)[-1], state.x)

    dx, upper, z = go(jax.random.key(5))
    exact = light(lambda x: (problem.exact.hypergradient(x, 0.5), problem.exact.value(x, 0.5)))(jnp.asarray(x))
    np.testing.assert_allclose(dx, (exact[0] @ z) * z, rtol=1e-6)
    np.testing.assert_allclose(upper, exact[1], rtol=1e-6)


def test_it_ends_near_the_best_goal():
    """From two starts that are more than 0.5 above the best, by its defaults: within 0.01."""
    found, before = downhill(expected_zero_order(corner(), steps=500), 500)
    assert (before > 0.5).all() and (found < 0.01).all(), found
