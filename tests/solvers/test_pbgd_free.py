"""PBGD-Free: its update by hand, and how far off it ends."""

from functools import partial

import numpy as np
import pytest

import general_probes as probes
from penalty_probes import START, WEIGHTS, X, Y, agree, bent, ended, ly, ux, uy, weight
from upperhand.problems import steep_line, tilted_quadratic
from upperhand.solvers import pbgd_free


def test_an_update_is_the_one_by_hand():
    def by_hand():
        x, y = START
        for w in WEIGHTS:
            for _ in range(2):
                y = np.clip(y - 0.15 * (w * uy(x, y) + ly(x, y)), *Y)
            x = np.clip(x - 0.05 * ux(x, y), *X)
            yield x, y

    agree(pbgd_free(bent(), loops=2, x_step=0.05, y_step=0.15, penalty=weight), by_hand)


def test_it_ends_at_nought_where_the_best_is_minus_five():
    """T1: ∂ₓ upper = 2x, whatever y is."""
    x = ended(partial(pbgd_free, x_step=0.1), steep_line(), [1 / 15], [1.0], [0.0], 300).x
    np.testing.assert_allclose(x, 0.0, atol=1e-9)


def test_it_ends_as_far_off_as_upper_is_tilted():
    """T2: x = a at every w, where ‖∇Φ‖ is the tilt."""
    problem, start = tilted_quadratic(tilt=0.2), np.zeros(20)
    x = ended(partial(pbgd_free, x_step=0.5), problem, [0.1, 1e-3], start, start, 60).x
    sizes = [np.linalg.norm(problem.exact.hypergradient(one)) for one in x]
    np.testing.assert_allclose(sizes, 0.2, rtol=1e-9)


def test_what_cannot_move_is_refused():
    with pytest.raises(ValueError, match="pbgd_free cannot move here"):
        pbgd_free(probes.through_y().problem)
