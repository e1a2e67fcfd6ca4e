"""The nested loops: endless inner loops give the penalty hypergradient; one loop is the single loop."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_actor_critic import KEYS, away

from probes import rmdp6
from upperhand.hypergradients import penalty
from upperhand.solvers.rl import expected_actor_critic, expected_nested_loop, nested_loop, pbrl

TAU, W, KEY = 0.3, 0.2, jax.random.key(0)


def test_in_expectation_endless_loops_give_the_exact_penalty():
    """One update from a cold start: 5 loops are far from it, 600 are it."""
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    wanted = penalty(problem, x, TAU, W)

    def error(loops):
        solver = expected_nested_loop(problem, loops=loops, penalty=W, temperature=TAU)
        _, info = jax.jit(solver.update)(jax.random.key(0), solver.init(x, jnp.zeros((6, 3))))
        return np.linalg.norm(info.hypergradient - wanted) / np.linalg.norm(wanted)

    assert error(5) > 0.03 and error(600) < 1e-8


def test_in_expectation_one_loop_is_the_single_loop():
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    settings = {"steps": 50, "x_step": 0.05, "policy_step": 0.2, "penalty": (2.0, 0.2), "temperature": (1.0, 0.1)}
    ends = []
    for solver in (expected_actor_critic(problem, **settings), expected_nested_loop(problem, loops=1, **settings)):
        state = solver.init(x, jnp.zeros((6, 3)))
        go = jax.jit(lambda s, solver=solver: jax.lax.fori_loop(0, 50, lambda i, s: solver.update(KEY, s)[0], s))
        ends.append(go(state).x)
    np.testing.assert_allclose(*ends, rtol=1e-12)
    assert np.linalg.norm(ends[0] - x) > 0.5


@pytest.mark.parametrize("build", [nested_loop, pbrl])
def test_sampled_at_a_fixed_x_the_mean_is_the_exact_penalty(build):
    """Mean of 500 updates after 500 others, of 16 runs: within 6.5 standard errors; that of 2 w is refused."""
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    solver = build(
        problem, loops=2, batch=(64, 2), critic_step=0.01, policy_step=0.05, penalty=1.0, temperature=2.0,
        x_step=optax.set_to_zero(),
    )  # fmt: skip

    def one(key):
        def advance(i, carry):
            state, info = solver.update(jax.random.fold_in(key, i), carry[0])
            return state, carry[1] + jnp.where(i < 500, 0.0, info.hypergradient / 500)

        start = (solver.init(x, jnp.zeros((6, 3))), jnp.zeros(4))
        return jax.lax.fori_loop(0, 1000, advance, start)[1]

    found = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(3), KEYS)))
    exact = jax.jit(lambda w: penalty(problem, x, 2.0, w))
    assert away(found, exact(1.0)) < 6.5
    assert away(found, exact(2.0)) > (10 if build is nested_loop else 2)
    assert away(found, 0.1 * x) > (50 if build is nested_loop else 6.5)
