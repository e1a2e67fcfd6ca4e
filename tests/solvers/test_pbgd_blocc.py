"""PBGD-BLOCC: the answer with its multipliers in closed form, and a constraint that does nothing."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from penalty_probes import ended, pulled
from upperhand.problems import coupled_line
from upperhand.solvers import pbgd_blocc


@pytest.mark.parametrize(("steepness", "best"), [(0.05, 0.85), (0.2, 0.4)])
def test_a_constraint_that_holds_y(steepness, best):
    """T3: x = 1 − 3s; y = yw = 3x, multipliers 2x of lower and 2x + s w of w upper + lower."""
    make = partial(pbgd_blocc, rounds=10, loops=5, x_step=0.2, y_step=0.4, multiplier_step=1.0)
    w = np.array([0.3, 0.01])
    state = ended(make, coupled_line(steepness=steepness), w, [1.5], [0.0], 200)
    np.testing.assert_allclose(state.x[:, 0], best, atol=1e-8)
    np.testing.assert_allclose(np.append(state.y, state.yw), 3 * best, atol=1e-8)
    np.testing.assert_allclose(state.dual.m[:, 0], 2 * best, atol=1e-8)
    np.testing.assert_allclose(state.dual_w.m[:, 0], 2 * best + steepness * w, atol=1e-8)


def test_a_constraint_that_does_not_hold_costs_nothing_but_its_floor():
    """y ≤ 9 beside the quadratics of P2: x = (a + b)/2 − the error of w; a floor m bends yw and y alike, by −m."""
    problem = pulled(1.0, -0.6)._replace(constraint=lambda x, y: y - 9)
    make = partial(pbgd_blocc, rounds=5, loops=5, x_step=0.3, y_step=0.5)
    w = np.array([0.5, 0.05])
    free = ended(make, problem, w, [2.0], [0.0], 300)
    a, b = 1.0, -0.6
    assert np.all(np.asarray(free.dual.m) == 0)
    # F_w = ½(x − a)² + ½(x − b)²/(1 + w), by hand
    np.testing.assert_allclose(free.x[:, 0], (a * (1 + w) + b) / (2 + w), rtol=1e-8)
    bent = ended(partial(make, floor=1e-2), problem, w, [2.0], [0.0], 300)
    np.testing.assert_allclose(bent.y - bent.x, -1e-2, rtol=1e-6)
    assert jnp.all(bent.dual.m == 1e-2)
