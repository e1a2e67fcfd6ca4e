"""Losses of what a person said, against NumPy; the preference objective, against finite differences over all pairs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from text_probes import Toy, differences, light
from upperhand.hypergradients.gibbs import covariance, pull
from upperhand.hypergradients.preferences import (
    bradley_terry,
    fitted,
    halves,
    least_squares,
    pair_losses,
    pair_scores,
    preference,
    ridge,
)


def test_a_pair_costs_the_surprise_at_its_label():
    """−log σ(d), its mixture at a half, nothing where skipped; large differences stay finite."""
    first, second = np.array([1.0, -0.5, 2.0, 800.0, 0.3]), np.array([0.2, 0.5, 1.0, -800.0, 0.1])
    label = np.array([1.0, 0.0, 0.5, 0.0, np.nan])
    sigma = 1 / (1 + np.exp(second - first).clip(0, 1e300))
    wanted = [-np.log(sigma[0]), -np.log(1 - sigma[1]), -np.log(sigma[2] * (1 - sigma[2])) / 2, 1600, 0]
    losses, counts = pair_losses(*map(jnp.asarray, (first, second, label)))
    np.testing.assert_allclose(losses, wanted, rtol=1e-12)
    np.testing.assert_array_equal(counts, [1, 1, 1, 1, 0])
    np.testing.assert_allclose(bradley_terry(*map(jnp.asarray, (first, second, label))), sum(wanted) / 4, rtol=1e-12)


def test_skipped_pairs_move_nothing():
    """Their derivative is 0, not NaN, though all were skipped."""
    for label in ([np.nan, 1.0], [np.nan, np.nan]):
        slope = jax.grad(lambda d, label=label: bradley_terry(d, -d, jnp.asarray(label)))(jnp.asarray([0.3, 0.4]))
        assert slope[0] == 0 and np.isfinite(slope).all() and (slope[1] == 0) == bool(np.isnan(label[1]))


def test_least_squares_are_half_the_variance_of_the_rest():
    rng = np.random.default_rng(0)
    total, u, q = rng.normal(size=9), rng.normal(size=9), rng.dirichlet(np.ones(9))
    found = least_squares(jnp.asarray(total), jnp.asarray(u), 0.4)
    np.testing.assert_allclose(found, np.var(u - 0.4 * total, ddof=1) / 2, rtol=1e-12)
    rest = u - 0.4 * total
    found = least_squares(jnp.asarray(total), jnp.asarray(u), 0.4, jnp.asarray(q))
    np.testing.assert_allclose(found, (q @ rest**2 - (q @ rest) ** 2) / 2, rtol=1e-12)


def test_the_utility_is_a_refit_as_far_as_its_slope_goes():
    """∂ₓ ½ Var( U − (β/τ) R_x ) at a law that is held fixed is β times the covariance form."""
    toy = Toy()
    u, total, q = toy.now()
    rewards = lambda x: jnp.asarray(toy.counts) @ x  # noqa: E731
    slope = light(jax.grad(lambda x: least_squares(rewards(x), u, toy.beta / toy.tau, q)))(toy.x)
    np.testing.assert_allclose(slope, toy.beta * toy.pulled(covariance(u, total, toy.tau, toy.beta, q)), atol=1e-12)


def refit(toy, q):
    """The lexicon that fits (β/τ) R_x to U best under q, centred; the shortest of several."""
    root, centre = np.sqrt(q)[:, None], lambda a: a - q @ a
    design = toy.beta / toy.tau * centre(toy.counts)
    return np.linalg.lstsq(root * design, root[:, 0] * centre(toy.u))[0]


def test_where_a_policy_that_answers_is_refitted_on_the_value_is_stationary():
    """x → refit on texts of π*(x) → …: it ends where ∇Φ = 0; a fit on π_ref alone does not, and its Φ is larger."""
    toy = Toy(roughness=0.6, beta=0.8)
    frozen = refit(toy, np.exp(toy.game.log_ref))
    x = frozen
    for _ in range(200):
        x = x + 0.5 * (refit(toy, toy.law(x)) - x)
    assert np.linalg.norm(refit(toy, toy.law(x)) - x) < 1e-10
    np.testing.assert_allclose(differences(toy.value, x), 0, atol=1e-9)
    assert np.linalg.norm(differences(toy.value, frozen)) > 0.01
    assert toy.value(frozen) > toy.value(x) + 1e-3


def test_fits_end_at_the_least_loss():
    """A ridged lexicon in closed form; Bradley–Terry where SciPy ends."""
    toy, rng = Toy(), np.random.default_rng(1)
    counts, u = jnp.asarray(toy.counts), jnp.asarray(toy.u)
    x = light(lambda x: fitted(lambda x: least_squares(counts @ x, u, 0.4) + ridge(x, 0.01), x))(jnp.zeros(6))
    design = 0.4 * (toy.counts - toy.counts.mean(0))
    gram = design.T @ design / (len(u) - 1) + 0.01 * np.eye(6)
    wanted = np.linalg.solve(gram, design.T @ toy.u / (len(u) - 1))
    np.testing.assert_allclose(x, wanted, rtol=1e-7, atol=1e-9)
    pairs = rng.integers(0, len(u), (2, 200))
    label = jnp.asarray((rng.random(200) < 1 / (1 + np.exp(toy.u[pairs[1]] - toy.u[pairs[0]]))).astype(float))
    loss = lambda x: bradley_terry(counts[pairs[0]] @ x, counts[pairs[1]] @ x, label) + ridge(x, 0.01)  # noqa: E731
    x = light(lambda x: fitted(loss, x))(jnp.zeros(6))
    end = minimize(light(jax.value_and_grad(loss)), np.zeros(6), jac=True, tol=1e-12)
    np.testing.assert_allclose(x, end.x, atol=1e-5)
    assert loss(x) <= end.fun + 1e-12


class AllPairs:
    """Every ordered pair of the texts of a toy, what a person says of it, and the objective in NumPy."""

    def __init__(self):
        self.toy = Toy(seed=3)
        size, rng = len(self.toy.u), np.random.default_rng(4)
        self.first, self.second = (index.ravel() for index in np.indices((size, size)))
        label = 1 / (1 + np.exp(-2 * (self.toy.u[self.first] - self.toy.u[self.second])))
        self.label = np.where(rng.random(label.size) < 0.2, np.nan, label)
        self.texts = np.concatenate([self.first, self.second])

    def value(self, x):
        p, total = self.toy.law(x), self.toy.counts @ x
        weight = p[self.first] * p[self.second] * ~np.isnan(self.label)
        d, label = total[self.first] - total[self.second], np.nan_to_num(self.label)
        losses = label * np.log1p(np.exp(-d)) + (1 - label) * np.log1p(np.exp(d))
        return weight @ losses / weight.sum() + self.toy.beta * self.toy.kl(p)

    def reading(self):
        return jax.tree.map(lambda leaf: leaf[self.texts], self.toy.reading)

    def weights(self):
        p = self.toy.law(self.toy.x)
        return jnp.asarray(p[self.first] * p[self.second])


def test_the_preference_objective_has_its_derivative():
    """Partial and through-policy part, all pairs, some skipped: finite differences to 1e-9; half of U is wrong."""
    every = AllPairs()
    toy, wanted = every.toy, differences(every.value, every.toy.x)
    reading, label, q, x = every.reading(), jnp.asarray(every.label), every.weights(), jnp.asarray(toy.x)
    loss, dx = light(lambda x, q: preference(toy.tokens, x, reading, label, toy.tau, toy.beta, q))(x, q)
    np.testing.assert_allclose(dx, wanted, atol=1e-9)
    np.testing.assert_allclose(loss, every.value(toy.x) - toy.beta * toy.kl(toy.law(toy.x)), rtol=1e-12)
    total, of_texts = jnp.asarray((toy.counts @ toy.x)[every.texts]), jnp.tile(q, 2) / 2
    _, u = pair_scores(total, label, q)
    c = covariance(u, total, toy.tau, toy.beta, of_texts) - covariance(u / 2, total, toy.tau, toy.beta, of_texts)
    assert np.abs(pull(toy.tokens, x, reading, c)).max() > 0.01


def test_samples_of_pairs_approach_it():
    """400 batches of 512 texts: within 3 standard errors of the derivative, and 2% of its size for the bias."""
    every = AllPairs()
    toy, x = every.toy, jnp.asarray(every.toy.x)
    size, said = len(toy.u), jnp.asarray(every.label).reshape(len(toy.u), -1)
    drawn = np.random.default_rng(6).choice(size, size=(400, 512), p=toy.law(toy.x))

    def one(chosen):
        batch = jax.tree.map(lambda leaf: leaf[chosen], toy.reading)
        return preference(toy.tokens, x, batch, said[chosen[:256], chosen[256:]], toy.tau, toy.beta)[1]

    found = np.asarray(light(lambda drawn: jax.lax.map(one, drawn))(jnp.asarray(drawn)))
    wanted = differences(every.value, every.toy.x)
    error = 3 * found.std(0) / 20 + 0.02 * np.linalg.norm(wanted)
    assert (np.abs(found.mean(0) - wanted) < error).all()
    assert np.linalg.norm(wanted) > 3 * np.linalg.norm(error)


def test_an_odd_number_of_texts_is_refused():
    with pytest.raises(ValueError, match="even"):
        halves(jnp.zeros(3))
