"""The implicit method: exact at enough effort, near it at little, and on the published course of the four rooms."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from probes import rmdp6
from upperhand.problems import four_rooms
from upperhand.solvers.rl import implicit


def test_with_little_effort_it_tracks_the_exact_hypergradient():
    """RMDP-6, x moved by 1e-3 an update: 30 sweeps from the last solutions come within 3e-3, the first 30 do not."""
    problem, x = rmdp6()
    solver = implicit(problem, effort=30, temperature=0.2, x_step=optax.sgd(1e-3))

    @jax.jit
    def go(state):
        return jax.lax.scan(lambda state, key: solver.update(key, state), state, jax.random.split(jax.random.key(0), 8))

    _, info = go(solver.init(jnp.asarray(x), jnp.zeros((6, 3))))
    xs = [jnp.asarray(x)]
    for dx in info.hypergradient[:-1]:
        xs.append(xs[-1] - 1e-3 * dx)
    exact = jax.jit(lambda x: problem.exact.hypergradient(x, 0.2))
    errors = [
        np.linalg.norm(dx - exact(x)) / np.linalg.norm(exact(x)) for x, dx in zip(xs, info.hypergradient, strict=True)
    ]
    assert errors[0] > 0.1 and errors[-1] < 3e-3, errors


@pytest.mark.parametrize(("count", "value"), [(100, 0.4362), (1000, 0.4986)])
def test_its_course_on_the_four_rooms_is_the_published_one(course, count, value):
    """τ = .001, c = 1, step .5, clip 1: the designer's value just before update 100 and before update 1000."""
    assert course[count] == pytest.approx(value, abs=1e-4)


@pytest.fixture(scope="module")
def course():
    """Φ before each update, as told by the method, with the sign of the designer."""
    problem = four_rooms(temperature=0.001, cost=1.0)
    step = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.5))
    solver = implicit(problem, effort=100, temperature=0.001, x_step=step)
    start = 0.01 * np.random.default_rng(0).normal(size=105)
    state = solver.init(jnp.asarray(start), jnp.zeros((problem.mdp.states, 4)))
    keys = jax.random.split(jax.random.key(0), 1001)
    values = jax.jit(lambda state: jax.lax.scan(lambda s, key: solver.update(key, s), state, keys)[1].upper)(state)
    return -np.append(np.nan, values)  # entry n: before update n, counted from 1
