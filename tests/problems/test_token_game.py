"""The toy of texts: its language, its taste, and its best x, against NumPy and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from text_probes import Toy, light
from upperhand.problems import token_game
from upperhand.problems.token_game import game


@pytest.mark.parametrize("ending, size", [(0.0, 256), (0.3, 341)])
def test_its_texts_are_all_that_the_reference_writes(ending, size):
    toy = game(letters=4, length=4, roughness=0.5, ending=ending)
    assert len(toy.log_ref) == size and len({tuple(row) for row in toy.reading.tokens}) == size
    np.testing.assert_allclose(np.exp(toy.log_ref).sum(), 1, rtol=1e-12)
    assert toy.reading.log_ref.dtype == np.float64


@pytest.mark.parametrize("rho", [0.0, 0.25, 0.95, 1.0])
def test_rho_is_the_share_that_no_lexicon_explains(rho):
    """Weighted least squares on counts leaves ρ of a variance of 1."""
    toy = Toy(roughness=rho)
    q = np.exp(toy.game.log_ref)
    np.testing.assert_allclose([q @ toy.u, q @ toy.u**2], [0, 1], atol=1e-12)
    class_, root = np.column_stack([np.ones(len(q)), toy.counts]), np.sqrt(q)
    rest = toy.u - class_ @ np.linalg.lstsq(root[:, None] * class_, root * toy.u)[0]
    np.testing.assert_allclose(q @ rest**2, rho, atol=1e-10)


def test_the_best_of_an_additive_taste_is_known():
    """ρ = 0: R_x = (τ/β) U reaches the best of all policies, −β log E_ref exp(U/β)."""
    problem = token_game(letters=3, length=3, roughness=0.0, beta=0.6, seed=1)
    toy = game(letters=3, length=3, roughness=0.0, seed=1)
    x, value = problem.exact.best()
    bound = -0.6 * np.log(np.exp(toy.log_ref) @ np.exp(toy.scores / 0.6))
    np.testing.assert_allclose(value, bound, atol=1e-8)
    np.testing.assert_allclose(light(problem.exact.hypergradient)(x), 0, atol=1e-4)


def test_the_best_known_is_stationary_and_does_not_depend_on_the_temperature():
    """Φ of x at τ is Φ of 2x at 2τ: the best policy knows no τ. The bound of all policies is not reached at ρ = ½."""
    problem = token_game()
    x, value = problem.exact.best()
    phi = light(problem.exact.value)
    assert np.abs(light(problem.exact.hypergradient)(x)).max() < 1e-4
    np.testing.assert_allclose(phi(2 * x, 1.0), value, rtol=1e-10)
    toy = game(letters=4, length=4, roughness=0.5)
    bound = -0.5 * np.log(np.exp(toy.log_ref) @ np.exp(toy.scores / 0.5))
    assert bound + 0.1 < value < phi(np.zeros(7), 0.5) - 0.1
    others = np.random.default_rng(0).normal(size=(50, 7))
    assert value <= min(float(phi(other, 0.5)) for other in others)


def test_the_person_reads_what_the_policy_writes():
    problem = token_game(letters=3, length=3, ending=0.3, seed=2)
    toy = game(letters=3, length=3, roughness=0.5, ending=0.3, seed=2)
    x, theta = problem.init(jax.random.key(0))
    tokens = light(problem.policy.write, static_argnums=2)(jax.random.key(1), theta, 200)
    texts = problem.upper.decode(tokens)
    scores = {tuple(row): score for row, score in zip(toy.reading.tokens, toy.scores, strict=True)}
    wanted = [scores[tuple(np.asarray(row))] for row in tokens]
    np.testing.assert_array_equal(problem.upper.person(texts), wanted)
    assert texts[0] == "".join("abc"[a - 3] for a in np.asarray(tokens[0]) if a > 2) and "" in texts
    np.testing.assert_allclose(light(problem.exact.value)(x), 0, atol=1e-12)  # x = 0 is π_ref, and E U = 0
    assert problem.upper.cost(x) == 0


def test_a_ridge_is_in_value_and_cost():
    with_ridge, plain = token_game(letters=2, length=2, ridge=0.4), token_game(letters=2, length=2)
    x = jnp.asarray([0.0, 1, 2, -1, 1])
    both = light(lambda x: with_ridge.exact.value(x) - plain.exact.value(x))
    np.testing.assert_allclose(both(x), 0.2 * 7, rtol=1e-10)
    np.testing.assert_allclose(with_ridge.upper.cost(x), 0.2 * 7, rtol=1e-12)


@pytest.mark.parametrize(
    "setting",
    [{"letters": 1}, {"length": 1}, {"letters": 10}, {"roughness": 1.1}, {"ending": 1.0}, {"beta": 0.0},
     {"ridge": -1.0}, {"temperature": 0.0}],
)  # fmt: skip
def test_other_settings_are_refused(setting):
    with pytest.raises(ValueError, match=next(iter(setting))):
        token_game(**setting)
