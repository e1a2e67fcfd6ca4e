"""Brute force on losses whose minimum is known by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.forms import Exact
from upperhand.hypergradients.enumeration import lattice, polished, values

CENTRE = np.array([0.3, -1.7])


def bowl(x, tau):
    """τ‖x − centre‖² + 1."""
    return tau * jnp.sum((x - CENTRE) ** 2) + 1.0


@pytest.fixture(scope="module")
def oracle():
    return Exact(2.0, lambda x, tau: x, bowl, jax.grad(bowl))


def test_values_at_the_oracles_temperature_and_at_another(oracle):
    points = np.random.default_rng(0).normal(size=(7, 2))
    distance = ((points - CENTRE) ** 2).sum(-1)
    np.testing.assert_allclose(values(oracle, points), 2 * distance + 1, rtol=1e-13)
    np.testing.assert_allclose(values(oracle, points, 0.5), 0.5 * distance + 1, rtol=1e-13)


def test_values_are_float64_where_the_rest_is_float32(oracle):
    points = np.array([[0.3, -1.7 + 1e-6]])
    with jax.enable_x64(False):
        found = values(oracle, points)
    assert found.dtype == np.float64
    assert found[0] - 1 == pytest.approx(2e-12, rel=1e-3)


def test_lattice():
    points = lattice((np.array([0.0, 1.0]), np.array([5.0, 6.0, 7.0])))
    np.testing.assert_array_equal(points, [[0, 5], [0, 6], [0, 7], [1, 5], [1, 6], [1, 7]])
    assert lattice([np.arange(3.0)] * 3).shape == (27, 3)


def test_polished_finds_the_bottom(oracle):
    x, best = polished(oracle, lattice((np.linspace(-3, 3, 4),) * 2))
    np.testing.assert_allclose(x, CENTRE, atol=1e-5)
    assert best == pytest.approx(1, abs=1e-9)


def test_polished_stays_within_its_bounds(oracle):
    """The nearest point of the square to the centre: (0.3, 0)."""
    x, best = polished(oracle, lattice((np.linspace(0, 2, 3),) * 2), bounds=(0.0, 2.0))
    np.testing.assert_allclose(x, [0.3, 0], atol=1e-5)
    assert best == pytest.approx(2 * 1.7**2 + 1)


def test_polished_tries_more_than_the_best_point():
    """Two wells: the deeper one is under the candidate that looks second best."""
    wells = lambda x, tau: jnp.sum((x**2 - 1) ** 2 + 0.3 * x)  # noqa: E731
    oracle = Exact(1.0, lambda x, tau: x, wells, jax.grad(wells))
    points = np.array([[0.95], [-0.3]])  # 0.29 and 0.74
    x, best = polished(oracle, points)
    roots = np.roots([4, 0, -4, 0.3]).real
    wanted = min(roots, key=lambda x: (x**2 - 1) ** 2 + 0.3 * x)
    assert x[0] == pytest.approx(wanted, abs=1e-5)
    assert polished(oracle, points, most=1)[1] > best + 0.1
