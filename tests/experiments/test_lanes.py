"""Lanes: each is the run it would be alone, whatever its neighbours do, and stands still when its budget is spent."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from upperhand.experiments.lanes import Lanes, run
from upperhand.forms import Return
from upperhand.hypergradients.exact import exact
from upperhand.problems import goal_placement
from upperhand.run import seed_key
from upperhand.solvers.rl import actor_critic, implicit

ROWS = np.array([(0.3, 1.0, 0.05), (0.3, 0.5, 0.05), (0.1, 1.0, 0.05), (0.3, 1.0, 0.1)])  # τ, share of u, step of x
STARTS = np.array([(0.5, 1.5), (0.5, 1.5), (1.0, 0.2), (1.8, 1.1)])
SEEDS = [3, 4, 5, 6]


def problem(share):
    """A small grid in which the designer's reward counts by a share."""
    whole = goal_placement(size=3)
    part = whole._replace(upper=Return(lambda x, s, a: share * whole.upper.reward(x, s, a), whole.upper.cost))
    return part._replace(exact=exact(part, temperature=0.3))


def exactly(tau, share, step):
    return implicit(
        problem(share), steps=20, effort=30, temperature=lambda _: jnp.asarray(tau), x_step=optax.adam(step)
    )


def sampled(tau, share, step):
    settings = {"penalty": 0.3, "temperature": lambda _: jnp.asarray(tau), "x_step": optax.adam(step)}
    return actor_critic(problem(share), steps=20, batch=(4, 4), **settings)


BUDGET = 100.0


@lru_cache
def ran(build, budget):
    """All lanes: 20 updates, or what the budget buys."""
    return run(Lanes(build, problem, ROWS, STARTS), 20, budget, SEEDS)


@lru_cache
def single(build, steps):
    """(row, x, key) → x and transitions of each update, of one run by itself."""

    def go(row, x, key):
        solver = build(*row)

        def body(state, count):
            state, info = solver.update(jax.random.fold_in(key, count), state)
            return state, (state.x, info.cost.samples)

        start = solver.init(x, jnp.zeros((9, problem(1.0).mdp.actions)))
        return jax.lax.scan(body, start, jnp.arange(steps))[1]

    return jax.jit(go)


def alone(build, row, x, seed, steps):
    """x after each update of one run, and the transitions so far."""
    xs, spent = single(build, steps)(jnp.asarray(row), jnp.asarray(x), seed_key(seed))
    return xs, np.cumsum(np.asarray(spent, np.float64))


@jax.jit
def judged(row, xs):
    return jax.lax.map(lambda x: -problem(row[1]).exact.value(x, row[0]), xs)


def values(row, xs):
    """The designer's exact value of each x."""
    return np.asarray(judged(jnp.asarray(row), jnp.asarray(xs)))


@pytest.mark.parametrize("build", [exactly, sampled])
def test_every_lane_is_the_run_it_would_be_alone(build):
    found = ran(build, None)
    assert found.updates == 20 and found.scores.shape == (4,)
    for row, x, seed, score in zip(ROWS, STARTS, SEEDS, found.scores, strict=True):
        went = values(row, alone(build, row, x, seed, 20)[0])
        assert score == pytest.approx(went[17:].mean(), abs=1e-6)  # records are after 18, 19 and 20 of 20 updates
        assert abs(went[17:].mean() - values(row, x[None])[0]) > 1e-4  # and it went somewhere
    assert len(set(np.round(found.scores, 6))) == 4


def test_a_lane_stands_still_once_its_budget_is_spent():
    found = ran(sampled, BUDGET)
    for row, x, seed, score, spent in zip(ROWS, STARTS, SEEDS, found.scores, found.spent, strict=True):
        xs, bill = alone(sampled, row, x, seed, 20)
        last = int(np.argmax(bill >= BUDGET))  # the update in which the budget ends
        assert bill[last] >= BUDGET and spent == bill[last]
        near = [at for at in range(last + 1) if bill[at] >= 0.9 * BUDGET]
        assert score == pytest.approx(values(row, xs)[near].mean(), abs=1e-6)


def test_a_lane_that_diverges_does_not_stop_the_others():
    whole = ran(sampled, BUDGET)
    rows, starts = np.insert(ROWS, 2, (0.3, 1.0, np.nan), axis=0), np.insert(STARTS, 2, (0.4, 0.6), axis=0)
    found = run(Lanes(sampled, problem, rows, starts), 20, BUDGET, [3, 4, 9, 5, 6])
    np.testing.assert_allclose(np.delete(found.scores, 2), whole.scores, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(np.delete(found.spent, 2), whole.spent)
    assert found.scores[2] == pytest.approx(values(rows[2], starts[2:3])[0], abs=1e-9)  # it stays at its last good x
    assert found.spent[2] == whole.spent[2]  # and pays on
