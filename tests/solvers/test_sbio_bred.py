"""SBiO-BreD: its updates in NumPy, from the same random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
from bred_by_hand import averaged, drawn, soft

from contract import light
from upperhand.problems import noisy_lasso
from upperhand.solvers import sbio_bred


def test_updates_in_numpy():
    """Four updates: n and dx are means of E6 at the old y, then y's plain step and x's soft threshold."""
    problem, L, terms, size = noisy_lasso(batch=2), 3.0, 5, 0.2
    solver = sbio_bred(problem, batch=3, terms=terms, smoothness=L, x_step=size, y_step=0.1)
    x, y = np.random.default_rng(0).normal(size=(2, 10))
    state, update = solver.init(jnp.asarray(x), jnp.asarray(y)), light(solver.update)
    for t in range(4):
        key = jax.random.key(t)
        state, info = update(key, state)
        batch = [drawn(problem, each, terms, jnp.asarray(x), jnp.asarray(y)) for each in jax.random.split(key, 3)]
        dx, dy = averaged(batch, terms, L, x, y)
        x, y = soft(x - size * dx, size * 0.3), y - 0.1 * dy
        np.testing.assert_allclose(info.hypergradient, dx, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(state.x, x, rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(state.y, y, rtol=1e-11, atol=1e-13)
        assert float(info.cost.products) == sum(k + 1 for k, _, _ in batch)
        assert float(info.cost.samples) == 3 * (2 + terms * 2)
