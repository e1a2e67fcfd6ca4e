"""Hypergradients of texts on a toy vocabulary, all texts listed: NumPy's Gibbs law and its finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from text_probes import Toy, differences, light
from upperhand.hypergradients.every_text import every_text_exact
from upperhand.hypergradients.gibbs import covariance, effective, pull, tilt, totals, two_policies
from upperhand.rewards.text import linear_head, mlp_head


@pytest.mark.parametrize("ending, seed", [(0.0, 0), (0.2, 1), (0.4, 2)])
def test_the_covariance_is_the_derivative(ending, seed):
    """To 1e-9 of finite differences of the enumerated value."""
    toy = Toy(ending, seed=seed)
    u, total, q = toy.now()
    np.testing.assert_allclose(totals(toy.tokens, jnp.asarray(toy.x), toy.reading), total, rtol=1e-12)
    found, wanted = toy.pulled(covariance(u, total, toy.tau, toy.beta, q)), differences(toy.value, toy.x)
    np.testing.assert_allclose(found, wanted, atol=1e-9)
    assert np.abs(wanted).max() > 0.05


def test_the_tilt_is_the_penalty_of_two_policies():
    """θ_w, from its own law of R + wU at τ + wβ: 1e-12, at every w."""
    toy = Toy()
    u, total, q = toy.now()
    for w in (2.0, 0.5, 0.01):
        high = toy.tilted(toy.counts @ toy.x + w * toy.u, toy.tau + w * toy.beta)
        both = two_policies(toy.tokens, jnp.asarray(toy.x), (toy.reading, toy.reading), w, (q, jnp.asarray(high)))
        np.testing.assert_allclose(toy.counts.T @ (np.asarray(q) - high) / w, both, atol=1e-12)
        np.testing.assert_allclose(toy.pulled(tilt(u, total, toy.tau, toy.beta, w, q)), both, atol=1e-12)


def test_the_error_of_the_tilt_falls_as_w():
    toy = Toy()
    u, total, q = toy.now()
    exact = toy.pulled(covariance(u, total, toy.tau, toy.beta, q))
    widths = (2.0, 1.0, 0.5, 0.1, 0.01, 0.001)
    errors = [np.linalg.norm(toy.pulled(tilt(u, total, toy.tau, toy.beta, w, q)) - exact) for w in widths]
    assert all(later < earlier for earlier, later in zip(errors, errors[1:], strict=False))
    slope = np.polyfit(np.log(widths[-3:]), np.log(errors[-3:]), 1)[0]
    assert abs(slope - 1) < 0.1 and errors[0] > 0.1


def test_forgetting_beta_in_the_weight_of_theta_w_moves_the_fixed_point():
    """U additive: R_x = (τ/β) U is the best there is and a fixed point at every w; with τ for τ + wβ it is none."""
    toy = Toy(roughness=0.0, beta=1.0)
    u, q = jnp.asarray(toy.u), toy.tilted(toy.u, toy.beta)
    total = toy.tau / toy.beta * u
    for w in (2.0, 0.5):
        np.testing.assert_allclose(toy.pulled(tilt(u, total, toy.tau, toy.beta, w, jnp.asarray(q))), 0, atol=1e-12)
        high = toy.tilted(np.asarray(total) + w * toy.u, toy.tau)
        forgot = two_policies(
            toy.tokens, jnp.asarray(toy.x), (toy.reading, toy.reading), w, (jnp.asarray(q), jnp.asarray(high))
        )
        assert np.abs(forgot).max() > 0.05


def test_samples_give_it_without_bias():
    """20,000 batches of 4 texts: the mean within 3 standard errors; without B/(B − 1) it is far outside."""
    toy, size = Toy(), 4
    u, total, q = toy.now()
    exact = toy.pulled(covariance(u, total, toy.tau, toy.beta, q))
    drawn = np.random.default_rng(5).choice(len(toy.u), size=(20_000, size), p=np.asarray(q))

    def one(chosen):
        c = covariance(u[chosen], total[chosen], toy.tau, toy.beta)
        batch = jax.tree.map(lambda leaf: leaf[chosen], toy.reading)
        return pull(toy.tokens, jnp.asarray(toy.x), batch, c)

    found = np.asarray(light(jax.vmap(one))(jnp.asarray(drawn)))
    error = found.std(0) / np.sqrt(len(found)) + 1e-15
    assert (np.abs(found.mean(0) - exact) < 3 * error).all()
    assert (np.abs(found.mean(0) * (size - 1) / size - exact) > 3 * error).any()


def test_a_single_text_tells_nothing_and_breaks_nothing():
    one = jnp.ones(1)
    np.testing.assert_array_equal(covariance(one, one, 0.5, 0.5), [0.0])
    np.testing.assert_array_equal(tilt(one, one, 0.5, 0.5, 0.1), [0.0])


def test_large_scores_do_not_overflow_the_tilt():
    found = tilt(jnp.asarray([1e4, 0.0, -1e4]), jnp.zeros(3), 0.5, 0.0, 1.0)
    np.testing.assert_allclose(found, [1 / 3 - 1, 1 / 3, 1 / 3], atol=1e-12)


def test_a_population_target_is_a_score_at_the_present_law():
    """loss = −log of a share + (a mean length − 3)²: finite differences to 1e-9."""
    toy = Toy(ending=0.3)
    traits = np.column_stack([toy.counts[:, 3] > 0, toy.counts.sum(1)]).astype(float)
    loss = lambda m: -jnp.log(m[0]) + (m[1] - 3) ** 2  # noqa: E731
    u, total, q = toy.now()
    value, u = effective(loss, jnp.asarray(traits), q)

    def upper(x):
        p = toy.law(x)
        share, length = p @ traits
        return -np.log(share) + (length - 3) ** 2 + toy.beta * toy.kl(p)

    found = toy.pulled(covariance(u, total, toy.tau, toy.beta, q))
    np.testing.assert_allclose(found, differences(upper, toy.x), atol=1e-9)
    p = toy.law(toy.x) @ traits
    np.testing.assert_allclose(value, -np.log(p[0]) + (p[1] - 3) ** 2, rtol=1e-12)


def test_heads_have_it_too():
    """A linear head on one-hot last tokens is the lexicon; of an MLP, finite differences of its own value."""
    toy = Toy()
    u, total, q = toy.now()
    c = covariance(u, total, toy.tau, toy.beta, q)
    linear = pull(linear_head(6).tokens, jnp.asarray(toy.x), toy.reading, c)
    np.testing.assert_allclose(linear, toy.pulled(c), atol=1e-12)
    head, rng = mlp_head(6, hidden=2), np.random.default_rng(1)
    shapes = {"into": (6, 2), "shift": (2,), "out": (2,)}

    def unravel(flat):
        parts = np.split(flat, [12, 14])
        return {name: jnp.asarray(part.reshape(shapes[name])) for name, part in zip(shapes, parts, strict=True)}

    def reward(flat):
        return np.asarray(totals(head.tokens, unravel(flat), toy.reading))

    def value(flat):
        p = toy.tilted(reward(flat), toy.tau)
        return -p @ toy.u + toy.beta * toy.kl(p)

    flat = rng.normal(size=16)
    total, q = jnp.asarray(reward(flat)), jnp.asarray(toy.tilted(reward(flat), toy.tau))
    found = pull(head.tokens, unravel(flat), toy.reading, covariance(u, total, toy.tau, toy.beta, q))
    found = np.concatenate([np.ravel(found[name]) for name in shapes])
    np.testing.assert_allclose(found, differences(value, flat), atol=1e-9)


def test_the_oracle_of_all_texts_is_numpys():
    toy = Toy()
    exact = every_text_exact(
        toy.tokens, toy.game.reading, toy.game.log_ref, lambda p, total: -p @ jnp.asarray(toy.u, p.dtype),
        beta=toy.beta, cost=lambda x: 0.1 * jnp.sum(x**2), temperature=toy.tau,
    )  # fmt: skip
    x = jnp.asarray(toy.x)
    value = lambda x: toy.value(x) + 0.1 * x @ x  # noqa: E731
    law, phi, dx = light(lambda x: (exact.lower_solution(x), exact.value(x), exact.hypergradient(x)))(x)
    np.testing.assert_allclose(law, toy.law(toy.x), rtol=1e-11)
    np.testing.assert_allclose(phi, value(toy.x), rtol=1e-12)
    np.testing.assert_allclose(dx, differences(value, toy.x), atol=1e-9)
    assert jax.eval_shape(exact.hypergradient, x.astype(jnp.float32)).dtype == jnp.float32
