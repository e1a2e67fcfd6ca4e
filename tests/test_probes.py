"""The ladder of probes: the exact half of the package against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from probes import LADDER
from upperhand.hypergradients import bellman, penalty, two_sided


def flat(x) -> np.ndarray:
    return np.asarray(ravel_pytree(jax.tree.map(jnp.asarray, x))[0])


@pytest.fixture(params=LADDER, ids=lambda probe: probe.__name__, scope="module")
def probe(request):
    return request.param()


@pytest.fixture(scope="module")
def points(probe):
    """The start, the minimiser, and three random points, each like x."""
    x0, _ = probe.problem.init(jax.random.key(0))
    vector, unravel = ravel_pytree(x0)
    rng = np.random.default_rng(7)
    others = [unravel(jnp.asarray(rng.normal(size=vector.shape))) for _ in range(3)]
    return [x0, jax.tree.map(jnp.asarray, probe.x_star), *others]


def test_oracle_equals_the_closed_forms(probe, points):
    oracle, tau = probe.problem.exact, probe.tau
    both = jax.jit(lambda x: (oracle.lower_solution(x, tau), oracle.value(x, tau), oracle.hypergradient(x, tau)))
    for x in points:
        pi, value, dx = both(x)
        numbers = jax.tree.map(np.asarray, x)
        np.testing.assert_allclose(pi, probe.policy(numbers), rtol=1e-10)
        np.testing.assert_allclose(value, probe.value(numbers), rtol=1e-10)
        assert jax.tree.structure(dx) == jax.tree.structure(x)
        np.testing.assert_allclose(flat(dx), flat(probe.hypergradient(numbers)), rtol=1e-8, atol=1e-10)


def test_bellman_at_the_closed_form_policy(probe, points):
    both = jax.jit(lambda x, pi: bellman(probe.problem, x, pi, probe.tau))
    for x in points:
        numbers = jax.tree.map(np.asarray, x)
        value, dx = both(x, jnp.asarray(probe.policy(numbers)))
        np.testing.assert_allclose(value, probe.value(numbers), rtol=1e-12)
        np.testing.assert_allclose(flat(dx), flat(probe.hypergradient(numbers)), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("method", "order"), [(penalty, 1), (two_sided, 2)], ids=["penalty", "two_sided"])
def test_penalties_approach_the_closed_form(probe, points, method, order):
    """Ten times less w takes the error down by 10^order; where y* is constant only ∂ₓ upper is off."""
    estimate = jax.jit(lambda x, w: method(probe.problem, x, probe.tau, w))
    for x in points[2:]:
        truth = flat(probe.hypergradient(jax.tree.map(np.asarray, x)))
        coarse, fine = (np.linalg.norm(flat(estimate(x, w)) - truth) for w in (1e-2, 1e-3))
        assert coarse < 0.05, f"error {coarse} at w = 0.01"
        assert np.log10(coarse / fine) == pytest.approx(order, abs=0.15)


def test_x_star_is_the_minimiser(probe):
    star = jax.tree.map(np.asarray, probe.x_star)
    np.testing.assert_allclose(flat(probe.hypergradient(star)), 0, atol=1e-15)
    vector, unravel = ravel_pytree(jax.tree.map(jnp.asarray, star))
    rng = np.random.default_rng(3)
    others = [jax.tree.map(np.asarray, unravel(vector + step)) for step in 3 * rng.normal(size=(200, vector.size))]
    assert min(probe.value(x) for x in others) > probe.value(star)


def test_closed_forms_against_differences(probe, points):
    for x in points:
        vector, unravel = ravel_pytree(x)
        value = lambda v, unravel=unravel: probe.value(jax.tree.map(np.asarray, unravel(v)))  # noqa: E731
        h = 1e-5 * np.eye(vector.size)
        slope = [(value(vector + e) - value(vector - e)) / 2e-5 for e in h]
        np.testing.assert_allclose(flat(probe.hypergradient(jax.tree.map(np.asarray, x))), slope, atol=1e-8)
