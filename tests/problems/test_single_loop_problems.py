"""The small problems of the single-loop methods: their oracles against the losses, their noise against what is said."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.problems import flat_direction, kinked, quadratic, sine_valley, three_targets

MADE = {
    "quadratic": partial(quadratic, d=3, eigenvalues=(0.5, 2.0), reg=0.3, seed=4, spread=1.0),
    "kinked": partial(kinked, mu=0.7, c=-1.5, reg=0.4),
    "steep": partial(kinked, c=9.0),  # the minimiser lies past the kink of upper
    "three_targets": partial(three_targets, targets=(-1.0, 0.5, 2.0, 0.0)),
    "sine_valley": sine_valley,
    "flat_direction": flat_direction,
}
every_problem = pytest.mark.parametrize("name", MADE)


def points(problem, count=6):
    """Some x around where it starts."""
    x, _ = problem.init(jax.random.key(0))
    return x[None] + 2 * jax.random.normal(jax.random.key(1), (count, *x.shape), x.dtype)


@every_problem
def test_the_oracle_says_what_the_losses_say(name):
    """y*(x) is stationary and no y around it is lower; Φ is upper there; ∇Φ is the central difference of Φ."""
    problem = MADE[name]()
    exact, h = problem.exact, 1e-5

    def seen(x):
        y = exact.lower_solution(x, 0.0)
        lower = lambda y: jnp.sum(problem.lower(x, y, None))  # noqa: E731
        around = y[None] + 0.3 * jax.random.normal(jax.random.key(2), (50, *y.shape))
        ends = jax.vmap(lambda way: exact.value(x + h * way, 0.0) - exact.value(x - h * way, 0.0))(jnp.eye(x.size))
        told = exact.value(x, 0.0), exact.hypergradient(x, 0.0), jnp.max(problem.upper(x, y, None))
        return *told, jax.grad(lower)(y), jax.vmap(lower)(around) - lower(y), ends / (2 * h)

    value, slope, upper, residual, higher, difference = jax.jit(jax.vmap(seen))(points(problem))
    np.testing.assert_allclose(value, upper, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(residual, 0, atol=1e-12)
    assert higher.min() > -1e-12
    np.testing.assert_allclose(slope, difference, rtol=1e-7, atol=1e-8)


@every_problem
def test_the_best_x_is_the_least_of_the_value(name):
    """Nothing nearby or far is lower; the value is that of the x."""
    exact = MADE[name]().exact
    x, least = exact.best()
    value = jax.jit(jax.vmap(lambda x: exact.value(x, 0.0)))
    around = jax.random.normal(jax.random.key(3), (300, *x.shape))
    assert float(value(jnp.asarray(x)[None])[0]) == pytest.approx(least, abs=1e-12)
    for size in (1e-3, 0.1, 3.0):
        assert float(value(jnp.asarray(x + size * np.asarray(around))).min()) > least


@every_problem
@pytest.mark.parametrize("wide", [False, True])
def test_the_oracle_keeps_the_type_of_x(name, wide):
    with jax.enable_x64(wide):
        problem = MADE[name]()
        x, y = problem.init(jax.random.key(0))
        told = problem.exact.lower_solution(x), problem.exact.value(x), problem.exact.hypergradient(x)
        assert {leaf.dtype for leaf in (x, y, *told)} == {np.dtype(np.float64 if wide else np.float32)}
        assert told[0].shape == y.shape and told[2].shape == x.shape and told[1].shape == ()
        assert {leaf.dtype for leaf in (problem.upper(x, y, None), problem.lower(x, y, None))} == {x.dtype}


def test_the_known_minimisers():
    assert kinked().exact.best()[0] == pytest.approx(1.6) and kinked(c=9.0).exact.best()[0] == pytest.approx(4.0)
    assert three_targets().exact.best() == (2.0, 2.0)
    assert sine_valley().exact.best() == (0.5, -0.25)
    eigenvalues = np.linalg.eigvalsh(jax.jacobian(lambda x: quadratic().exact.hypergradient(x))(jnp.zeros(5)))
    np.testing.assert_allclose(eigenvalues, [0.500, 0.511, 0.566, 0.707, 2.435], atol=6e-4)


def test_the_valley_satisfies_the_polyak_lojasiewicz_inequality():
    """G1: ‖∂_y lower‖² = 2 lower (1 + cos² y₂) ≥ 2 lower, and it is not convex in y."""
    problem = sine_valley()
    x, y = 3 * jax.random.normal(jax.random.key(0), (200, 1)), 3 * jax.random.normal(jax.random.key(1), (200, 2))
    lower = lambda x, y: problem.lower(x, y, None)  # noqa: E731
    each = lambda x, y: (lower(x, y), jax.grad(lower, 1)(x, y), jax.hessian(lower, 1)(x, y))  # noqa: E731
    loss, slope, hessian = map(np.asarray, jax.jit(jax.vmap(each))(x, y))
    np.testing.assert_allclose((slope**2).sum(1), 2 * loss * (1 + np.cos(np.asarray(y)[:, 1]) ** 2), rtol=1e-12)
    assert np.linalg.eigvalsh(hessian).min() < -1


def test_the_noise_is_what_is_said_of_it():
    """σ on every gradient entry, σ/d on those of the symmetric Hessian and of the cross derivative; all of mean 0."""
    sigma, d, count = 0.8, 3, 4000
    still, problem = MADE["quadratic"](), MADE["quadratic"](noise=sigma)
    x, y = jnp.array([0.3, -1.0, 2.0]), jnp.array([1.0, 0.4, -0.7])

    def seen(problem, key=None):
        above, below = (None, None) if key is None else (problem.draw_upper(key, x, y), problem.draw_lower(key, x, y))
        slope = jax.grad(problem.lower, 1)
        return (
            *jax.grad(problem.upper, (0, 1))(x, y, above), slope(x, y, below),
            jax.jacobian(slope, 1)(x, y, below), jax.jacobian(slope, 0)(x, y, below),
        )  # fmt: skip

    drawn = jax.jit(jax.vmap(lambda key: seen(problem, key)))(jax.random.split(jax.random.key(0), count))
    for found, mean, size in zip(drawn, seen(still), (sigma, sigma, sigma, sigma / d, sigma / d), strict=True):
        np.testing.assert_allclose(found.mean(0), mean, atol=5 * size / count**0.5)
        np.testing.assert_allclose(found.std(0), size, rtol=0.06)
    hessians, cross = (np.asarray(drawn[which]) - np.asarray(seen(still)[which]) for which in (3, 4))
    np.testing.assert_allclose(hessians, hessians.swapaxes(1, 2), atol=1e-12)
    assert abs((hessians[:, 0, 1] * cross[:, 0, 1]).mean()) < 5 * (sigma / d) ** 2 / count**0.5
    assert problem.drawn == (1, 1) and still.drawn == (0, 0)


@pytest.mark.parametrize(
    ("maker", "setting", "bad"),
    [
        (quadratic, "d", 0), (quadratic, "reg", 0.0), (quadratic, "noise", -1.0), (quadratic, "spread", -1.0),
        (quadratic, "eigenvalues", (2.0, 1.0)), (kinked, "mu", 0.0), (kinked, "reg", -1.0),
        (kinked, "noise", float("nan")),
        (three_targets, "targets", (1.0,)), (three_targets, "noise", -1.0), (three_targets, "spread", -1.0),
        (sine_valley, "spread", -1.0), (flat_direction, "spread", float("nan")),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(maker, setting, bad):
    with pytest.raises(ValueError, match=f"^{setting} must .*got") as told:
        maker(**{setting: bad})
    assert "\n" not in str(told.value)
