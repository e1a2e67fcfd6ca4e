"""The problems of the penalty methods: each oracle against finite differences, a search, and its own lower level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize

from penalty_probes import light
from upperhand.problems import coupled_line, shared_backbone, steep_line, tilted_quadratic, valley
from upperhand.problems.valley import minima

RANDOM = np.random.default_rng(7)
MADE = {
    "valley": (valley(), RANDOM.uniform(0.2, 2.8, (3, 1))),
    "steep_line": (steep_line(), np.array([[-7.5], [-3.0], [1.0]])),
    "coupled_line": (coupled_line(steepness=0.1), RANDOM.uniform(0.2, 2.0, (3, 1))),
    "tilted_quadratic": (tilted_quadratic(numbers=4), RANDOM.normal(size=(3, 4))),
    "shared_backbone": (shared_backbone(shift=0.5, examples=30, inputs=4, features=2), RANDOM.normal(size=(3, 4, 2))),
}
every = pytest.mark.parametrize("name", MADE)


@every
def test_the_lower_solution_is_the_least_of_a_search(name):
    """By a search of SciPy from y = 0, with bounds where y is bounded or held."""
    problem, points = MADE[name]
    exact = problem.exact
    slope = light(jax.value_and_grad(lambda y, x: problem.lower(x, y, None)))
    for x in map(jnp.asarray, points):
        y = np.asarray(exact.lower_solution(x))
        least = 3 * float(x[0]) if name == "coupled_line" else -8.0 if name == "steep_line" else None
        bounds = [(least, None)] * y.size
        told = lambda y, x=x: [np.asarray(part) for part in slope(jnp.asarray(y), x)]  # noqa: E731
        found = minimize(told, np.zeros(y.size), jac=True, bounds=bounds, tol=1e-14)
        np.testing.assert_allclose(y, found.x, atol=2e-5)
        assert float(problem.lower(x, jnp.asarray(y), None)) <= found.fun + 1e-12
        if problem.constraint is not None:
            assert np.all(np.asarray(problem.constraint(x, jnp.asarray(y))) <= 1e-12)


@every
def test_the_value_and_its_slope_belong_together(name):
    problem, points = MADE[name]
    exact, ways = problem.exact, RANDOM.normal(size=points.shape)

    def look(x, way):
        value, size = exact.value, 1e-5
        rise = (value(x + size * way) - value(x - size * way)) / (2 * size)
        again = problem.upper(x, exact.lower_solution(x), None)
        return value(x), again, jnp.vdot(exact.hypergradient(x), way), rise

    value, again, slope, rise = light(jax.vmap(look))(jnp.asarray(points), jnp.asarray(ways))
    np.testing.assert_allclose(value, again, rtol=1e-12)
    np.testing.assert_allclose(slope, rise, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in MADE if name != "shared_backbone"])
def test_no_allowed_x_is_better_than_the_best(name):
    problem, points = MADE[name]
    x, value = problem.exact.best()
    many = jnp.asarray(
        np.concatenate([RANDOM.uniform(-8, 3, (400, x.size)), x + 0.01 * RANDOM.normal(size=(400, x.size))])
    )
    at = light(jax.vmap(lambda x: problem.exact.value(problem.project_x(x))))
    assert float(at(jnp.asarray(x)[None])[0]) == pytest.approx(value, rel=1e-12)
    assert float(at(many).min()) >= value - 1e-12
    np.testing.assert_array_equal(problem.project_x(jnp.asarray(x)), x)


@every
def test_single_precision_stays_single(name):
    problem, points = MADE[name]
    exact = problem.exact

    def told(x):
        y = exact.lower_solution(x)
        losses = problem.upper(x, y, None), problem.lower(x, y, None), exact.value(x)
        return y, *losses, exact.hypergradient(x), problem.project_x(x), problem.project_y(y)

    shapes = jax.eval_shape(told, jax.ShapeDtypeStruct(points[0].shape, jnp.float32))
    assert {leaf.dtype for leaf in shapes} == {jnp.dtype("float32")}


def test_the_minima_of_the_valley():
    """P3: to the digits that other code has."""
    assert minima() == pytest.approx([0.3824, 1.2152, 2.8296], abs=1e-4)
    values = [float(valley().exact.value(jnp.asarray([x]))) for x in minima()]
    assert values == pytest.approx([0.4427, 0.1999, 1.2435], abs=1e-4)


def test_the_multiplier_carries_the_slope_of_the_least_lower():
    """T3: v = x² at y = 3x, and ∂ₓ lower + m ∂ₓ c = −4x + 2x · 3 = 2x = v′, of m = −∂_y lower/∂_y c."""
    problem = coupled_line()

    def look(x):
        y = 3 * x
        dx, dy = jax.grad(problem.lower, (0, 1))(x, y, None)
        cx, cy = jax.jacobian(problem.constraint, (0, 1))(x, y)
        m = -dy / cy[0]
        return problem.lower(x, y, None), m, dx, dx + m * cx[0]

    x = jnp.linspace(0.1, 2.5, 5)[:, None]
    value, m, without, slope = light(jax.vmap(look))(x)
    np.testing.assert_allclose(value, x[:, 0] ** 2, rtol=1e-14)
    for found, times in ((m, 2), (without, -4), (slope, 2)):
        np.testing.assert_allclose(found, times * x, rtol=1e-14)


def test_known_answers():
    """Worked out by hand: −steepness/2, 1 − 3 steepness, and both where a box holds them."""
    x, value = steep_line().exact.best()
    assert x == pytest.approx([-5.0]) and value == pytest.approx(-35.0)
    assert steep_line(steepness=-8.0).exact.best()[0] == pytest.approx([1.5])
    assert coupled_line(steepness=0.2).exact.best()[0] == pytest.approx([0.4])
    assert coupled_line(steepness=0.5).exact.best()[0] == pytest.approx([0.0])
    problem = tilted_quadratic()
    whole = light(jax.hessian(lambda z: problem.lower(z[:20], z[20:], None)))(jnp.zeros(40))
    curves = np.linalg.eigvalsh(whole)
    assert curves[-1] == pytest.approx(18.5, abs=0.05) and curves[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("maker", "settings"),
    [(valley, {"x_span": (1.0, 0.0)}), (valley, {"y_span": (0.0, float("inf"))}),
     (steep_line, {"steepness": float("nan")}), (coupled_line, {"steepness": float("inf")}),
     (tilted_quadratic, {"tilt": 0.0}), (tilted_quadratic, {"numbers": 0}), (shared_backbone, {"shift": -1.0}),
     (shared_backbone, {"examples": 0}), (shared_backbone, {"ridge": 0.0})],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_named(maker, settings):
    (name,) = settings
    with pytest.raises(ValueError, match=rf"^{name} .*got"):
        maker(**settings)
