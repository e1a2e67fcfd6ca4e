"""The random MDP: its trivial optimum, its hypergradient, and that descent finds 1."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.enumeration import values
from upperhand.problems import random_mdp
from upperhand.rewards import quadratic, reward_table


@pytest.mark.parametrize(("states", "actions"), [(10, 5), (4, 2)])
def test_the_optimum(states, actions):
    problem = random_mdp(states=states, actions=actions, numbers=12)
    zero, tau = jnp.zeros(12), problem.exact.temperature
    assert float(jax.jit(problem.exact.value)(zero, tau)) == pytest.approx(states / (2 * actions), rel=1e-14)
    np.testing.assert_allclose(jax.jit(problem.exact.hypergradient)(zero, tau), 0, atol=1e-14)
    np.testing.assert_allclose(jax.jit(problem.exact.lower_solution)(zero, tau), 1 / actions, rtol=1e-13)
    x, best = problem.exact.best()
    assert best == states / (2 * actions) and not x.any()
    assert values(problem.exact, np.random.default_rng(0).normal(size=(20, 12)) * 0.05).min() > best


@pytest.mark.parametrize("tau", [1.0, 0.3])
def test_hypergradient_equals_differences_along_random_directions(tau):
    problem, rng = random_mdp(), np.random.default_rng(0)
    x, directions = 0.3 * rng.normal(size=100), rng.normal(size=(5, 100))
    offsets = 1e-4 * np.array([-2.0, -1.0, 1.0, 2.0])
    around = values(problem.exact, (x + offsets[:, None, None] * directions).reshape(-1, 100), tau).reshape(4, -1)
    slopes = np.array([1.0, -8.0, 8.0, -1.0]) @ around / 12e-4
    dx = np.asarray(jax.jit(problem.exact.hypergradient)(jnp.asarray(x), tau))
    np.testing.assert_allclose(directions @ dx, slopes, rtol=1e-6)
    assert np.linalg.norm(dx - x) > 0.1 * np.linalg.norm(x), "hardly anything goes through the policy"


def test_descent_with_the_published_step_ends_at_one():
    """x ← x − 0.008 ∇Φ, 3000 times, from a standard normal start: published as 1.000000."""
    problem = random_mdp()
    x, _ = problem.init(jax.random.key(0))
    assert abs(float(x.std()) - 1) < 0.25
    x = jax.jit(lambda x: jax.lax.fori_loop(0, 3000, lambda _, x: x - 8e-3 * problem.exact.hypergradient(x), x))(x)
    assert float(jax.jit(problem.exact.value)(x)) == pytest.approx(1, abs=1e-6)


def test_the_reward_is_its_formula():
    rng = np.random.default_rng(0)
    gain, form, x = rng.random((4, 3)), rng.normal(size=(6, 6)), rng.normal(size=6)
    table = reward_table(quadratic(gain, form), jnp.asarray(x), 4, 3)
    np.testing.assert_allclose(table, gain * (x @ form @ x), rtol=1e-12)


def test_the_reward_evaluates_its_form_once():
    """No more work for 50 pairs than a multiple of the form's own: 2·100² flops."""
    problem = random_mdp()
    table = jax.jit(lambda x: reward_table(problem.reward, x, 10, 5)).lower(jnp.zeros(100)).compile()
    assert table.cost_analysis()["flops"] < 2 * 2 * 100**2


def test_gains_are_products_of_two_uniforms():
    """Their mean is 1/4 and their mean square 1/9; all pairs share one form, so r/r' does not depend on x."""
    problem, rng = random_mdp(states=40, actions=40, numbers=3), np.random.default_rng(0)
    one, two = (np.asarray(reward_table(problem.reward, jnp.asarray(rng.normal(size=3)), 40, 40)) for _ in range(2))
    gain = one / one.flat[0]
    np.testing.assert_allclose(gain, two / two.flat[0], rtol=1e-10)
    assert (gain**2).mean() / gain.mean() ** 2 == pytest.approx(16 / 9, rel=0.1)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"numbers": 0}, "numbers"), ({"temperature": 0.0}, "temperature"), ({"states": 1}, "states"),
     ({"spread": -1.0}, "spread"), ({"discount": 1.0}, "discount")],
)  # fmt: skip
def test_it_refuses(change, name):
    with pytest.raises(ValueError, match=name):
        random_mdp(**change)
