"""GALET: its update in NumPy, the valley with a singular Hessian, the bias of a cold start, a flat direction."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import light
from upperhand.problems import flat_direction, sine_valley
from upperhand.run import run, seed_key
from upperhand.solvers import galet


def derivatives(x, y):
    """Of `sine_valley` by hand: ∂_y lower, ∇²_yy lower, a."""
    e, a = x + y[0] - np.sin(y[1]), np.array([1, -np.cos(y[1])])
    return e * a, np.outer(a, a) + np.diag([0, e * np.sin(y[1])]), a


def in_numpy(x, y, updates, loops, solves, x_step, y_step, z_step, keep):
    """GALET on `sine_valley` by hand."""
    z = np.zeros(2)
    for _ in range(updates):
        for _ in range(loops):
            y = y - y_step * derivatives(x, y)[0]
        _, hessian, a = derivatives(x, y)
        z = keep * z
        for _ in range(solves):
            z = z - z_step * hessian @ (hessian @ z - a)
        x = x - x_step * (2 * x - a @ z)
    return x, y, z


def test_it_is_its_update_written_in_numpy():
    problem, key, settings = sine_valley(), seed_key(3), {"x_step": 0.1, "y_step": 0.2, "z_step": 0.1, "keep": 0.7}
    solver = galet(problem, loops=2, solves=3, **settings)
    x, y = problem.init(key)
    found = run(solver, key, solver.init(x, y), steps=25, every=25)
    wanted = in_numpy(float(x[0]), np.asarray(y), 25, 2, 3, **settings)
    np.testing.assert_allclose(np.concatenate([found.x, found.y, found.z]), np.hstack(wanted), rtol=1e-10)


@pytest.fixture(scope="module")
def ends():
    """(solves, keep) → the ends of 50 starts after 2,000 updates on `sine_valley`: z_step = 0.1."""
    problem = sine_valley()

    def end(key, solves, keep, y_step):
        solver = galet(problem, solves=solves, keep=keep, y_step=y_step)
        body = lambda _, state: solver.update(key, state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, 2000, body, solver.init(*problem.init(key)))

    keys = jax.vmap(jax.random.key)(jnp.arange(50))
    cases = {"warm": (1, 1.0, 0.2), "cold": (1, 0.0, 0.1), "long": (50, 0.0, 0.2)}
    program = lambda case: jax.jit(jax.vmap(lambda key: end(key, *case)))  # noqa: E731
    return {name: program(case)(keys) for name, case in cases.items()}


def test_a_singular_hessian_does_not_stop_it(ends):
    """x* = ½ to rounding from 50 starts, the lower residual 0; the Hessian there is of rank 1."""
    x, y = np.asarray(ends["warm"].x)[:, 0], np.asarray(ends["warm"].y)
    np.testing.assert_allclose(x, 0.5, atol=1e-15)
    np.testing.assert_allclose(x + y[:, 0] - np.sin(y[:, 1]), 0, atol=1e-13)
    values = np.linalg.eigvalsh(derivatives(x[0], y[0])[1])
    assert abs(values[0]) < 1e-12 and values[1] > 1


def test_more_steps_of_y_cure_a_step_of_z_that_is_too_long():
    """z_step = .2 is above 1/L² off the valley's floor: starts that diverge with one step of y reach ½ with ten."""
    problem, keys = sine_valley(), jax.vmap(jax.random.key)(jnp.array([109, 117, 137]))

    def end(key, loops):
        solver = galet(problem, z_step=0.2, solves=50, y_step=0.2, loops=loops)
        return jax.lax.fori_loop(0, 300, lambda _, s: solver.update(key, s)[0], solver.init(*problem.init(key))).x[0]

    once, ten = (light(jax.vmap(partial(end, loops=loops)))(keys) for loops in (1, 10))
    assert not np.isfinite(once).any()
    np.testing.assert_allclose(ten, 0.5, atol=1e-15)


@pytest.mark.parametrize(("case", "solves"), [("cold", 1), ("long", 50)])
def test_a_cold_start_is_a_bias_of_known_size(ends, case, solves):
    """x = ½ (1 − (1 − z_step q²)^solves), q = 1 + cos² y₂, where y₂ has ended."""
    x, y = np.asarray(ends[case].x)[:, 0], np.asarray(ends[case].y)
    q = 1 + np.cos(y[:, 1]) ** 2
    np.testing.assert_allclose(x, 0.5 * (1 - (1 - 0.1 * q**2) ** solves), atol=1e-12)
    assert np.abs(x - 0.5).max() > (0.3 if solves == 1 else 1e-3)


def test_a_direction_that_lower_does_not_see_stays_where_it_was():
    """All residuals are 0 at the end, and y₂ is not the designer's 3: ‖∂ₓ upper − ∇²_xy z‖², ‖H(∂_y upper − H z)‖² with
    H = diag(1, 0), and lower, by hand."""
    problem, key = flat_direction(), seed_key(2)
    solver = galet(problem, y_step=0.5, z_step=0.5)
    x, y = problem.init(key)
    state = run(solver, key, solver.init(x, y), steps=1000, every=1000)
    np.testing.assert_allclose(np.append(state.x, state.y[0]), 1, atol=1e-12)
    assert float(state.y[1]) == float(y[1]) and abs(float(y[1]) - 3) > 1
    assert float(problem.upper(state.x, state.y, None)) > 0.5
    x, y, z = map(np.asarray, (state.x[0], state.y, state.z))
    assert max(z[0] ** 2, (y[0] - 1 - z[0]) ** 2, (y[0] - x) ** 2 / 2) < 1e-24
