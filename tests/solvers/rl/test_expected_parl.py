"""PARL in expectation: at a held x it is the exact hypergradient; it ends near the best goal."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_expected_actor_critic import STARTS, corner, light, with_ends

from probes import rmdp6
from upperhand.hypergradients import bellman
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.solvers.rl import expected_parl


@pytest.mark.parametrize("world", [rmdp6, with_ends], ids=["endless", "ends"])
def test_at_a_held_x_plain_ascent_leads_to_the_exact_hypergradient(world):
    """2000 updates of 10 steps at τ = 1: dx of bellman and J of the soft optimum, to 1e-6; the policy as well."""
    problem, _ = world()
    x, y = problem.init(jax.random.key(0))
    solver = expected_parl(problem, x_step=optax.set_to_zero(), temperature=1.0, policy_step=0.5, solves=40)

    @jax.jit
    def go(state):
        key = jax.random.key(0)
        state = jax.lax.fori_loop(0, 1999, lambda _, state: solver.update(key, state)[0], state)
        return solver.update(key, state)

    state, info = go(solver.init(x, y))
    soft = light(lambda x: policy_iteration(problem.mdp, reward_table(problem.reward, x, 6, 3), 1.0))(x)
    wanted = light(lambda x, pi: bellman(problem, x, pi, 1.0)[1])(x, soft.pi)
    np.testing.assert_allclose(jax.nn.softmax(state.y), soft.pi, atol=1e-6)
    np.testing.assert_allclose(info.lower, -problem.mdp.start @ soft.v, rtol=1e-6)
    np.testing.assert_allclose(info.hypergradient, wanted, rtol=1e-6, atol=1e-6)


def test_it_ends_near_the_best_goal():
    """By its defaults, from three starts that are more than 0.5 above the best: within 0.01."""
    problem = corner()
    solver, starts = expected_parl(problem), jnp.asarray(STARTS[[0, 2, 3]])
    value = light(lambda xs: jax.lax.map(lambda x: problem.exact.value(x, problem.exact.temperature), xs))
    states = jax.vmap(solver.init, (0, None))(starts, jnp.zeros((25, 4)))
    step = lambda _, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
    found = jax.jit(jax.vmap(lambda state: jax.lax.fori_loop(0, 500, step, state)))(states).x
    best = problem.exact.best()[1]
    assert (value(starts) > best + 0.5).all()
    assert (value(found) < best + 0.01).all(), value(found) - best
