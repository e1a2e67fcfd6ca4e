"""MA-SOBA: its update in NumPy, the exact answers of its specification, the step rule."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import light
from upperhand.problems import kinked, quadratic
from upperhand.run import run, seed_key
from upperhand.solvers import ma_soba
from upperhand.types import Scaled

A = 0.15
THEORY = {"x_step": 0.3, "pace": A, "y_step": 2 * A, "z_step": 2 * A, "average": A}


def in_numpy(x, updates, s, a, y_step, z_step, average, largest):
    """MA-SOBA on `kinked` by hand, x at most `largest`: mu = 1, c = 2, reg = ¼; y, z and h begin at 0."""
    y, z, h = np.zeros(3)
    for _ in range(updates):
        u = y - x
        direction = 0.25 * x + (1 + abs(u)) * z
        x, y, z, h = (
            x + a * (min(x - s * h, largest) - x),
            y - y_step * (u + u * abs(u) / 2),
            z - z_step * ((1 + abs(u)) * z - np.clip(y - 2, -1, 1)),
            (1 - average) * h + average * direction,
        )
    return x, y, z, h


def test_it_is_its_update_written_in_numpy():
    """With a projection that cuts: the path goes through the bound, partly, as pace says."""
    problem, key = kinked()._replace(project_x=lambda x: jnp.minimum(x, 1.0)), seed_key(0)
    solver = ma_soba(problem, x_step=2.0, pace=0.2, y_step=0.3, z_step=0.25, average=0.4)
    found = run(solver, key, solver.init(*problem.init(key)), steps=60, every=60)
    wanted = in_numpy(-3.0, 60, 2.0, 0.2, 0.3, 0.25, 0.4, 1.0)
    np.testing.assert_allclose([leaf[0] for leaf in (found.x, found.y, found.z, found.h)], wanted, rtol=1e-12)
    assert 0.99 < found.x[0] < 1  # at the bound, where the way to the kink's minimiser ends
    free = in_numpy(-3.0, 60, 2.0, 0.2, 0.3, 0.25, 0.4, np.inf)
    assert abs(free[0] - found.x[0]) > 0.1


def test_quadratic_to_rounding():
    """The specification's figures: ‖x − x*‖ = 2.7e-7 after 500 updates and 1.3e-13 after 1000; h is then ∇Φ = 0, and
    z is A⁻¹(y* − c), A and y − c from the losses themselves."""
    problem, key = quadratic(), seed_key(0)
    x_star, least = problem.exact.best()
    met = {}
    solver = ma_soba(problem, **THEORY)
    sinks = [lambda row, state: met.update({row["step"]: jax.tree.map(np.asarray, state)})]
    run(solver, key, solver.init(*problem.init(key)), steps=1000, every=500, sinks=sinks)
    assert np.linalg.norm(met[500].x - x_star) == pytest.approx(2.7e-7, rel=0.02)
    assert np.linalg.norm(met[1000].x - x_star) < 2e-13
    assert np.abs(met[1000].h).max() < 1e-12
    at = jnp.asarray(x_star), problem.exact.lower_solution(jnp.asarray(x_star)), None
    parts = light(lambda *at: (jax.hessian(problem.lower, 1)(*at), jax.grad(problem.upper, 1)(*at)))(*at)
    z_star = np.linalg.solve(*parts)
    np.testing.assert_allclose(met[1000].z, z_star, atol=1e-12)
    assert np.abs(z_star).min() > 1e-3
    assert float(problem.exact.value(jnp.asarray(met[1000].x))) == pytest.approx(least, abs=1e-14)


def test_kinked_to_rounding():
    """x* = c/(1 + reg) = 1.6, where neither loss is smooth enough for SOBA's own analysis."""
    problem, key = kinked(), seed_key(0)
    solver = ma_soba(problem, **THEORY)
    state = run(solver, key, solver.init(*problem.init(key)), steps=3000, every=3000)
    assert abs(float(state.x[0]) - 1.6) < 2e-15


def test_noise_shrinks_as_the_average_says():
    """σ = 0.5 on `kinked`, a quarter of the steps halves the mean square of h − ∇Φ; vmapped over seeds and over a."""
    problem = kinked(noise=0.5)

    def error(key, a):
        twice, once = Scaled(2.0, a), Scaled(1.0, a)
        solver = ma_soba(problem, x_step=0.3, pace=once, y_step=twice, z_step=twice, average=once)
        start = solver.init(*problem.init(key))._replace(x=jnp.array([1.6]), y=jnp.array([1.6]))

        def body(state, count):
            state, _ = solver.update(jax.random.fold_in(key, count), state)
            return state, (state.h - problem.exact.hypergradient(state.x)) ** 2

        return jnp.mean(jax.lax.scan(body, start, jnp.arange(4000))[1][2000:])

    sizes = jnp.array([0.12, 0.03])
    found = jax.jit(jax.vmap(jax.vmap(error, (None, 0)), (0, None)))(jax.random.split(jax.random.key(1), 24), sizes)
    ratio = np.log(np.mean(found, 0)[1] / np.mean(found, 0)[0]) / np.log(1 / 4)
    assert 0.8 < ratio < 1.3, ratio
