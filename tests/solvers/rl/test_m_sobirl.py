"""M-SoBiRL: the exact hypergradient where its adjoint and sweeps have settled; the published problem solved."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from probes import rmdp6
from upperhand.forms import Tabular
from upperhand.problems import random_mdp
from upperhand.solvers.rl import m_sobirl


def held(problem, x, updates, **settings):
    solver = m_sobirl(problem, x_step=optax.set_to_zero(), **settings)
    state = solver.init(x, jnp.zeros((problem.mdp.states, problem.mdp.actions)))
    keys = jax.random.split(jax.random.key(0), updates)
    return jax.jit(lambda state: jax.lax.scan(lambda s, key: solver.update(key, s), state, keys))(state)


def test_at_a_held_x_it_converges_to_the_exact_hypergradient():
    """RMDP-6, both kinds of upper objective; γ = .9 makes the adjoint slow, so 20,000 updates of the largest step."""
    problem, x = rmdp6()
    tabular = problem._replace(upper=Tabular(lambda x, pi, mu: (jnp.sum(x**2) + jnp.sum(pi**2)) / 2))
    from upperhand.hypergradients import exact

    for each in (problem, tabular):
        _, info = held(each, jnp.asarray(x), 20_000, temperature=0.5, sweeps=10)
        wanted = exact(each, temperature=0.5).hypergradient(jnp.asarray(x), 0.5)
        start, end = (np.linalg.norm(info.hypergradient[i] - wanted) for i in (0, -1))
        assert end < 1e-6 * np.linalg.norm(wanted) < start


@pytest.mark.long
def test_it_solves_the_random_problem_of_its_paper():
    """3000 updates with the published steps: f within 1e-6 of its optimum 1 and a hypergradient of at most 1e-8."""
    problem = random_mdp()
    solver = m_sobirl(problem)
    x, theta = problem.init(jax.random.key(0))
    keys = jax.random.split(jax.random.key(0), 3000)
    go = jax.jit(lambda state: jax.lax.scan(lambda s, key: solver.update(key, s), state, keys))
    state, info = go(solver.init(x, theta))
    assert info.upper[0] > 10
    assert abs(float(problem.exact.value(state.x, 1.0)) - 1.0) < 1e-6
    assert np.linalg.norm(info.hypergradient[-1]) <= 1e-8
    assert np.linalg.norm(problem.exact.hypergradient(state.x, 1.0)) <= 1e-8
