"""G-PBGD: its update by hand, penalised minimisers in closed form, and the trap."""

from functools import partial

import numpy as np

from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, ly, pulled, scalars, trap, ux, uy, weight
from upperhand.solvers import g_pbgd

W = np.array([1.0, 0.3, 0.1])


def test_an_update_is_the_one_by_hand():
    """With ∇²_xy lower = −2x and ∇²_yy lower = 1 + 3y²."""

    def by_hand():
        x, y = START
        for w in WEIGHTS:
            n, scale = ly(x, y), min(w, 1.0)
            dx, dy = ux(x, y) - 2 * x * n / w, uy(x, y) + (1 + 3 * y**2) * n / w
            x, y = np.clip(x - 0.2 * scale * dx, *X), np.clip(y - 0.3 * scale * dy, *Y)
            yield x, y

    agree(g_pbgd(bent(), x_step=0.2, y_step=0.3, penalty=weight), by_hand)


def test_the_penalty_has_its_half():
    """upper = y, lower = y²: y + (1/2w)(2y)² is least at −w/4; without the ½ it would be −w/8."""
    problem = scalars(lambda x, y: y, lambda x, y: y**2)
    y = ended(partial(g_pbgd, y_step=0.2), problem, W, [0.0], [1.0], 300).y[:, 0]
    np.testing.assert_allclose(y, -W / 4, rtol=1e-9)


def test_on_quadratics_of_curvature_one_it_ends_where_v_pbgd_does():
    """P2, as of v_pbgd."""
    a, b = 1.0, -0.6
    state = ended(partial(g_pbgd, x_step=0.3, y_step=0.3), pulled(a, b), W, [2.0], [0.0], 3000)
    x, y = state.x[:, 0], state.y[:, 0]
    np.testing.assert_allclose(y - x, W * (b - a) / (W + 2), rtol=1e-9)
    np.testing.assert_allclose(x, (a + b) / 2 - W * (b - a) / (2 * (W + 2)), rtol=1e-9)


def test_it_stays_where_lower_has_no_curvature():
    """P4: y = 2π/3, where ∇²_yy lower = 2 + 4 cos 2y = 0 and upper is least, though lower's only solution is 0."""
    y = ended(partial(g_pbgd, y_step=0.02), trap(), [1.0, 0.1, 1e-3], [0.0], [2.2], 4000).y[:, 0]
    np.testing.assert_allclose(y, 2 * np.pi / 3, rtol=1e-8)
