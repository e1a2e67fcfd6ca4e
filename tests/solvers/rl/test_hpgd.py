"""HPGD: its lower level is solved, its step is clipped, and it goes downhill where there is a slope to be seen."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from test_expected_actor_critic import STARTS, corner, light

from upperhand.policy_gradients.soft import value_iteration
from upperhand.problems import four_rooms
from upperhand.rewards.table import reward_table
from upperhand.solvers.rl import hpgd


def test_the_published_sweeps_solve_four_rooms_from_scratch():
    """V after the 500 sweeps of the first update, which begin at 0, within 1e-8; after 20 it is 0.1 off."""
    problem = four_rooms()
    x, y = problem.init(jax.random.key(0))
    r = reward_table(problem.reward, x, 208, 4)
    wanted = light(lambda r: value_iteration(problem.mdp, r, 0.005, tolerance=1e-11).v)(r)
    off = {}
    for sweeps in (20, 500):
        solver = hpgd(problem, batch=(2, 2), sweeps=sweeps)
        state = light(lambda key, s=solver: s.update(key, s.init(x, y))[0])(jax.random.key(1))
        off[sweeps] = np.abs(state.v - wanted).max()
    assert off[500] < 1e-8 and off[20] > 0.1, off


def test_a_number_steps_along_the_clipped_hypergradient():
    """x − x' = 0.3 dx / max(1, ‖dx‖), for a dx longer and one shorter than 1; nothing is clipped for an optax step."""
    problem = corner()
    x, y = jnp.asarray([3.0, 3.5]), jnp.zeros((25, 4))

    def moved(problem, x_step):
        solver = hpgd(problem, batch=(20, 40), sweeps=40, temperature=0.1, x_step=x_step)
        state, info = light(lambda key: solver.update(key, solver.init(x, y)))(jax.random.key(0))
        return np.asarray(x - state.x), np.asarray(info.hypergradient)

    lengths, u = [], problem.upper.reward
    for scale in (0.1, 10.0):
        upper = problem.upper._replace(reward=lambda x, s, a, scale=scale: scale * u(x, s, a))
        scaled = problem._replace(upper=upper, project_x=lambda x: x)
        move, dx = moved(scaled, 0.3)
        lengths.append(np.linalg.norm(dx))
        np.testing.assert_allclose(move, 0.3 * dx / max(1, lengths[-1]), rtol=1e-6, atol=1e-12)
    move, dx = moved(scaled, optax.sgd(0.3))
    np.testing.assert_allclose(move, 0.3 * dx, rtol=1e-6)
    assert lengths[0] < 1 < lengths[1], lengths


def downhill(solver, steps):
    """Values over the best known where runs from (4, 4) and (2, 2) end, and where they began; float32."""
    problem = corner()

    def one(key, x):
        update = lambda i, state: solver.update(jax.random.fold_in(key, i), state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, steps, update, solver.init(x, jnp.zeros((25, 4)))).x

    with jax.enable_x64(False):
        starts = jnp.asarray(STARTS[2:], jnp.float32)
        found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 2), starts))
    points = jnp.asarray(np.concatenate([found, STARTS[2:]]), float)
    value = light(lambda xs: jax.lax.map(lambda x: problem.exact.value(x, problem.exact.temperature), xs))(points)
    return np.asarray(value).reshape(2, 2) - problem.exact.best()[1]


def test_it_ends_near_the_best_goal():
    """From two starts that are more than 0.5 above the best, whose slopes are not lost at τ = 0.05: within 0.02."""
    solver = hpgd(corner(), steps=400, temperature=0.05, x_step=0.2, batch=(50, 100), sweeps=60)
    found, before = downhill(solver, 400)
    assert (before > 0.5).all() and (found < 0.02).all(), found
