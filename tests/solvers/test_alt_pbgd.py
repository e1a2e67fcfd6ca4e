"""ALT-PBGD: its update by hand, the counterexample to PBGD-Free, and a hypergradient that no w bends."""

from functools import partial

import jax.numpy as jnp
import numpy as np

from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, lx, ly, scalars, ux, uy, weight
from upperhand.problems import steep_line, tilted_quadratic
from upperhand.solvers import alt_pbgd


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


def test_the_hypergradient_is_as_flat_as_the_value():
    """T4: upper = ½x², lower = (y − x)²: the joint penalty has curvature 1 + 2/w in x, but dx = x for every w."""
    problem = scalars(lambda x, y: x**2 / 2, lambda x, y: (y - x) ** 2)
    weights = np.array([1.0, 1e-2, 1e-4, 1e-6])
    x = ended(partial(alt_pbgd, x_step=0.5, loops=1), problem, weights, [1.0], [3.0], 3).x[:, 0]
    np.testing.assert_allclose(x, 1 / 8, rtol=1e-9)
    assert jnp.ndim(x) == 1
