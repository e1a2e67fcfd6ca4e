"""The goal rewards against their formulas, entry by entry in plain Python."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.rewards import bumps, goal, reward_table, weighted_goals

POSITIONS = np.array([(i, j) for i in range(3) for j in range(2)], float)


def test_goal_is_a_bump_with_the_gradient_of_a_bump():
    """∂r/∂x = r (position − x)/width²."""
    x, width = jnp.asarray([0.7, -0.4]), 1.3
    reward = goal(POSITIONS, width)
    table, slope = reward_table(reward, x, 6, 4), jax.jacobian(lambda x: reward_table(reward, x, 6, 4))(x)
    for s, (i, j) in enumerate(POSITIONS):
        wanted = math.exp(-((i - 0.7) ** 2 + (j + 0.4) ** 2) / (2 * 1.3**2))
        np.testing.assert_allclose(table[s], np.full(4, wanted), rtol=1e-12)
        np.testing.assert_allclose(slope[s, 0], wanted * np.array([i - 0.7, j + 0.4]) / 1.3**2, rtol=1e-12)


def test_goal_is_one_where_it_stands_and_has_no_nan_slope_there():
    reward = goal(POSITIONS, 0.5)
    value, slope = jax.value_and_grad(lambda x: reward(x, 3, 0))(jnp.asarray(POSITIONS[3]))
    assert float(value) == 1 and not slope.any()


def test_weighted_goals_are_a_softmax():
    x = np.array([0.3, -1.0, 2.0])
    weights = [math.exp(v) for v in x]
    table = reward_table(weighted_goals(3), jnp.asarray(x), 3, 2)
    np.testing.assert_allclose(table, np.repeat([[w / sum(weights)] for w in weights], 2, axis=1), rtol=1e-12)
    assert float(table[:, 0].sum()) == pytest.approx(1)
    assert np.isfinite(reward_table(weighted_goals(3), jnp.asarray([1e4, 0.0, -1e4]), 3, 2)).all()


def test_bumps_add_up_and_do_not_know_x():
    rows = ((1, 0, 1.0, 2.0), (2, 1, 0.5, -0.7))
    reward = bumps(POSITIONS, rows, scale=0.25)
    table = reward_table(reward, jnp.asarray([5.0]), 6, 3)
    for s, (i, j) in enumerate(POSITIONS):
        wanted = 0.25 * sum(h * math.exp(-((i - a) ** 2 + (j - b) ** 2) / (2 * w * w)) for a, b, w, h in rows)
        np.testing.assert_allclose(table[s], np.full(3, wanted), rtol=1e-12)
    assert not jax.jacobian(lambda x: reward_table(reward, x, 6, 3))(jnp.asarray([5.0])).any()


def test_no_bumps_are_no_reward():
    np.testing.assert_array_equal(reward_table(bumps(POSITIONS, ()), jnp.zeros(1), 6, 2), np.zeros((6, 2)))


def test_table_asks_each_state_and_action_once():
    """A reward that tells its arguments: table[s, a] = 10 s + a + x."""
    table = reward_table(lambda x, s, a: 10.0 * s + a + x["bonus"], {"bonus": jnp.asarray(0.5)}, 4, 3)
    np.testing.assert_array_equal(table, [[10 * s + a + 0.5 for a in range(3)] for s in range(4)])


def test_goal_takes_the_precision_of_x():
    assert goal(POSITIONS, 1.0)(jnp.zeros(2, jnp.float32), 0, 0).dtype == jnp.float32
