"""Finite worlds: sparse against dense, the two transposed moves, and every refusal."""

import inspect

import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel, random_world
from upperhand.mdps import dense, sparse
from upperhand.mdps.mdp import chain, expect, push

S, A, K = 5, 3, 4


@pytest.fixture(params=[(False, False), (True, False), (False, True), (True, True)], scope="module")
def world(request):
    ends, repeats = request.param
    return random_world(np.random.default_rng(2), S, A, K, ends=ends, repeats=repeats)


def test_expect_push_and_chain_equal_the_dense_kernel(world):
    rng = np.random.default_rng(3)
    P, v, mass, pi = kernel(world), rng.normal(size=S), rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), size=S)
    np.testing.assert_allclose(expect(world, jnp.asarray(v)), P @ v, rtol=1e-12)
    np.testing.assert_allclose(push(world, jnp.asarray(mass)), np.einsum("sa,sat->t", mass, P), rtol=1e-12)
    np.testing.assert_allclose(chain(world, jnp.asarray(pi)), np.einsum("sa,sat->st", pi, P), rtol=1e-12)


def test_push_is_the_transpose_of_expect(world):
    """⟨m, P v⟩ = ⟨Pᵀ m, v⟩."""
    rng = np.random.default_rng(4)
    v, mass = jnp.asarray(rng.normal(size=S)), jnp.asarray(rng.normal(size=(S, A)))
    assert float(jnp.sum(mass * expect(world, v))) == pytest.approx(float(push(world, mass) @ v), rel=1e-12)


def test_rows_of_the_chain_lose_what_ends(world):
    pi = np.random.default_rng(5).dirichlet(np.ones(A), size=S)
    lost = (pi * world.ending).sum(-1)
    np.testing.assert_allclose(chain(world, jnp.asarray(pi)).sum(-1), 1 - lost, rtol=1e-12)
    np.testing.assert_allclose(push(world, jnp.asarray(pi)).sum(), S - lost.sum(), rtol=1e-12)


def test_dense_is_the_same_world_and_leaves_zeros_out(world):
    P = kernel(world)
    made = dense(P, start=world.start, ending=world.ending, discount=world.discount)
    np.testing.assert_array_equal(kernel(made), P)
    assert made.successor.shape == (S, A, (P > 0).sum(-1).max())
    np.testing.assert_array_equal(made.start, world.start)
    np.testing.assert_array_equal(made.ending, world.ending)


def test_dense_with_rows_that_only_end():
    """The one state of the row that is kept has probability 0: nothing follows."""
    P = np.zeros((2, 1, 2))
    made = dense(P, ending=np.ones((2, 1)), discount=0.9)
    np.testing.assert_array_equal(expect(made, jnp.asarray([3.0, 4.0])), np.zeros((2, 1)))


def test_defaults_and_sizes():
    made = sparse(np.zeros((4, 2, 1), int), np.ones((4, 2, 1)), discount=0)
    assert (made.states, made.actions, made.discount) == (4, 2, 0.0)
    np.testing.assert_array_equal(made.start, np.full(4, 0.25))
    np.testing.assert_array_equal(made.ending, np.zeros((4, 2)))
    assert made.probability.dtype == made.start.dtype == np.float64 and made.successor.dtype == np.int32


def test_precision_follows_the_argument(world):
    v, mass = jnp.ones(S, jnp.float32), jnp.ones((S, A), jnp.float32)
    assert expect(world, v).dtype == push(world, mass).dtype == chain(world, mass).dtype == jnp.float32


def edited(array, index, value):
    array = np.array(array)
    array[index] = value
    return array


def good():
    return {"successor": np.zeros((2, 2, 1), int), "probability": np.ones((2, 2, 1)), "discount": 0.9}


BAD = {
    # what is changed: the argument that the message must name, and a piece of what it must tell
    "flat successor": ({"successor": np.zeros((2, 2), int)}, "successor", r"\(2, 2\)"),
    "other shape": ({"probability": np.ones((2, 2, 2))}, "probability", r"\(2, 2, 2\)"),
    "no states": ({"successor": np.zeros((0, 2, 1), int), "probability": np.ones((0, 2, 1))}, "successor", "shape"),
    "real successor": ({"successor": np.zeros((2, 2, 1))}, "successor", "float64"),
    "successor too large": ({"successor": np.full((2, 2, 1), 2)}, "successor", "0 … 1"),
    "successor below 0": ({"successor": np.full((2, 2, 1), -1)}, "successor", "-1"),
    "ending's shape": ({"ending": np.zeros(2)}, "ending", r"\(2, 2\)"),
    "start's shape": ({"start": np.ones(3) / 3}, "start", r"\(3,\)"),
    "probability below 0": ({"probability": edited(np.ones((2, 2, 1)), (0, 0, 0), -1.0)}, "probability", "-1"),
    "probability not finite": ({"probability": edited(np.ones((2, 2, 1)), (0, 0, 0), np.nan)}, "probability", "finite"),
    "ending below 0": ({"ending": np.full((2, 2), -0.5)}, "ending", "-0.5"),
    "ending not finite": ({"ending": np.full((2, 2), np.inf)}, "ending", "finite"),
    "start below 0": ({"start": [1.5, -0.5]}, "start", "-0.5"),
    "row sum": ({"probability": edited(np.ones((2, 2, 1)), (1, 0, 0), 0.75)}, "probability", "state 1, action 0.*0.75"),
    "row sum with ending": ({"ending": edited(np.zeros((2, 2)), (0, 1), 0.25)}, "ending", "state 0, action 1.*1.25"),
    "start's sum": ({"start": [0.5, 0.25]}, "start", "0.75"),
    "discount 1": ({"discount": 1.0}, "discount", "1.0"),
    "discount below 0": ({"discount": -0.1}, "discount", "-0.1"),
    "discount not a number": ({"discount": "0.9"}, "discount", "0.9"),
    "discount nan": ({"discount": float("nan")}, "discount", "nan"),
}


@pytest.mark.parametrize("case", BAD)
def test_sparse_refuses(case):
    change, name, told = BAD[case]
    with pytest.raises(ValueError, match=told) as caught:
        inspect.unwrap(sparse)(**(good() | change))  # as a user has it, without the tests' type checks
    message = str(caught.value)
    assert name in message and "\n" not in message


@pytest.mark.parametrize("discount", [0, 0.5, np.float64(0.9)])
def test_discount_may_be_any_real_number(discount):
    made = sparse(**(good() | {"discount": discount}))
    assert type(made.discount) is float and made.discount == pytest.approx(float(discount))


@pytest.mark.parametrize("shape", [(2, 2), (2, 1, 3), (0, 1, 0)], ids=str)
def test_dense_refuses_a_wrong_shape(shape):
    with pytest.raises(ValueError, match="kernel") as caught:
        dense(np.ones(shape), discount=0.9)
    assert str(shape) in str(caught.value)


def test_dense_refuses_a_row_that_does_not_sum_to_one():
    with pytest.raises(ValueError, match="state 0, action 0 sums to 2"):
        dense(np.ones((2, 1, 2)), discount=0.9)
