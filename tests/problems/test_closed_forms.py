"""The truths of the general problems with a closed form: answers, values and slopes against the losses themselves."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.problems import hyperparameters, noisy_lasso, scaled_lasso, simplex_target, sparse_shift

MAKERS = (sparse_shift, scaled_lasso, noisy_lasso, simplex_target, hyperparameters)
every_problem = pytest.mark.parametrize("maker", MAKERS, ids=lambda maker: maker.__name__)


def zero_noise(problem, key, x):
    """Batches without noise, as zeros are for noisy_lasso and None for the others."""
    return tuple(jax.tree.map(jnp.zeros_like, draw(key, x, x)) for draw in (problem.draw_upper, problem.draw_lower))


@every_problem
def test_answer_value_and_slope_agree_with_the_losses(maker):
    """∂_y lower is 0 at y*(x); Φ = upper + l1‖x‖₁ there; its slope by central differences of upper(x, y*(x))."""
    problem, key = maker(), jax.random.key(1)
    exact, x = problem.exact, problem.init(key)[0]
    x = x + 0.1 * jnp.cos(jnp.arange(x.size, dtype=x.dtype))
    above, below = zero_noise(problem, key, x)
    y = exact.lower_solution(x)
    np.testing.assert_allclose(jax.grad(problem.lower, argnums=1)(x, y, below), 0, atol=1e-12)
    upper = jax.jit(lambda x: problem.upper(x, exact.lower_solution(x), above))
    np.testing.assert_allclose(exact.value(x), upper(x) + problem.l1 * np.abs(x).sum(), rtol=1e-12)
    h = 1e-5 * np.eye(x.size)
    slope = [(upper(x + e) - upper(x - e)) / 2e-5 for e in h]
    np.testing.assert_allclose(exact.hypergradient(x), slope, rtol=1e-6, atol=1e-9)


@every_problem
def test_the_best_is_stationary_and_nothing_tried_is_better(maker):
    """A projected proximal step from the best x stays there; 200 random allowed points have no smaller value."""
    problem = maker()
    x, value = problem.exact.best()
    x = jnp.asarray(x)
    np.testing.assert_allclose(problem.exact.value(x), value, rtol=1e-12)
    moved = x - 0.1 * problem.exact.hypergradient(x)
    moved = problem.project_x(jnp.sign(moved) * jnp.maximum(jnp.abs(moved) - 0.1 * problem.l1, 0))
    np.testing.assert_allclose(moved, x, atol=1e-6)
    others = x[None] + jax.random.normal(jax.random.key(0), (200, x.size)) * jnp.geomspace(1e-3, 1, 200)[:, None]
    values = jax.jit(jax.vmap(lambda x: problem.exact.value(problem.project_x(x))))(others)
    assert values.min() >= value - 1e-12


@every_problem
def test_float32_stays_float32(maker):
    with jax.enable_x64(False):
        problem = maker()

        def everything(key):
            (x, y), exact = problem.init(key), problem.exact
            found = [exact.lower_solution(x), exact.value(x), exact.hypergradient(x), problem.project_x(x), x, y]
            above, below = problem.draw_upper(key, x, y), problem.draw_lower(key, x, y)
            return [*found, problem.upper(x, y, above), problem.lower(x, y, below)]

        found = jax.eval_shape(everything, jax.random.key(0))
        assert {leaf.dtype for leaf in found} == {np.dtype("float32")}


def test_closed_forms_by_hand():
    """B1's x* = soft(c, l1) by hand; B3's x* = c, on the simplex; the noise of noisy_lasso has mean 0 and its sizes."""
    np.testing.assert_allclose(sparse_shift().exact.best()[0], (1.5, -1, 0, 0, 0, 0.5))
    np.testing.assert_allclose(simplex_target().exact.best()[0], (0.5, 0.3, 0.15, 0.05))
    problem = noisy_lasso()
    keys = jax.random.split(jax.random.key(0), 4000)
    u, e = jax.vmap(lambda key: problem.draw_lower(key, jnp.zeros(10), jnp.zeros(10)))(keys)
    above = jax.vmap(lambda key: problem.draw_upper(key, jnp.zeros(10), jnp.zeros(10)))(keys)
    for found, deviation in ((u, 0.3 / 3**0.5), (e, 0.5), (above, 0.5 / 3**0.5)):
        assert abs(float(found.mean())) < 4.5 * deviation / found.size**0.5
        assert float(found.std()) == pytest.approx(deviation, rel=0.02)


def test_the_answer_of_the_patients_is_ridge_regression():
    """y*(x) by least squares on the stacked system, in NumPy, from scikit-learn's own table."""
    from sklearn.datasets import load_diabetes

    problem = hyperparameters(train=40, seed=3)
    features, target = load_diabetes(return_X_y=True, scaled=False)
    rows = np.random.default_rng(3).permutation(442)[:40]
    X = (features[rows] - features[rows].mean(0)) / features[rows].std(0)
    t = (target[rows] - target[rows].mean()) / target[rows].std()
    x = np.linspace(-5, 1, 10)
    stacked = np.concatenate([X / 40**0.5, np.diag(np.exp(x / 2))])
    wanted = np.linalg.lstsq(stacked, np.append(t / 40**0.5, np.zeros(10)), rcond=None)[0]
    np.testing.assert_allclose(problem.exact.lower_solution(jnp.asarray(x)), wanted, rtol=1e-10)
    assert float(problem.metrics(None, jnp.asarray(wanted))["test_error"]) < 0.75  # 1 is the mean of the training


@pytest.mark.parametrize(
    ("maker", "settings", "word"),
    [
        (sparse_shift, {"curvature": (0.0, 1.0)}, "curvature"), (sparse_shift, {"l1": -1.0}, "l1"),
        (sparse_shift, {"targets": ()}, "targets"), (scaled_lasso, {"numbers": 0}, "numbers"),
        (scaled_lasso, {"least": 0.0}, "least"), (noisy_lasso, {"noise": (1.0, 0.5, 0.5)}, "noise"),
        (noisy_lasso, {"batch": 0}, "batch"), (simplex_target, {"shares": (0.5, 0.6)}, "shares"),
        (hyperparameters, {"bounds": (1.0, 0.0)}, "bounds"), (hyperparameters, {"train": 400}, "train"),
        (hyperparameters, {"validation": 0}, "validation"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(maker, settings, word):
    with pytest.raises(ValueError, match=f"{word}.*got") as error:
        maker(**settings)
    assert "\n" not in str(error.value)


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r"^the patients need scikit-learn: pip install 'upperhand\[data\]'\.$"):
        hyperparameters()
