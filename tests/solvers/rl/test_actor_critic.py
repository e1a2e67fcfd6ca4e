"""The sampled actor-critic: unbiased at a fixed x as its steps fall, near the best goal, and in need of optimism."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from test_expected_actor_critic import STARTS, corner, light, with_ends

from probes import rmdp6
from upperhand.hypergradients import penalty, two_sided
from upperhand.hypergradients.streams import coupled, one_stream, two_sided_stream
from upperhand.policy_gradients.linear import occupancy
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.problems import goal_placement
from upperhand.solvers.rl import actor_critic

TAU, W, KEYS = 2.0, 1.0, 16  # hot, so that every action is often met and every critic learnt


def averaged(problem, estimator):
    """Mean of dx over 1000 updates at a fixed x, after 1500 others, of KEYS independent runs: [KEYS, dx]."""
    settings = {"batch": (64, 2), "x_step": optax.set_to_zero(), "penalty": W, "temperature": TAU}
    solver = actor_critic(problem, critic_step=0.01, policy_step=0.05, estimator=estimator, **settings)

    def one(key):
        def advance(i, carry):
            state, info = solver.update(jax.random.fold_in(key, i), carry[0])
            return state, carry[1] + jnp.where(i < 1500, 0.0, info.hypergradient / 1000)

        x, y = problem.init(key)
        return jax.lax.fori_loop(0, 2500, advance, (solver.init(x, y), jnp.zeros_like(x)))[1]

    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(7), KEYS)))


def away(found, wanted):
    """The largest distance of the mean to what is wanted, in standard errors of the KEYS runs."""
    error = found.std(0, ddof=1) / np.sqrt(KEYS)
    return np.max(np.abs(found.mean(0) - wanted) / error)


def test_at_a_fixed_x_the_mean_is_the_exact_penalty():
    """6.5 standard errors of 16 runs, 15 degrees of freedom, four entries: false alarm 4e-5.

    Refused: the penalty of 2 w, and the hypergradient without its part through the policy.
    """
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    found = averaged(problem, coupled)
    exact = light(lambda w: penalty(problem, x, TAU, w))
    assert away(found, exact(W)) < 6.5
    assert away(found, exact(2 * W)) > 10
    assert away(found, 0.1 * x) > 50


@pytest.mark.parametrize("estimator", [one_stream, two_sided_stream], ids=["one", "two-sided"])
def test_it_is_so_where_episodes_end_and_the_designer_sees_x(estimator):
    """As above, two entries, 2e-5. Refused: 1/(1 − γ) for the sum of the occupancy, which is smaller where they end.

    The two-sided form is told from one that forgets that the reward of π_low, r − w u, knows x through u as well.
    """
    problem, ((r0, slope), (u0, slope_u)) = with_ends()
    x, _ = problem.init(jax.random.key(0))
    found = averaged(problem, estimator)
    exact = np.asarray(light(lambda x: (two_sided if estimator.low else penalty)(problem, x, TAU, W))(x))
    assert away(found, exact) < 6.5, (found.mean(0), exact)
    r, u = (jnp.asarray(table) + jnp.asarray(d) @ x for table, d in ((r0, slope), (u0, slope_u)))
    low, high = (
        occupancy(problem.mdp, policy_iteration(problem.mdp, r + v * u, TAU).pi) for v in (estimator.low * W, W)
    )
    assert away(found, 2 * x + (exact - 2 * x) * 10 / np.sum(high)) > 20
    if estimator.low:
        assert away(found, exact + np.einsum("sa,sad->d", low - high, slope_u) / 2) > 10


def ends(problem, steps, seeds, changes):
    """Values of the x where the runs from STARTS end, [seeds, 4], for each change of the first state; float32.

    And, last, those of the starts.
    """
    solver = actor_critic(problem, steps=steps)

    def one(key, state):
        update = lambda i, state: solver.update(jax.random.fold_in(key, i), state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, steps, update, state).x

    with jax.enable_x64(False):
        x = jnp.asarray(np.tile(STARTS, (seeds, 1)), jnp.float32)
        keys, first = jax.random.split(jax.random.key(0), len(x)), jax.jit(jax.vmap(solver.init, (0, None)))
        states = first(x, jnp.zeros((25, 4)))
        go = jax.jit(jax.vmap(one))
        found = [np.asarray(go(keys, change(states))) for change in changes]
        assert all(each.dtype == np.float32 for each in found)
    value = light(lambda xs: jax.lax.map(lambda x: problem.exact.value(x, problem.exact.temperature), xs))
    return [
        np.asarray(value(jnp.asarray(each, float))).reshape(seeds, 4) for each in (*found, np.tile(STARTS, (seeds, 1)))
    ]


def test_it_ends_near_the_best_goal():
    """128,000 transitions from each of four starts that are more than 0.5 above the best: within 0.03 of it."""
    problem = corner()
    found, before = ends(problem, 1000, 1, [lambda state: state])
    best = problem.exact.best()[1]
    assert (before > best + 0.5).all(), before - best
    assert (found < best + 0.03).all(), found - best


def test_critics_that_start_low_lock_the_policy_in():
    """What is visited first looks better than what is not: from 0, far fewer runs end near the best goal.

    When written, 11 of 16 runs did from optimistic critics, 1 of 16 from critics at 0: of 32 each, the difference is
    20 with a standard error of 3, and 8 is asked for. Critics whose start did not matter would give 0.
    """
    problem = goal_placement(size=5, width=3.0, upper_bumps=((3, 1, 1, 1), (2, 2, 0.8, -0.5)))
    lowered = lambda tracked: tracked._replace(critics=jax.tree.map(jnp.zeros_like, tracked.critics))  # noqa: E731
    low = lambda state: state._replace(tracked=lowered(state.tracked))  # noqa: E731
    of_high, of_low, _ = ends(problem, 1000, 8, [lambda state: state, low])
    best = min(of_high.min(), of_low.min())
    assert (of_high < best + 0.03).sum() >= (of_low < best + 0.03).sum() + 8, (of_high, of_low)
