"""The estimator: scikit-learn's own checks, confounding taken out, and what it refuses."""

from contextlib import contextmanager
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from sklearn.utils.estimator_checks import check_estimator

from upperhand import npiv
from upperhand.npiv import MeanFieldIV
from upperhand.problems.npiv import instrumental

LIGHT = {"particles": 8, "steps": 40, "seeds": 3, "batch": 16, "random_state": 0}
GRID = np.linspace(-3, 3, 100)[:, None]


@cache
def confounded(rows=1500):
    """Z ~ U(−3, 3), A = Z + e + noise, Y = 1 where A > 0, + e + noise."""
    random = np.random.default_rng(0)
    z, e, other, more = random.uniform(-3, 3, rows), *random.normal(size=(3, rows))
    a = z + e + 0.1 * other
    return z[:, None], a[:, None], 1.0 * (a > 0) + e + 0.1 * more


def small(rows=60):
    return tuple(part[:rows] for part in confounded())


@pytest.mark.long
def test_the_checks_of_scikit_learn():
    """All but one, which wants the second argument of fit to be called y: here it is a, and y the third."""
    apart = {"check_fit_score_takes_y": "fit takes z, a, y"}
    told = check_estimator(
        MeanFieldIV(steps=20, particles=8, seeds=2, batch=16), expected_failed_checks=apart, on_skip=None
    )
    assert sum(check["status"] == "passed" for check in told) > 45


def test_it_takes_the_confounding_out():
    """Mean squared error to the step: less than half of that of regression on A alone by the same network."""
    z, a, y = confounded()
    settings = {"steps": 600, "seeds": 2, "particles": 30, "random_state": 0}
    truth = 1.0 * (GRID[:, 0] > 0)
    error = lambda fitted: np.mean((fitted.predict(GRID) - truth) ** 2)  # noqa: E731
    ours, plain = MeanFieldIV(**settings).fit(z, a, y), MeanFieldIV(**settings).fit(a, y)
    assert error(ours) < 0.5 * error(plain) and error(ours) < 0.06


def test_predictions_follow_the_units_of_the_data():
    """y → 5 − 10 y turns h into 5 − 10 h, and units of z and a change nothing: up to float32."""
    z, a, y = small()
    h = MeanFieldIV(**LIGHT).fit(z, a, y).predict(GRID)
    other = MeanFieldIV(**LIGHT).fit(3 * z - 1, 100 * a + 7, 10 * y + 5).predict(100 * GRID + 7)
    np.testing.assert_allclose(other, 10 * h + 5, atol=1e-3)
    assert np.ptp(h) > 0.1


def test_seeds_their_mean_and_its_interval():
    """Student's interval by SciPy; a random_state is a fit, and another one another."""
    fitted = MeanFieldIV(**LIGHT).fit(*small())
    each = fitted.each(GRID)
    assert each.shape == (3, 100) and np.all(each.std(0) > 0)
    np.testing.assert_allclose(fitted.predict(GRID), each.mean(0))
    wanted = stats.t.interval(0.9, 2, each.mean(0), stats.sem(each, 0))
    np.testing.assert_allclose(fitted.interval(GRID, 0.9), wanted, rtol=1e-9)
    np.testing.assert_array_equal(MeanFieldIV(**LIGHT).fit(*small()).each(GRID), each)
    assert np.abs(MeanFieldIV(**LIGHT | {"random_state": 1}).fit(*small()).each(GRID) - each).max() > 1e-3


def test_rows_that_only_fill_a_table_up_are_never_drawn():
    """1,000 batches of 16 from 5 rows, of tables whose other 3 are NaN; all five are met."""
    table = jnp.where(jnp.arange(8)[:, None] < 5, jnp.arange(8.0)[:, None], jnp.nan)
    problem = instrumental(table, table, table[:, 0], batch=16, particles=2, rows=jnp.int32(5))
    for draw in (problem.draw_upper, problem.draw_lower):
        keys = jax.random.split(jax.random.key(0), 1000)
        drawn = jax.vmap(lambda key, draw=draw: draw(key, None, None))(keys)
        assert all(np.isin(np.asarray(part), np.arange(5)).all() for part in drawn)
        assert len(np.unique(drawn[0])) == 5


def test_several_treatments_and_instruments():
    """Two of either, of which one moves y."""
    random = np.random.default_rng(1)
    z = random.normal(size=(400, 2))
    a = z + 0.3 * random.normal(size=(400, 2))
    fitted = MeanFieldIV(**LIGHT | {"steps": 300, "batch": 128}).fit(z, a, np.tanh(a[:, 1]))
    away = lambda column: np.ptp(fitted.predict(np.eye(2)[[column]] * [[-1.0], [1.0]]))  # noqa: E731
    assert fitted.n_features_in_ == fitted.n_instruments_ == 2
    assert away(1) > 4 * away(0)


@pytest.mark.parametrize("which", ["z", "a", "y"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(which, bad):
    data = dict(zip("zay", (part.copy() for part in small()), strict=True))
    data[which].flat[3] = bad
    with pytest.raises(ValueError, match=f"Input {which} contains (NaN|infinity)"):
        MeanFieldIV(**LIGHT).fit(**data)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"z": GRID}, "inconsistent numbers of samples"),
        ({"a": GRID}, "inconsistent numbers of samples"),
        ({"a": np.zeros(60)}, "Expected 2D array"),
        ({"z": np.zeros(60)}, "Expected 2D array"),
        ({"y": np.zeros((60, 2))}, "y should be a 1d array"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        MeanFieldIV(**LIGHT).fit(**dict(zip("zay", small(), strict=True)) | change)


def test_too_few_rows_and_other_columns_are_refused():
    with pytest.raises(ValueError, match="minimum of 10 is required"):
        MeanFieldIV(**LIGHT).fit(*small(9))
    fitted = MeanFieldIV(**LIGHT).fit(*small())
    with pytest.raises(ValueError, match="X has 2 features, but MeanFieldIV is expecting 1"):
        fitted.predict(np.zeros((4, 2)))
    with pytest.raises(ValueError, match="level must be between 0 and 1"):
        fitted.interval(GRID, 95)
    with pytest.raises(ValueError, match="two seeds"):
        MeanFieldIV(**LIGHT | {"seeds": 1}).fit(*small()).interval(GRID)


@pytest.mark.parametrize(
    "bad", [{"steps": 0}, {"particles": 0}, {"step": -1.0}, {"penalty": 0.0}, {"ridge": float("nan")}, {"seeds": 0}]
)
def test_settings_out_of_range_are_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=name):
        MeanFieldIV(**LIGHT | bad).fit(*small())


def test_a_fit_that_diverges_says_so():
    with pytest.raises(ValueError, match="the fit diverged before update .*: lower step, which is 1e\\+30"):
        MeanFieldIV(**LIGHT | {"step": 1e30}).fit(*small())


def test_progress_is_told_to_the_end(monkeypatch):
    told = []

    @contextmanager
    def bar(steps, name):
        yield lambda row, states: told.append((row["step"], steps))

    monkeypatch.setattr(npiv, "bar", bar)
    MeanFieldIV(**LIGHT).fit(*small())
    assert len(told) == npiv.CHUNKS and told[-1] == (40, 40)
    MeanFieldIV(**LIGHT | {"progress": False}).fit(*small())
    assert len(told) == npiv.CHUNKS
