"""Hoisting: the same answers from a program that does not contain its data, traced once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hoist import hoist


@pytest.fixture(scope="module")
def data():
    return np.random.default_rng(0).normal(size=(200, 500))


def test_it_gives_what_the_function_gives(data):
    """In NumPy: a pytree in, a pytree out."""
    function = lambda x, scale: {"sum": jnp.asarray(data) @ x["v"] * scale, "scale": scale}  # noqa: E731
    x, scale = {"v": jnp.arange(500.0)}, jnp.asarray(2.0)
    found = hoist(function, x, scale)({"v": jnp.arange(500.0) + 1}, jnp.asarray(3.0))
    np.testing.assert_allclose(found["sum"], 3 * data @ (np.arange(500.0) + 1), rtol=1e-12)
    assert float(found["scale"]) == 3 and set(found) == {"sum", "scale"}


def test_the_program_does_not_grow_with_the_data():
    """An array of 8 MB that is closed over: baked in by jit, an argument here."""
    big = np.random.default_rng(1).normal(size=1_000_000)
    function = lambda x: jnp.sum(jnp.asarray(big) * x)  # noqa: E731
    x = jnp.asarray(2.0)
    hoisted = hoist(function, x)
    assert len(jax.jit(function).lower(x).as_text()) > 1_000_000
    assert len(hoisted.lower(x).as_text()) < 5_000
    assert sum(constant.size for constant in hoisted.constants) == big.size
    assert float(hoisted(x)) == pytest.approx(2 * big.sum(), rel=1e-9)


def test_constants_inside_loops_are_hoisted_too():
    big = np.random.default_rng(2).normal(size=100_000)

    def function(x):
        return jax.lax.scan(lambda x, _: (x + jnp.sum(jnp.asarray(big) * x), None), x, length=3)[0]

    x = jnp.asarray(1e-6)
    hoisted = hoist(function, x)
    assert len(hoisted.lower(x).as_text()) < 10_000
    assert float(hoisted(x)) == pytest.approx(1e-6 * (1 + big.sum()) ** 3, rel=1e-9)


def test_it_traces_once():
    traced = []

    def function(x):
        traced.append(1)
        return x + 1

    hoisted = hoist(function, jnp.asarray(0.0))
    assert [float(hoisted(jnp.asarray(v))) for v in (1.0, 2.0, 3.0)] == [2, 3, 4]
    assert len(traced) == 1


def test_shapes_are_enough_as_an_example(data):
    hoisted = hoist(lambda x: jnp.asarray(data) @ x, jax.ShapeDtypeStruct((500,), jnp.float64))
    np.testing.assert_allclose(hoisted(jnp.ones(500)), data.sum(1), rtol=1e-9)


def test_it_is_differentiable_and_maps(data):
    hoisted = hoist(lambda x: jnp.sum((jnp.asarray(data) @ x) ** 2), jnp.zeros(500))
    x = np.random.default_rng(3).normal(size=500)
    np.testing.assert_allclose(jax.grad(hoisted)(jnp.asarray(x)), 2 * data.T @ (data @ x), rtol=1e-10)


def test_options_reach_jit():
    """A donated argument is gone after the call."""
    hoisted = hoist(lambda x: x + 1, jnp.zeros(3), donate_argnums=1)
    x = jnp.zeros(3)
    np.testing.assert_array_equal(hoisted(x), np.ones(3))
    assert x.is_deleted()


def test_another_number_of_leaves_is_refused():
    hoisted = hoist(lambda x: x["a"] - x["b"], {"a": jnp.asarray(1.0), "b": jnp.asarray(2.0)})
    with pytest.raises((ValueError, TypeError)):
        hoisted({"c": jnp.asarray(1.0), "d": jnp.asarray(2.0), "e": jnp.asarray(3.0)})
