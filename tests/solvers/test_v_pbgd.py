"""V-PBGD: its update by hand, and penalised minimisers in closed form."""

from functools import partial

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, lx, ly, pulled, scalars, trap, ux, uy, weight
from upperhand.forms import Bilevel
from upperhand.solvers import v_pbgd

W = np.array([1.0, 0.3, 0.1])


def test_an_update_is_the_one_by_hand():
    def by_hand():
        x, y = START
        omega = y
        for w in WEIGHTS:
            for _ in range(2):
                omega = np.clip(omega - 0.15 * ly(x, omega), *Y)
            dx = ux(x, y) + (lx(x, y) - lx(x, omega)) / w
            dy = uy(x, y) + ly(x, y) / w
            scale = min(w, 1.0)
            x, y = np.clip(x - 0.2 * scale * dx, *X), np.clip(y - 0.3 * scale * dy, *Y)
            yield x, y

    agree(v_pbgd(bent(), loops=2, x_step=0.2, y_step=0.3, omega_step=0.15, penalty=weight), by_hand)


def test_the_gap_of_a_linear_upper_is_a_quarter_of_w_squared():
    """P1: upper = y, lower = y²: y = −w/2, the tight case of the law of the gap."""
    problem = scalars(lambda x, y: y, lambda x, y: y**2)
    y = ended(partial(v_pbgd, y_step=0.4), problem, W, [0.0], [1.0], 300).y[:, 0]
    np.testing.assert_allclose(y, -W / 2, rtol=1e-9)
    np.testing.assert_allclose(y**2, W**2 / 4, rtol=1e-9)


def test_the_global_law_of_the_gap_holds():
    """P1 has L = ρ = 1: y² ≤ ε₁/(1/w − 1/(4 ε₁)) for every ε₁ > w/4, of which ε₁ = w/2 is the sharpest, w²."""
    problem = scalars(lambda x, y: y, lambda x, y: y**2)
    y = ended(partial(v_pbgd, y_step=0.4), problem, W, [0.0], [1.0], 300).y
    share = np.array([0.251, 0.3, 0.5, 1.0, 10.0]) * W[:, None]
    bound = share / (1 / W[:, None] - 1 / (4 * share))
    assert np.all(np.asarray(y) ** 2 <= bound)
    np.testing.assert_allclose(bound.min(1), W**2, rtol=1e-12)


def test_quadratics_end_at_the_penalised_minimiser():
    """P2: y − x = w(b − a)/(w + 2), x = (a + b)/2 − w(b − a)/(2(w + 2)); the gap is half the square of the first."""
    a, b = 1.0, -0.6
    state = ended(partial(v_pbgd, x_step=0.3, y_step=0.3, omega_step=0.5), pulled(a, b), W, [2.0], [0.0], 3000)
    x, y = state.x[:, 0], state.y[:, 0]
    np.testing.assert_allclose(y - x, W * (b - a) / (W + 2), rtol=1e-9)
    np.testing.assert_allclose(x, (a + b) / 2 - W * (b - a) / (2 * (W + 2)), rtol=1e-9)


def test_a_copy_that_starts_anew_from_y_is_a_bias():
    """P2, the theory's form: two steps of .9 leave .01 (y − x), so y − x = w(b − a)/(w + 1.99): the gap is 1 % off."""
    a, b, weights = 1.0, -0.6, [0.1, 0.01]

    def anew(problem, **settings):
        solver = v_pbgd(problem, loops=2, x_step=0.3, y_step=0.3, omega_step=0.9, **settings)
        return solver._replace(update=lambda key, state: solver.update(key, state._replace(omega=state.y)))

    state = ended(anew, pulled(a, b), weights, [2.0], [0.0], 8000)
    found, w = (state.y - state.x)[:, 0], np.array(weights)
    np.testing.assert_allclose(found, w * (b - a) / (w + 1.99), rtol=1e-9)
    np.testing.assert_allclose((found * (w + 2) / (w * (b - a))) ** 2, 1.01, atol=1e-3)


def test_it_is_not_trapped_where_lower_has_no_curvature():
    """P4: from 2.2 it goes on to the minimiser near 0, found by bisection; other code had −.166, −.0147, −.00014."""
    weights = np.array([1.0, 0.1, 1e-3])
    y = ended(partial(v_pbgd, y_step=0.1), trap(), weights, [0.0], [2.2], 1000).y[:, 0]
    slope = lambda y, w: np.sin(2 * (y - 2 * np.pi / 3)) + (2 * y + 2 * np.sin(2 * y)) / w  # noqa: E731
    np.testing.assert_allclose(y, [brentq(slope, -0.5, 0.1, (w,), xtol=1e-15) for w in weights], rtol=1e-8)
    np.testing.assert_allclose(y, [-0.166, -0.0147, -0.00014], rtol=0.04)


def test_a_bounded_lower_level_has_no_error_where_the_bound_holds_y():
    """P5: lower = ½(y − x)², y ∈ [0, 1], x ∈ [0, 3], upper pulls both to 2: x = 2 and y = 1 at every w."""
    problem = pulled(2.0, 2.0)._replace(
        project_x=lambda x: jnp.clip(x, 0, 3), project_y=lambda y: jnp.clip(y, 0.0, 1.0)
    )
    state = ended(partial(v_pbgd, x_step=0.3, y_step=0.3, omega_step=0.5), problem, W, [0.0], [0.0], 2000)
    np.testing.assert_allclose(state.x[:, 0], 2.0, atol=1e-9)
    np.testing.assert_allclose(state.y[:, 0], 1.0, atol=1e-9)


def test_it_takes_the_solution_that_upper_likes_best():
    """lower = ½(y₁ − x)² leaves y₂ free, upper = ½(y₁ − 1)² + ½(y₂ − 3)²: x = y₁ = 1, y₂ = 3."""
    problem = Bilevel(
        lambda key: (jnp.zeros(1), jnp.zeros(2)),
        lambda x, y, batch: jnp.sum((y - jnp.asarray([1.0, 3.0])) ** 2) / 2,
        lambda x, y, batch: (y[0] - x[0]) ** 2 / 2,
    )
    make = partial(v_pbgd, x_step=0.3, y_step=0.3, omega_step=0.5)
    state = ended(make, problem, [0.3], [-1.0], [0.0, -2.0], 1000)
    np.testing.assert_allclose(np.append(state.x[0], state.y[0]), [1.0, 1.0, 3.0], atol=1e-9)
