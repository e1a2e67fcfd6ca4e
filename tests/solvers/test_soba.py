"""SOBA against its update in NumPy, and at the minimiser of a quadratic problem."""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.problems import flat_direction, kinked, quadratic
from upperhand.run import run, seed_key
from upperhand.solvers import soba


def in_numpy(x, y, z, updates, x_step, y_step, z_step):
    """SOBA on `kinked` by hand: mu = 1, c = 2, reg = ¼."""
    for _ in range(updates):
        u = y - x
        dx = 0.25 * x + (1 + abs(u)) * z
        dz = (1 + abs(u)) * z - np.clip(y - 2, -1, 1)
        x, y, z = x - x_step * dx, y - y_step * (u + u * abs(u) / 2), z - z_step * dz
    return x, y, z


def test_it_is_its_update_written_in_numpy():
    problem, key = kinked(), seed_key(0)
    solver = soba(problem, x_step=0.1, y_step=0.2, z_step=0.15)
    found = run(solver, key, solver.init(*problem.init(key)), steps=40, every=40)
    wanted = in_numpy(np.array([-3.0]), np.zeros(1), np.zeros(1), 40, 0.1, 0.2, 0.15)
    np.testing.assert_allclose((found.x, found.y, found.z), wanted, rtol=1e-12)


def test_one_product_grows_along_what_lower_does_not_see():
    """z₂ ← z₂ + z_step (y₂ − 3) in every update, y₂ where it started: without bound, where GALET's z stays."""
    problem, key = flat_direction(), seed_key(2)
    solver = soba(problem, x_step=0.1, y_step=0.5, z_step=0.2)
    x, y = problem.init(key)
    state = run(solver, key, solver.init(x, y), steps=500, every=500)
    assert float(state.y[1]) == float(y[1])
    np.testing.assert_allclose(state.z[1], 500 * 0.2 * (y[1] - 3), rtol=1e-11)
    np.testing.assert_allclose((state.x[0], state.y[0]), 1, atol=1e-9)


def test_its_mean_direction_is_the_hypergradient_where_y_and_z_are_solved():
    """At y*(x) and the exact z its estimate is unbiased, and as noisy as σ² d (1 + ‖z‖²/d²) by hand."""
    problem, sigma, d = quadratic(noise=0.7), 0.7, 5
    x = jnp.linspace(-1.0, 1.0, d)
    y = problem.exact.lower_solution(x)
    z = jnp.linalg.solve(jax.hessian(quadratic().lower, 1)(x, y, None), jax.grad(quadratic().upper, 1)(x, y, None))
    solver = soba(problem)
    state = solver.init(x, y)._replace(z=z)
    told = jax.jit(jax.vmap(lambda key: solver.update(key, state)[1].hypergradient))
    draws = np.asarray(told(jax.random.split(jax.random.key(5), 10_000)))
    variance = sigma**2 * (1 + float(z @ z) / d**2)
    np.testing.assert_allclose(draws.mean(0), problem.exact.hypergradient(x), atol=5 * (variance / 10_000) ** 0.5)
    np.testing.assert_allclose(draws.var(0), variance, rtol=0.08)
