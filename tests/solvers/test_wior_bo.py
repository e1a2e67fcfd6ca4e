"""WiOR-BO against a NumPy re-expression, its fixed point, and what the order is for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import general_probes as probes
from upperhand.hypergradients.ordering import independent, reshuffled, shuffle_once
from upperhand.problems import example_quadratics
from upperhand.solvers import wior_bo


def states(solver, problem, updates, seed=0):
    """The first state, and the states after each update, stacked."""
    first = solver.init(*problem.init(jax.random.key(0)))
    keys = jax.random.split(jax.random.key(seed), updates)
    return first, jax.jit(lambda state: jax.lax.scan(lambda s, key: (solver.update(key, s)[0],) * 2, state, keys)[1])(
        first
    )


@pytest.mark.parametrize("ordering", [reshuffled, shuffle_once, independent])
def test_it_is_the_update_rule_written_in_numpy(ordering):
    """Two lists of 5 examples, three passes, a radius that is reached; the examples taken are read off the lists."""
    problem, size, radius, s, t, u = example_quadratics(examples=5, numbers=3), 3, 0.4, 0.03, 0.1, 0.2
    solver = wior_bo(problem, x_step=s, y_step=t, z_step=u, radius=radius, ordering=ordering)
    _, after = states(solver, problem, 15)
    c, d = map(np.asarray, problem.examples.take_upper(jnp.arange(5)))
    A, B, b = map(np.asarray, problem.examples.take_lower(jnp.arange(5)))
    x, y, z = np.zeros((3, size))
    longest = 0.0
    for k in range(15):
        i, j = int(after.above[k, k % 5]), int(after.below[k, k % 5])
        y_new = y - t * (A[j] @ y - B[j] @ x - b[j])
        z_new = z - u * (A[j] @ z - (y - c[i]))
        x = x - s * ((x - d[i]) / 2 + B[j].T @ z)
        y, z, longest = y_new, z_new * min(1.0, radius / np.linalg.norm(z_new)), max(longest, np.linalg.norm(z_new))
        for found, wanted in zip((after.x[k], after.y[k], after.z[k]), (x, y, z), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-11, atol=1e-13)
    assert longest > radius


def test_with_one_example_it_ends_at_the_closed_form():
    problem = example_quadratics(examples=1, numbers=3, seed=2)
    _, after = states(wior_bo(problem, x_step=0.05, y_step=0.2, z_step=0.2), problem, 3000)
    x, _ = problem.exact.best()
    np.testing.assert_allclose(after.x[-1], x, atol=1e-10)
    np.testing.assert_allclose(after.y[-1], problem.exact.lower_solution(after.x[-1]), atol=1e-10)


def test_two_lists_of_different_lengths_have_passes_of_their_own():
    """4 upper examples and 6 lower ones, batches of 2: passes of 2 and of 3 updates, each a permutation."""
    problem = probes.finite().problem
    _, after = states(wior_bo(problem, batch=2), problem, 12)
    for lists, length in ((np.asarray(after.above), 4), (np.asarray(after.below), 6)):
        taken = np.concatenate([lists[k, [2 * k % length, (2 * k + 1) % length]] for k in range(12)])
        assert np.array_equal(np.sort(taken.reshape(-1, length), 1), np.tile(np.arange(length), (24 // length, 1)))


def test_without_examples_it_tells_what_to_give():
    with pytest.raises(ValueError, match="wior_bo orders a finite set of examples"):
        wior_bo(probes.follows().problem)
