"""Finite differences: error O(h²) in expectation; sampled, the mean is the difference quotient of Φ."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_actor_critic import KEYS, away

from probes import dict_valued, rmdp6
from upperhand.hypergradients.difference import central, neighbours
from upperhand.solvers.rl import expected_finite_difference, finite_difference

KEY = jax.random.key(0)  # used by nothing in an expected method


def test_neighbours_and_quotients_of_a_polynomial():
    """f = Σ x³: the quotient is 3 x² + h² exactly."""
    x, h = jnp.asarray([0.3, -1.0, 2.0]), 0.1
    values = jnp.sum(neighbours(x, h) ** 3, -1)
    np.testing.assert_allclose(central(values, h), 3 * x**2 + h**2, rtol=1e-12)


def held(problem, x, h, updates=3):
    settings = {"radius": h, "temperature": 0.5, "x_step": optax.set_to_zero(), "effort": 12}
    solver = expected_finite_difference(problem, **settings)
    state = solver.init(x, jnp.zeros((problem.mdp.states, problem.mdp.actions)))
    go = jax.jit(lambda s: jax.lax.fori_loop(0, updates, lambda i, s: solver.update(KEY, s)[0], s))
    return jax.jit(solver.update)(KEY, go(state))[1].hypergradient


def test_in_expectation_its_error_falls_as_the_square_of_h():
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    exact = problem.exact.hypergradient(x, 0.5)
    errors = [np.linalg.norm(held(problem, x, h) - exact) for h in (0.1, 0.05, 0.025)]
    np.testing.assert_allclose(np.log2(np.array(errors[:-1]) / errors[1:]), 2, atol=0.05)


def test_it_takes_a_dictionary():
    probe = dict_valued()
    x, _ = probe.problem.init(jax.random.key(0))
    found = held(probe.problem._replace(), x, 1e-3)
    wanted = probe.hypergradient({"pair": np.asarray(x["pair"]), "last": np.asarray(x["last"])})
    assert found.keys() == x.keys() and np.shape(found["last"]) == () and np.shape(wanted["pair"]) == (2,)


@pytest.mark.long
def test_sampled_the_mean_is_the_quotient_of_exact_values():
    """RMDP-6 at τ = 2, h = .5: 500 updates after 1500 others, of 16 runs, within 6.5 standard errors.

    Refused: the same with the agents' answers left out (the cost's derivative alone).
    """
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    settings = {"batch": (64, 2), "critic_step": 0.01, "policy_step": 0.05, "temperature": 2.0, "radius": 0.5}
    solver = finite_difference(problem, x_step=optax.set_to_zero(), **settings)

    def one(key):
        def advance(i, carry):
            state, info = solver.update(jax.random.fold_in(key, i), carry[0])
            return state, carry[1] + jnp.where(i < 1500, 0.0, info.hypergradient / 500)

        return jax.lax.fori_loop(0, 2000, advance, (solver.init(x, jnp.zeros((6, 3))), jnp.zeros(4)))[1]

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(5), KEYS)))
    values = jax.jit(lambda x: jax.lax.map(lambda x: jax.lax.map(lambda x: problem.exact.value(x, 2.0), x), x))
    wanted = np.asarray(central(values(neighbours(x, 0.5)), 0.5))
    assert away(found, wanted) < 6.5, (found.mean(0), wanted)
    assert away(found, 0.1 * np.asarray(x)) > 10


@pytest.mark.parametrize("build", [finite_difference, expected_finite_difference])
def test_its_cost_grows_with_the_numbers_of_x(build):
    """2·dim(x) agents, or evaluations, an update."""
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    _, info = jax.eval_shape(build(problem).update, jax.random.key(0), build(problem).init(x, jnp.zeros((6, 3))))
    info = jax.jit(build(problem).update)(jax.random.key(0), build(problem).init(x, jnp.zeros((6, 3))))[1]
    assert (float(info.cost.samples), float(info.cost.gradients)) == (
        (2 * 4 * 8 * 4, 0) if build is finite_difference else (0, 2 * 4)
    )
