"""AID: its update in NumPy, exact hypergradients after enough conjugate gradients, the bias of a ridge."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from contract import light
from upperhand.problems import quadratic, sine_valley
from upperhand.run import run, seed_key
from upperhand.solvers import aid


def in_numpy(problem, x, updates, loops, solves, x_step, y_step, ridge):
    """AID on `quadratic` by hand; matrices are differences of linear gradients, conjugate gradients as in any book."""
    d, slope = len(x), lambda x, y: np.asarray(jax.grad(problem.lower, 1)(jnp.asarray(x), jnp.asarray(y), None))
    zero = np.zeros(d)
    curvature, cross = (
        np.stack([slope(*at(row)) for row in np.eye(d)]) for at in (lambda r: (zero, r), lambda r: (r, zero))
    )
    c = -np.asarray(jax.grad(problem.upper, 1)(jnp.zeros(d), jnp.zeros(d), None))
    matrix, y, z = curvature + ridge * np.eye(d), np.zeros(d), np.zeros(d)
    for _ in range(updates):
        for _ in range(loops):
            y = y - y_step * (curvature @ y + cross.T @ x)
        p = rest = y - c - matrix @ z
        for _ in range(solves):
            step = rest @ rest / (p @ matrix @ p)
            z, after = z + step * p, rest - step * matrix @ p
            p, rest = after + after @ after / (rest @ rest) * p, after
        x = x - x_step * (0.5 * x - cross @ z)
    return x, y, z


def test_it_is_its_update_written_in_numpy():
    problem, key, settings = quadratic(spread=1.0), seed_key(4), {"x_step": 0.2, "y_step": 0.3, "ridge": 0.05}
    solver = aid(problem, loops=3, solves=2, **settings)
    x, y = problem.init(key)
    found = run(solver, key, solver.init(x, y), steps=12, every=12)
    wanted = in_numpy(problem, np.asarray(x), 12, 3, 2, **settings)
    np.testing.assert_allclose((found.x, found.y, found.z), wanted, rtol=1e-9, atol=1e-12)


def test_at_the_answer_five_conjugate_gradients_give_the_exact_hypergradient():
    problem = quadratic(spread=1.0)
    x, _ = problem.init(jax.random.key(1))
    solver = aid(problem, loops=1, solves=5)
    info = jax.jit(lambda key: solver.update(key, solver.init(x, problem.exact.lower_solution(x)))[1])(seed_key(0))
    np.testing.assert_allclose(info.hypergradient, problem.exact.hypergradient(x), rtol=1e-10)


def test_a_ridge_biases_the_valley_by_what_is_known():
    """x = ½ q/(q + ridge), q = 1 + cos² y₂ where y₂ has ended, from 20 starts at each ridge; without one it is ½."""
    problem, keys = sine_valley(), jax.vmap(jax.random.key)(jnp.arange(20))

    def end(key, ridge):
        solver = aid(problem, loops=1, solves=3, y_step=0.2, ridge=ridge)
        body = lambda _, state: solver.update(key, state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, 2000, body, solver.init(*problem.init(key)))

    for ridge in (0.0, 1e-3, 0.1, 1.0):
        state = light(jax.vmap(partial(end, ridge=ridge)))(keys)
        q = 1 + np.cos(np.asarray(state.y)[:, 1]) ** 2
        np.testing.assert_allclose(np.asarray(state.x)[:, 0], 0.5 * q / (q + ridge), atol=1e-10)
