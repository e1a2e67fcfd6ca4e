"""norm_power: its truth, its slope at the minimum, and the laws of its noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from upperhand.problems import norm_power

DRAWS = 200_000


@pytest.mark.parametrize("holder", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_the_truth_is_the_formula(holder, wide):
    with jax.enable_x64(wide):
        problem, x = norm_power(holder=holder, numbers=3), np.array([1.0, -2.0, 0.5])
        norm, tolerance = np.linalg.norm(x), 1e-12 if wide else 1e-6
        at = jnp.asarray(x)
        assert float(problem.exact.value(at)) == pytest.approx(norm ** (1 + holder) / (1 + holder), rel=tolerance)
        slope = problem.exact.hypergradient(at)
        assert slope.dtype == at.dtype == problem.init(jax.random.key(0))[0].dtype
        np.testing.assert_allclose(slope, x * norm ** (holder - 1), rtol=tolerance)
        assert not np.asarray(problem.exact.hypergradient(jnp.zeros(3))).any()  # at the kink, and no NaN
        assert float(problem.exact.value(jnp.zeros(3))) == 0 and problem.exact.best()[1] == 0
        assert problem.exact.lower_solution(at) == ()
        batch = problem.draw(jax.random.key(1), at)
        noisy = jax.grad(problem.loss)(at, batch)
        np.testing.assert_allclose(noisy - slope, batch, rtol=1e-4, atol=1e-4 if not wide else 1e-12)
        np.testing.assert_allclose(jax.grad(problem.loss)(jnp.zeros(3), batch), batch, rtol=1e-6)
    assert float(jnp.linalg.norm(problem.init(jax.random.key(3))[0])) == pytest.approx(3.0)


@pytest.mark.parametrize("holder", [0.0, 0.5, 1.0])
def test_the_gradient_is_holder_with_the_constant_that_is_told(holder):
    """‖∇f(x) − ∇f(y)‖ ≤ 2^(1−ν) ‖x − y‖^ν, with equality at y = −x."""
    slope = jax.vmap(norm_power(holder=holder, numbers=2).exact.hypergradient)
    x, y = np.random.default_rng(0).normal(size=(2, 5000, 2))
    y[0] = -x[0]
    left = np.linalg.norm(slope(jnp.asarray(x)) - slope(jnp.asarray(y)), axis=1)
    ratio = left / (2 ** (1 - holder) * np.linalg.norm(x - y, axis=1) ** holder)
    assert ratio.max() <= 1 + 1e-9 and ratio[0] == pytest.approx(1)


def drawn(noise, numbers=4, sigma=10.0):
    problem = norm_power(noise=noise, numbers=numbers, sigma=sigma)
    draw = jax.jit(jax.vmap(problem.draw, (0, None)))
    return np.asarray(draw(jax.random.split(jax.random.key(0), DRAWS), jnp.zeros(numbers)))


@pytest.mark.parametrize(
    ("noise", "law", "scale"),
    [("student", stats.t(2.1), 10 / np.sqrt(4 * 21)), ("gaussian", stats.norm(), 10 / np.sqrt(4))],
)
def test_each_number_has_its_law_and_none_knows_the_others(noise, law, scale):
    """Quantiles against scipy's, to 4 standard errors of a quantile; σ² = 100 by the law's variance."""
    found = drawn(noise) / scale
    assert 4 * scale**2 * law.var() == pytest.approx(100)
    for share in (0.001, 0.05, 0.5, 0.9, 0.999):
        spread = np.sqrt(share * (1 - share) / DRAWS) / law.pdf(law.ppf(share))
        np.testing.assert_allclose(np.quantile(found, share, axis=0), law.ppf(share), atol=4 * spread)
    ranks = stats.rankdata(np.abs(found), axis=0)
    away = np.abs(np.corrcoef(ranks.T) - np.eye(4)).max()
    assert away < 4 / np.sqrt(DRAWS)


def test_the_pareto_noise_has_its_tail_and_no_direction():
    found = drawn("pareto")
    lengths = np.linalg.norm(found, axis=1) / (10 / np.sqrt(41))  # E length² = 41
    assert lengths.min() == pytest.approx(1, abs=1e-3) and stats.kstest(lengths, stats.pareto(2.05).cdf).pvalue > 1e-3
    assert stats.pareto(2.05).moment(2) == pytest.approx(41)
    directions = found / np.linalg.norm(found, axis=1)[:, None]
    assert np.abs(directions.mean(0)).max() < 4 / np.sqrt(4 * DRAWS)
    np.testing.assert_allclose(directions.T @ directions / DRAWS, np.eye(4) / 4, atol=4e-3)


def test_without_noise_nothing_is_drawn():
    for problem in (norm_power(noise="none"), norm_power(sigma=0.0)):
        assert problem.drawn == 0 and problem.draw(jax.random.key(0), jnp.zeros(10)) is None


@pytest.mark.parametrize(
    ("setting", "bad"), [("holder", -0.1), ("holder", 1.1), ("numbers", 0), ("sigma", -1.0), ("start", 0.0)]
)
def test_a_bad_setting_is_named(setting, bad):
    with pytest.raises(ValueError, match=f"^{setting} must be .*got"):
        norm_power(**{setting: bad})
