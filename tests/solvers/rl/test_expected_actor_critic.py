"""The expected actor-critic: at a fixed x it is the exact penalty hypergradient; it ends near the best goal."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from contract import light
from probes import random_world, rmdp6
from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients import penalty
from upperhand.policies import softmax
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.problems import goal_placement
from upperhand.rewards.table import reward_table
from upperhand.solvers.rl import expected_actor_critic

TAU, W = 0.3, 0.2


def with_ends():
    """A random world whose episodes may end, with both rewards knowing x; its tables."""
    rng = np.random.default_rng(2)
    mdp = random_world(rng, 6, 3, 3, ends=True, repeats=True)
    tables = [(rng.normal(size=(6, 3)), rng.normal(size=(6, 3, 2))) for _ in range(2)]
    r, u = ((lambda x, s, a, t=t: jnp.asarray(t[0])[s, a] + jnp.asarray(t[1])[s, a] @ x) for t in tables)
    init = lambda key: (jnp.asarray([0.4, -0.7]), jnp.zeros((6, 3)))  # noqa: E731
    return BilevelRL(mdp, r, softmax(6, 3), Return(u, lambda x: jnp.sum(x**2)), init), tables


def held(problem, updates, **settings):
    """State and Info after some updates in which x does not move."""
    solver = expected_actor_critic(problem, x_step=optax.set_to_zero(), **settings)
    key = jax.random.key(0)

    @jax.jit
    def go(key):
        state = solver.init(*problem.init(key))
        state = jax.lax.fori_loop(0, updates - 1, lambda _, state: solver.update(key, state)[0], state)
        return solver.update(key, state)

    return go(key)


@pytest.mark.parametrize("world", [rmdp6, with_ends], ids=["endless", "ends"])
def test_at_a_fixed_x_it_converges_to_the_exact_penalty(world):
    """dx, both policies, values, visits; the answer for w twice as large is told apart."""
    problem, _ = world()
    state, info = held(problem, 800, penalty=W, temperature=TAU)
    x, _ = problem.init(jax.random.key(0))
    np.testing.assert_array_equal(state.x, x)
    exact = light(lambda w: penalty(problem, x, TAU, w))
    np.testing.assert_allclose(info.hypergradient, exact(W), rtol=1e-6, atol=1e-8)
    assert np.abs(info.hypergradient - exact(2 * W)).max() > 1e-3
    mdp = problem.mdp
    r, u = (reward_table(reward, x, mdp.states, mdp.actions) for reward in (problem.reward, problem.upper.reward))
    solve = light(lambda reward: policy_iteration(mdp, reward, TAU))
    for theta, v, reward in ((state.y, state.v, r), (state.theta_w, state.v_w, r + W * u)):
        soft = solve(reward)
        np.testing.assert_allclose(theta, soft.q / TAU, rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(v, soft.v, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(info.lower, -mdp.start @ solve(r).v, rtol=1e-8)


def test_the_policy_step_does_not_move_the_answer():
    """The whole step, policy iteration by single sweeps, comes to the same hypergradient."""
    problem, x = rmdp6()
    _, info = held(problem, 800, penalty=W, temperature=TAU, policy_step=1.0)
    exact = light(lambda x: penalty(problem, x, TAU, W))(jnp.asarray(x))
    np.testing.assert_allclose(info.hypergradient, exact, rtol=1e-6, atol=1e-8)


@lru_cache
def corner():
    """A goal on 5×5 cells for a designer who wants the agent at (4, 1) and not at (2, 2)."""
    return goal_placement(size=5, width=2.0, upper_bumps=((4, 1, 1, 1), (2, 2, 1, -0.5)))


STARTS = np.array([[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [2.0, 2.0]])


def test_it_ends_near_the_best_goal():
    """From four starts that are more than 0.5 above the best: within 0.01 of it."""
    problem = corner()
    solver = expected_actor_critic(problem, steps=800)
    value = light(lambda xs: jax.lax.map(lambda x: problem.exact.value(x, problem.exact.temperature), xs))
    states = jax.vmap(solver.init, (0, None))(jnp.asarray(STARTS), jnp.zeros((25, 4)))
    step = lambda _, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
    found = jax.jit(jax.vmap(lambda state: jax.lax.fori_loop(0, 800, step, state)))(states).x
    best = problem.exact.best()[1]
    assert (value(jnp.asarray(STARTS)) > best + 0.5).all()
    assert (value(found) < best + 0.01).all(), value(found) - best
