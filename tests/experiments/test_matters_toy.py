"""The exact toy of rlhf_matters: laws against loops, fixed points against stationarity, published figures."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.experiments import matters_toy as toy

RANDOM = np.random.default_rng(5)


@pytest.fixture(scope="module")
def world():
    """One instance with every part: half of U beyond the class, and a reward of its own."""
    return jax.tree.map(lambda part: jnp.asarray(part[3]), toy.worlds(4, 0.5, 0.8, seed=1))


def by_hand(world, x, gamma):
    """[256] π_x, each text a product of probabilities whose values come from loops over what may follow."""
    pi, r = np.exp(np.asarray(world.chain)), [*x, 0.0]

    def v(before, left):
        if not left:
            return 0.0
        return np.log(sum(pi[before, a] * np.exp(r[a] + gamma * v(a, left - 1)) for a in range(4)))

    def probability(text):
        found, before = 1.0, 4
        for place, a in enumerate(text):
            found *= pi[before, a] * np.exp(r[a] + gamma * v(a, 3 - place) - v(before, 4 - place))
            before = a
        return found

    return np.array([probability(text) for text in product(range(4), repeat=4)])


@pytest.mark.parametrize("gamma", [0.0, 0.6, 1.0])
def test_the_law_is_the_soft_bellman_equation_by_hand(world, gamma):
    x = jnp.asarray([0.7, -1.1, 0.4])
    found = np.exp(toy.law(world, x, gamma))
    np.testing.assert_allclose(found, by_hand(world, x, gamma), rtol=1e-10)
    assert found.sum() == pytest.approx(1, abs=1e-12)


def test_without_discount_the_law_is_the_gibbs_law(world):
    x = np.array([0.7, -1.1, 0.4])
    tilted = np.exp(np.asarray(world.log_ref)) * np.exp(toy.COUNTS @ x)
    np.testing.assert_allclose(np.exp(toy.law(world, jnp.asarray(x), 1.0)), tilted / tilted.sum(), rtol=1e-10)
    paid = tilted * np.exp(np.asarray(world.own))
    np.testing.assert_allclose(np.exp(toy.gibbs(world, jnp.asarray(x))), paid / paid.sum(), rtol=1e-10)


def test_scores_are_what_is_said_of_them():
    for rho in (0.0, 0.5, 1.0):
        one = jax.tree.map(lambda part: part[0], toy.worlds(1, rho, 0.5, seed=3))
        pi = np.exp(one.log_ref)
        assert pi.sum() == pytest.approx(1) and pi @ one.score == pytest.approx(0, abs=1e-12)
        known = np.concatenate([np.ones((256, 1)), toy.COUNTS], 1) * np.sqrt(pi)[:, None]
        fit = known @ np.linalg.lstsq(known, np.sqrt(pi) * one.score, rcond=None)[0]
        assert np.sum(fit**2) == pytest.approx(1 - rho, abs=1e-9)  # the share of the variance that counts explain
        assert pi @ one.score**2 == pytest.approx(1) and pi @ one.own**2 == pytest.approx(0.25)


@pytest.mark.parametrize("gamma", [0.0, 1.0])
def test_every_arm_is_compared_at_the_budget(world, gamma):
    for x in RANDOM.normal(size=(5, 3)):
        found = np.exp(toy.law(world, toy.scaled(world, jnp.asarray(x), gamma), gamma))
        assert found @ np.log(found / np.exp(world.log_ref)) == pytest.approx(toy.BUDGET, abs=1e-8)


def slope(world, x, gamma):
    """The steepest rise of E U along KL = 1, by central differences, at a fit's direction."""

    def value(x):
        return float(jnp.exp(toy.law(world, toy.scaled(world, jnp.asarray(x), gamma), gamma)) @ world.score)

    x = np.asarray(x) / np.linalg.norm(x)
    across = np.linalg.svd(x[None])[2][1:]
    return max(abs(value(x + 1e-4 * d) - value(x - 1e-4 * d)) / 2e-4 for d in across)


def refitted(world, gamma):
    x = toy.fitted(world.log_ref, world.score)
    for _ in range(80):
        fit = toy.fitted(toy.law(world, toy.scaled(world, x, gamma), gamma), world.score)
        x = x / jnp.linalg.norm(x) + fit / jnp.linalg.norm(fit)
    return x


def test_a_fit_of_odds_is_where_their_loss_is_flat(world):
    log_pi = toy.law(world, jnp.asarray([0.3, 0.1, -0.2]), 1.0)
    x = jnp.zeros(3)
    for _ in range(30):
        x = toy.preferred(log_pi, world.score, x)

    def loss(x):
        pi, u, total = np.exp(np.asarray(log_pi)), np.asarray(world.score), toy.COUNTS @ x
        wins = 1 / (1 + np.exp(-(u[:, None] - u[None])))
        margin = total[:, None] - total[None]
        return np.sum(
            pi[:, None] * pi[None] * (wins * np.log1p(np.exp(-margin)) + (1 - wins) * np.log1p(np.exp(margin)))
        )

    for d in 1e-4 * np.eye(3):
        assert abs(loss(np.asarray(x) + d) - loss(np.asarray(x) - d)) / 2e-4 < 1e-7
