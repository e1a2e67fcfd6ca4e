"""A guarded method: what diverges stands still, and nobody else notices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toys.problems.field import field
from toys.solvers.drift import drift
from upperhand.forms import Exact
from upperhand.record import exact_record
from upperhand.run import run, seed_key
from upperhand.solve import Plan, carry_out, solve
from upperhand.solver import Solver
from upperhand.wrappers import guarded, vmapped

SEEDS = jnp.stack([seed_key(seed) for seed in range(4)])
BREAKS = 13


def fragile(change, plain=None):
    """The drift, spoilt by change(after, info) at step 13, for seeds that stand below 0.5 at the start in x[0]."""
    plain = plain or drift(None, steps=40)

    def init(x, y):
        return plain.init(x, {"is_weak": x[0] < 0.5, "y": y})

    def update(key, state):
        after, info = plain.update(key, state)
        is_bad = state.y["is_weak"] & (state.count == BREAKS)
        return jax.tree.map(lambda bad, good: jnp.where(is_bad, bad, good), change(after, info), (after, info))

    return Solver(init, update)


def spoilt(name):
    def change(after, info):
        if name == "state":
            return after._replace(x=after.x.at[1].set(jnp.nan)), info
        if name == "infinite state":
            return after._replace(x=after.x.at[1].set(-jnp.inf)), info
        if name == "hypergradient":
            return after, info._replace(hypergradient=info.hypergradient * jnp.inf)
        if name == "huge hypergradient":
            return after, info._replace(hypergradient=jnp.full_like(info.hypergradient, -1e31))
        if name == "upper":
            return after, info._replace(upper=info.upper * jnp.nan)
        return after, info._replace(lower=info.lower + 1e31)

    return change


KINDS = ["state", "infinite state", "hypergradient", "huge hypergradient", "upper", "lower"]


def several(solver, steps=40, every=10):
    """The last state and the rows of four seeds; the first two of the keys start below 0.5 or not, as drawn."""
    x, theta = jax.vmap(field().init)(SEEDS)
    solver, rows = vmapped(solver), []
    state = solver.init(x, theta)
    state = run(solver, SEEDS, state, steps=steps, every=every, sinks=[lambda row, state: rows.append(row)])
    return state, rows, np.asarray(x[:, 0]) < 0.5


@pytest.fixture(scope="module")
def unguarded():
    """The plain method to its end, and to the step where others break."""
    whole, rows, _ = several(drift(None, steps=40))
    return whole, rows, *several(drift(None, steps=40), steps=BREAKS)[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_stands_still_and_the_others_are_bit_equal(kind, unguarded):
    state, rows, weak = several(guarded(fragile(spoilt(kind))))
    assert weak.any() and not weak.all()
    np.testing.assert_array_equal(state.failed, weak)
    free, free_rows, at_break, _ = unguarded
    np.testing.assert_array_equal(state.x[~weak], free.x[~weak])
    np.testing.assert_array_equal(state.x[weak], at_break.x[weak])
    keys = [jax.random.key_data(one) for one in (state.inner.noise, free.noise, at_break.noise)]
    np.testing.assert_array_equal(keys[0][~weak], keys[1][~weak])
    np.testing.assert_array_equal(keys[0][weak], keys[2][weak])
    for row, other in zip(rows, free_rows, strict=True):
        for name in set(other) - {"seconds"}:
            where = ~weak if np.ndim(row[name]) else ...
            np.testing.assert_array_equal(np.asarray(row[name])[where], np.asarray(other[name])[where])


def test_what_a_failed_seed_tells_afterwards():
    state, rows, weak = several(guarded(fragile(spoilt("state"))), every=5)
    _, free, _ = several(drift(None, steps=40), steps=BREAKS, every=1)
    last = free[-1]["upper"][weak]  # as the last good update told it
    for row in rows:
        np.testing.assert_array_equal(row["samples"], 4.0 * row["step"])  # the cost goes on
        if row["step"] > 15:
            np.testing.assert_array_equal(row["hypergradient_norm"][weak], 0)
            np.testing.assert_allclose(row["upper"][weak], last, rtol=1e-12)
            np.testing.assert_allclose(row["temperature"][weak], 0.1 ** (BREAKS / 40), rtol=1e-6)
            assert (row["hypergradient_norm"][~weak] > 0).all()
    np.testing.assert_array_equal(state.count, 40)
    np.testing.assert_array_equal(state.inner.count[weak], BREAKS)


def test_a_method_that_truly_diverges_ends_finite_in_both_precisions():
    for wide in (False, True):
        with jax.enable_x64(wide):
            plan = Plan(field(), guarded(drift(None, x_step=40.0)), 400, 40, (0, 1))
            found = carry_out(plan)
            assert found.rows[-1]["failed"] == 1 and found.rows[0]["failed"] == 0
            assert all(np.isfinite(row["upper"]) for row in found.rows if row["step"]) and np.isfinite(found.x).all()


def test_a_value_that_is_not_finite_is_told_as_failed_and_leaves_the_others():
    def value(x, tau):
        return jnp.where(x[0] < 0.5, jnp.inf, jnp.sum(x))

    oracle = Exact(0.1, lambda x, tau: x, value, lambda x, tau: x, lambda: (jnp.zeros(2), 0.5))
    problem = field()._replace(exact=oracle)
    solver = vmapped(guarded(drift(problem)))
    state = solver.init(*jax.vmap(problem.init)(SEEDS))
    told = exact_record(problem)(state, None)
    bad = np.asarray(state.x[:, 0]) < 0.5
    assert bad.any() and not bad.all()
    np.testing.assert_array_equal(told["failed"], bad)
    np.testing.assert_allclose(told["value"], np.where(bad, 1e30, np.sum(state.x, -1)))
    np.testing.assert_allclose(told["gap"], told["value"] - 0.5)


def test_an_unguarded_run_tells_nothing_of_failures():
    assert "failed" not in solve(field(), drift(None), steps=3, seeds=1).rows[-1]


def test_alone_without_an_axis_of_seeds():
    solver = guarded(drift(None, x_step=1e25))
    key = seed_key(3)
    state = run(solver, key, solver.init(*field().init(key)), steps=9, every=4)
    assert bool(state.failed) and int(state.count) == 9 and np.isfinite(state.x).all()
