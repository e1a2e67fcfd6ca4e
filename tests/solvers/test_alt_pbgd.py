"""ALT-PBGD: its update by hand, the counterexample to PBGD-Free, and a hypergradient that no w bends."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import light
from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, lx, ly, scalars, ux, uy, weight
from upperhand.problems import steep_line, tilted_quadratic
from upperhand.solvers import alt_pbgd
from upperhand.types import Scaled


def test_an_update_is_the_one_by_hand():
    def by_hand():
        x, y = START
        yw = y
        for w in WEIGHTS:
            for _ in range(3):
                y = np.clip(y - 0.15 * ly(x, y), *Y)
                yw = np.clip(yw - 0.15 * (w * uy(x, yw) + ly(x, yw)), *Y)
            dx = ux(x, yw) + (lx(x, yw) - lx(x, y)) / w
            x = np.clip(x - 0.1 * dx, *X)
            yield x, y

    agree(alt_pbgd(bent(), loops=3, x_step=0.1, y_step=0.15, penalty=weight), by_hand)


def test_it_finds_the_best_x_of_the_counterexample():
    """T1: x = −5, y = x − 1 = −6, yw = x − 1 − 5w = −6.3333 at w = 1/15."""
    state = ended(partial(alt_pbgd, x_step=0.01), steep_line(), [1 / 15], [1.0], [0.0], 2000)
    np.testing.assert_allclose(state.x[0], -5.0, atol=1e-9)
    np.testing.assert_allclose([state.y[0, 0], state.yw[0, 0]], [-6.0, -6 - 1 / 3], atol=1e-9)


def test_on_a_tilted_quadratic_one_step_size_and_any_w_end_at_the_best():
    """T2: ∇F_w = ∇Φ for every w; x_step = .5 halves the error in an update, 12 of them bring ‖∇Φ‖ from 2.92 to 1e-3."""
    problem, weights = tilted_quadratic(), [0.1, 0.01, 1e-3]
    make = partial(alt_pbgd, loops=60, x_step=0.5, y_step=0.2)
    start = np.zeros(20)
    x_star = problem.exact.best()[0]
    x = ended(make, problem, weights, start, start, 12).x
    away = np.linalg.norm(np.asarray(x) - x_star, axis=1)
    np.testing.assert_allclose(away, np.linalg.norm(x_star) / 2**12, rtol=0.01)
    assert np.all(away < 1e-3) and np.all(2 * away > 1e-3)


@pytest.mark.parametrize(("loops", "updates"), [(1, 13), (5, 12)])
def test_few_inner_steps_are_enough_there(loops, updates):
    """E1: ‖∇Φ‖ ≤ 1e-3 after 13 updates with one inner step, after 12 with five, at every w."""
    problem, start = tilted_quadratic(), np.zeros(20)

    def path(w):
        solver = alt_pbgd(problem, loops=loops, x_step=0.5, y_step=0.2, penalty=Scaled(1.0, w))

        def body(state, _):
            state = solver.update(jax.random.key(0), state)[0]
            return state, jnp.linalg.norm(problem.exact.hypergradient(state.x))

        return jax.lax.scan(body, solver.init(jnp.asarray(start), jnp.asarray(start)), None, 15)[1]

    sizes = np.asarray(light(jax.vmap(path))(jnp.array([0.1, 0.01, 1e-3])))
    np.testing.assert_array_equal((sizes <= 1e-3).argmax(1) + 1, updates)


def test_from_exact_copies_the_hypergradient_is_exact_at_every_w():
    """T2: F_w = ½‖x − a‖² + s qᵀBx − (w s²/2) qᵀA⁻¹q, whose gradient is ∇Φ: yw = Bx − w s A⁻¹q stays where it is."""
    problem, x, weights = tilted_quadratic(tilt=0.3), np.linspace(-1.0, 2.0, 20), np.array([0.1, 0.01, 1e-3])

    def told(x, w):
        y = problem.exact.lower_solution(x)
        slope = jax.grad(problem.upper, 1)(x, y, None)  # s q, the same everywhere
        away = jnp.linalg.solve(jax.hessian(problem.lower, 1)(x, y, None), slope)
        solver = alt_pbgd(problem, loops=3, y_step=0.2, penalty=Scaled(1.0, w))
        state = solver.init(x, y)._replace(yw=y - w * away)
        after, info = solver.update(jax.random.key(0), state)
        value = (w * problem.upper(x, after.yw, None) + problem.lower(x, after.yw, None) - info.lower) / w
        wanted = problem.exact.hypergradient(x), problem.exact.value(x) - w * jnp.vdot(slope, away) / 2
        return info.hypergradient, value, after.yw - state.yw, *wanted

    dx, value, moved, right, formula = light(jax.vmap(told, (None, 0)))(jnp.asarray(x), jnp.asarray(weights))
    np.testing.assert_allclose(dx, right, atol=1e-10)
    np.testing.assert_allclose(value, formula, rtol=1e-11)
    assert np.ptp(np.asarray(value)) > 1e-4
    np.testing.assert_allclose(moved, 0, atol=1e-14)


def test_the_hypergradient_is_as_flat_as_the_value():
    """T4: upper = ½x², lower = (y − x)²: the joint penalty has curvature 1 + 2/w in x, but dx = x for every w."""
    problem = scalars(lambda x, y: x**2 / 2, lambda x, y: (y - x) ** 2)
    weights = np.array([1.0, 1e-2, 1e-4, 1e-6])
    x = ended(partial(alt_pbgd, x_step=0.5, loops=1), problem, weights, [1.0], [3.0], 3).x[:, 0]
    np.testing.assert_allclose(x, 1 / 8, rtol=1e-9)
    assert jnp.ndim(x) == 1
