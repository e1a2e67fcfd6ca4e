"""Prox-linear descent: its update by hand, an exact penalty at a weight above 0, and where it is none."""

from functools import partial

import jax.numpy as jnp
import numpy as np

from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, ly, pulled, scalars, trap, ux, uy, weight
from upperhand.solvers import prox_linear


def test_an_update_is_the_one_by_hand():
    """∇²_xy lower = −2x and ∇²_yy lower = 1 + 3y², both diagonal here; c, J and the dual written out."""

    def by_hand():
        (x, y), p, wide, reach = START, np.zeros(2), np.ones(2) / np.sqrt(2), 0.3
        for w in WEIGHTS:
            jx, jy, c, near = -2 * x, 1 + 3 * y**2, ly(x, y), lambda p, w=w: p * min(1, 1 / w / np.linalg.norm(p))
            spread = (jx**2 + jy**2) * wide
            width = np.linalg.norm(spread)

            def moved(p, x=x, y=y, jx=jx, jy=jy):
                return (
                    np.clip(x - reach * (ux(x, y) + jx * p), *X),
                    np.clip(y - reach * (uy(x, y) + jy * p), *Y),
                )

            p = near(p) if p.any() else p
            for _ in range(3):
                to_x, to_y = moved(p)
                p = near(p + (c + jx * (to_x - x) + jy * (to_y - y)) / (reach * width))
            to_x, to_y = moved(p)
            x, y, wide = to_x, y + 0.6 * (to_y - y), spread / width
            yield x, y

    agree(prox_linear(bent(), solves=3, reach=0.3, y_step=0.6, penalty=weight), by_hand)


def test_of_a_norm_it_is_the_soft_threshold():
    """P6: upper = y, ∂_y lower = y. An update ends at soft(y − step, step/w): at 0 for 1/w > 1, else it runs away."""
    problem, step = scalars(lambda x, y: y, lambda x, y: y**2 / 2), 0.25
    make = partial(prox_linear, reach=step, solves=1)
    w = np.array([0.5, 0.9, 2.0])
    start = np.array([2.0])
    once = ended(make, problem, w, [0.0], start, 1).y[:, 0]
    away = start - step
    np.testing.assert_allclose(once, np.sign(away) * np.maximum(abs(away) - step / w, 0), atol=1e-15)
    far = ended(make, problem, w, [0.0], start, 100).y[:, 0]
    np.testing.assert_allclose(far[:2], 0, atol=1e-15)
    still = -step * (1 - 1 / w[2])  # each update below 0
    np.testing.assert_allclose(far[2], ended(make, problem, w, [0.0], start, 99).y[2, 0] + still, rtol=1e-12)
    assert far[2] < -8


def test_it_is_exact_at_a_weight_above_zero():
    """P2: x = y = (a + b)/2 and multiplier (b − a)/2 = −.8, for every 1/w above .8; a squared norm is off by O(w)."""
    a, b = 1.0, -0.6
    w = np.array([1.2, 0.3, 0.01])
    state = ended(partial(prox_linear, reach=0.3), pulled(a, b), w, [2.0], [0.0], 300)
    np.testing.assert_allclose(state.x[:, 0], (a + b) / 2, atol=1e-12)
    np.testing.assert_allclose(state.y[:, 0], (a + b) / 2, atol=1e-12)
    np.testing.assert_allclose(state.p[:, 0], b - (a + b) / 2, atol=1e-10)  # c = y − x: p + ∂_y upper = 0, y − b = .8


def test_with_too_small_a_multiplier_the_penalty_gives_way():
    """P2 with 1/w = .4 < .8: least where x − a = 1/w = b − y, by hand: both are pulled by .4."""
    state = ended(partial(prox_linear, reach=0.3), pulled(1.0, -0.6), [2.5], [2.0], [0.0], 300)
    np.testing.assert_allclose([state.x[0, 0], state.y[0, 0]], [1 - 0.4, -0.6 + 0.4], atol=1e-12)


def test_sets_are_kept_inside_the_step():
    """P5: y in [0, 1], x in [0, 3], lower = ½(y − x)²; both losses are least at x = 2, where y* = 1 is on its bound.

    ∂_y lower = −1 there, not 0: the norm is no penalty of this problem, and x is pulled below 2, to where the pull
    x − 2 = −1/w·(−1)·sign of the residual; at 1/w = ½ by hand x = 2 − ½."""
    problem = scalars(
        lambda x, y: ((x - 2) ** 2 + (y - 2) ** 2) / 2,
        lambda x, y: (y - x) ** 2 / 2,
        project_x=lambda x: jnp.clip(x, 0, 3),
        project_y=lambda y: jnp.clip(y, 0, 1),
    )
    state = ended(partial(prox_linear, reach=0.3, solves=40), problem, [2.0], [0.5], [0.2], 300)
    np.testing.assert_allclose([state.x[0, 0], state.y[0, 0]], [1.5, 1.0], atol=1e-9)


def test_it_stays_where_lower_has_no_curvature():
    """P4: |∂_y lower| is least at y = 2π/3 near it, and so is upper, for every w; lower's only solution is 0."""
    y = ended(partial(prox_linear, reach=0.002), trap(), [1.0, 0.1, 0.01], [0.0], [2.2], 4000).y[:, 0]
    np.testing.assert_allclose(y, 2 * np.pi / 3, rtol=1e-6)
