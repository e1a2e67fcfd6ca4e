"""PBGD-Free under coupled constraints: right where upper is flat in y, and how far off it ends where it is not."""

from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from penalty_probes import ended
from upperhand.problems import coupled_line
from upperhand.solvers import pbgd_free_coupled

MAKE = partial(pbgd_free_coupled, x_step=0.2, y_step=0.4, multiplier_step=1.0)


def test_it_ends_at_one_whatever_upper_asks_of_y():
    """T3: ∂ₓ upper = x − 1, where the best x is .4; y = 3x, and its multiplier is 2x + s w."""
    w = np.array([0.3, 0.01])
    state = ended(MAKE, coupled_line(steepness=0.2), w, [1.5], [0.0], 200)
    np.testing.assert_allclose(state.x[:, 0], 1.0, atol=1e-8)
    np.testing.assert_allclose(state.y[:, 0], 3.0, atol=1e-8)
    np.testing.assert_allclose(state.dual.m[:, 0], 2 + 0.2 * w, atol=1e-8)


def test_where_upper_is_flat_in_y_it_finds_the_best():
    """Without steepness the best x is 1, and the oracle says so."""
    problem = coupled_line(steepness=0.0)
    x = ended(MAKE, problem, [0.1], [0.3], [0.0], 200).x
    np.testing.assert_allclose(x[0], problem.exact.best()[0], atol=1e-8)


def test_what_cannot_move_is_refused():
    """The same constraint, and an upper that sees x through y alone."""
    problem = coupled_line()._replace(upper=lambda x, y, batch: jnp.sum((y - 1) ** 2))
    with pytest.raises(ValueError, match="pbgd_free_coupled cannot move here"):
        pbgd_free_coupled(problem)
