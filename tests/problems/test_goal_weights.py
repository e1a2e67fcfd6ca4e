"""Goal weights: the hypergradient of a long x, its limits, and its known best."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.enumeration import values
from upperhand.problems import goal_weights


@pytest.mark.parametrize("tau", [0.3, 0.05])
def test_hypergradient_equals_differences_along_random_directions(tau):
    problem = goal_weights(size=5, budget=5.0)
    rng = np.random.default_rng(0)
    x, directions = jnp.asarray(rng.normal(size=25)), rng.normal(size=(6, 25))
    value = jax.jit(problem.exact.value)
    dx = jax.jit(problem.exact.hypergradient)(x, tau)
    slopes = [
        sum(c * float(value(x + k * 1e-4 * e, tau)) for c, k in zip((1, -8, 8, -1), (-2, -1, 1, 2), strict=True))
        / 12e-4
        for e in directions
    ]
    np.testing.assert_allclose(directions @ np.asarray(dx), slopes, atol=1e-6 * np.abs(slopes).max())
    assert np.linalg.norm(dx - 2e-5 * x) > 0.5 * np.linalg.norm(dx), "hardly anything goes through the policy"


def test_the_budget_is_spread():
    """The rewards of all cells sum to the budget, and a shift of x changes nothing but its cost."""
    problem = goal_weights(size=4, budget=3.0)
    x = jnp.asarray(np.random.default_rng(1).normal(size=16))
    total = sum(float(problem.reward(x, s, 0)) for s in range(16))
    assert total == pytest.approx(3)
    dx = jax.jit(problem.exact.hypergradient)(x, 0.1)
    assert float(dx.sum()) == pytest.approx(2e-5 * float(x.sum()), abs=1e-10)


def test_start():
    x, theta = goal_weights(size=4).init(jax.random.key(3))
    assert x.shape == (16,) and theta.shape == (16, 4) and not theta.any()


def test_best_is_no_worse_than_its_candidates():
    problem = goal_weights(size=4, temperature=0.05, upper_bumps=((3, 1, 1, 1), (2, 2, 1.5, -0.5)))
    x, best = problem.exact.best()
    candidates = np.concatenate([c * np.eye(16) for c in (0.0, 2.0, 4.0, 6.0)])
    assert best < values(problem.exact, candidates).min()
    assert values(problem.exact, x[None])[0] == pytest.approx(best, abs=1e-12)


def test_default_builds():
    problem = goal_weights()
    x, _ = problem.init(jax.random.key(0))
    assert x.shape == (100,) and problem.mdp.states == 100
    maps = problem.maps(np.asarray(x)[None])
    assert maps["reward"].sum() == pytest.approx(1) and maps["occupancy"].sum() == pytest.approx(1)


@pytest.mark.parametrize(("change", "name"), [({"budget": 0.0}, "budget"), ({"temperature": 0.0}, "temperature")])
def test_it_refuses(change, name):
    with pytest.raises(ValueError, match=name):
        goal_weights(**change)
