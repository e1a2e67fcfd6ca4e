"""The loop: one program, rows that are right, divergence told."""

import logging
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from toys.problems.field import field
from toys.solvers import drift as room
from toys.solvers.drift import drift
from upperhand.errors import Diverged
from upperhand.problems import goal_placement
from upperhand.record import exact_record
from upperhand.run import Spent, chunk, run, seed_key
from upperhand.solve import solve
from upperhand.solver import Info, Solver, cost
from upperhand.wrappers import vmapped

SEEDS = jnp.stack([seed_key(seed) for seed in range(3)])


def several(solver, parts=2):
    """A vmapped method, its first state, and a list that catches rows."""
    x, theta = jax.vmap(field(parts=parts).init)(SEEDS)
    solver, rows = vmapped(solver), []
    return solver, solver.init(x, theta), rows, lambda row, state: rows.append(row)


def same(a, b):
    """Whether two trees hold the same bits."""
    bits = lambda leaf: jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf  # noqa: E731
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(np.asarray(bits(one)), np.asarray(bits(other))) for one, other in pairs)


def test_rows_tell_the_updates_of_their_chunk():
    solver, state, rows, sink = several(drift(None, steps=25, batch=7))
    after = run(solver, SEEDS, state, steps=25, every=10, sinks=[sink])
    assert [row["step"] for row in rows] == [0, 10, 20, 25]
    one, losses, costs = state, [], 0
    for count in range(25):
        x = one.x
        one, info = solver.update(jax.vmap(jax.random.fold_in, (0, None))(SEEDS, count), one)
        losses, costs = [*losses, np.asarray(info.upper)], costs + np.asarray(info.cost.samples)
    np.testing.assert_allclose(after.x, one.x, rtol=1e-12)
    np.testing.assert_allclose(rows[3]["upper"], np.mean(losses[20:], 0), rtol=1e-12)
    np.testing.assert_allclose(rows[1]["upper"], np.mean(losses[:10], 0), rtol=1e-12)
    np.testing.assert_array_equal(rows[3]["samples"], costs)
    np.testing.assert_array_equal(rows[3]["gradients"], 50)
    np.testing.assert_allclose(rows[3]["hypergradient_norm"], np.linalg.norm((x - after.x) / 0.1, axis=-1), rtol=1e-9)
    np.testing.assert_allclose(rows[3]["temperature"], 0.1 ** (24 / 25), rtol=1e-6)
    assert rows[0]["samples"].tolist() == [0, 0, 0] and "upper" not in rows[0]


def test_one_trace_and_one_compilation_over_many_chunks():
    solver, state, rows, sink = several(drift(None, steps=47))
    state = state._replace(x=jnp.broadcast_to(jnp.asarray(1.0), (3, 2)))  # of a weak type, as a person may give it
    assert state.x.weak_type
    room.traces.clear()
    said = []
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.Logger, "callHandlers", lambda self, record: said.append(record.getMessage()))
        state = run(solver, SEEDS, state, steps=47, every=10, sinks=[sink])  # the last chunk is shorter
    compiled = [line for line in said if line.startswith("Finished XLA compilation") and "<lambda>" in line]
    assert len(compiled) == 1, compiled
    assert len(room.traces) == 1 and len(rows) == 6 and int(state.count[0]) == 47


def test_data_behind_closures_are_not_written_into_the_program():
    data = jnp.asarray(np.random.default_rng(0).normal(size=(400, 2500)))  # 8 MB
    plain = drift(None)

    def update(key, state):
        state, info = plain.update(key, state)
        return state, info._replace(upper=info.upper + jnp.sum(data @ jnp.resize(state.x, 2500)))

    solver, state, rows, sink = several(Solver(plain.init, update))
    program = chunk(solver, SEEDS, state)
    lowered = program.lower(SEEDS, state, jnp.int32(0), jnp.int32(5)).as_text()
    assert len(lowered) < 1e6
    assert sum(np.size(constant) for constant in program.constants) >= data.size
    assert np.isfinite(run(solver, SEEDS, state, steps=3, every=2, sinks=[sink]).x).all()


def test_a_run_in_two_parts_is_the_same_run():
    solver, state, rows, sink = several(drift(None, steps=40))
    whole = run(solver, SEEDS, state, steps=40, every=7, sinks=[sink])
    kept, parts, rows[:] = list(rows), [], []
    half = run(solver, SEEDS, state, steps=21, every=7, sinks=[sink])
    spent = Spent(*(rows[-1][name] for name in Spent._fields))
    end = run(solver, SEEDS, half, steps=40, every=7, sinks=[sink], spent=spent)
    assert same(whole, end) and not parts
    assert len(rows) == len(kept)
    for one, other in zip(rows, kept, strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one if name != "seconds")
    assert all(one["seconds"] < other["seconds"] for one, other in zip(rows, rows[1:], strict=False))


def test_one_seed_alone_and_trees():
    tree = {"a": jnp.zeros(2), "b": jnp.asarray(1.0)}
    rows = []
    solver = drift(None)
    state = run(
        solver,
        seed_key(3),
        solver.init(tree, jnp.zeros((1, 1))),
        steps=9,
        every=4,
        sinks=[lambda row, state: rows.append(row)],
    )
    assert state.x.keys() == tree.keys() and rows[-1]["x"].shape == (3,) and np.ndim(rows[-1]["upper"]) == 0
    several_solver = vmapped(solver)
    three = several_solver.init(jax.tree.map(lambda leaf: jnp.stack([leaf] * 3), tree), jnp.zeros((3, 1, 1)))
    three = run(several_solver, jnp.stack([seed_key(3)] * 3), three, steps=9, every=4)
    np.testing.assert_allclose(three.x["a"][1], state.x["a"], rtol=1e-12)


def test_a_seed_does_not_know_its_neighbours():
    alone = solve(field(), drift(None), steps=20, seeds=[5])
    beside = solve(field(), drift(None), steps=20, seeds=[2, 5, 7])
    np.testing.assert_allclose(alone.x[0], beside.x[1], rtol=1e-12)
    assert not np.allclose(beside.x[0], beside.x[1])


def test_starts_are_taken():
    starts = np.array([[0.5, 1.0], [2.0, 2.5]])
    found = solve(field(), drift(None), steps=1, seeds=2, starts=starts)
    np.testing.assert_array_equal([row["x"] for row in found.rows[:2]], starts)


def test_divergence_names_the_seed_and_the_figure():
    plain = drift(None)

    def update(key, state):
        after, info = plain.update(key, state)
        bad = (state.count == 13) & (state.x[0] > 1e3)
        return after._replace(x=jnp.where(bad, jnp.nan, after.x)), info

    solver, state, rows, sink = several(Solver(plain.init, update))
    state = state._replace(x=state.x.at[1].set(1e6))
    with pytest.raises(Diverged) as caught:
        run(solver, SEEDS, state, steps=40, every=10, sinks=[sink])
    assert caught.value.step == 20 and "x" in caught.value.figures
    assert set(caught.value.figures["x"]) == {1}
    assert "seed 1 diverged at step 20" in str(caught.value) and "\n" not in str(caught.value)
    assert [row["step"] for row in rows] == [0, 10]


def test_divergence_is_seen_in_x_too_long_for_a_row_and_in_what_is_recorded():
    solver, state, rows, sink = several(drift(None, x_step=1e60), parts=1001)
    with pytest.raises(Diverged, match="step 8"):
        run(solver, SEEDS, state, steps=8, every=8, sinks=[sink])
    assert "x" not in rows[0]
    solver, state, rows, sink = several(drift(None))
    judge = lambda state, told: {"judged": np.array([1.0, 2.0, 3.0 if told is None else np.inf])}  # noqa: E731
    with pytest.raises(Diverged, match="seed 2 diverged at step 4: judged is not finite"):
        run(solver, SEEDS, state, steps=8, every=4, sinks=[sink], record=judge)
    assert len(rows) == 1


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"every": 0}, "every"),
        ({"key": SEEDS[:2]}, "axis of seeds"),
        ({"key": seed_key(0)}, "axis of seeds"),
    ],
)
def test_bad_arguments_of_run(change, word):
    solver, state, _, _ = several(drift(None))
    given = {"key": SEEDS, "steps": 5, "every": 2} | change
    with pytest.raises(ValueError, match=word):
        run(solver, given.pop("key"), state, **given)


def test_the_record_judges_at_the_point_of_the_hypergradient():
    problem = goal_placement(size=3, upper_bumps=((1.5, 0.5, 1, 1),))
    oracle = problem.exact

    def update(key, state):
        tau = 0.3 / (state[2] + 1)
        dx = oracle.hypergradient(state.x, tau)
        after = drift_state._replace(x=state.x - 5.0 * dx, y=state.y, count=state.count + 1, noise=state.noise)
        return after, Info(jnp.sum(dx), jnp.sum(dx), 2.0 * dx, cost(), {"temperature": tau})

    drift_state = drift(None).init(jnp.zeros(2), jnp.zeros((1, 1)))
    solver, state, rows, sink = several(Solver(drift(None).init, update))
    state = run(solver, SEEDS, state, steps=5, every=2, sinks=[sink], record=exact_record(problem))
    for row in rows[1:]:  # twice the truth: error 1, cosine 1, but only where and when it was taken
        np.testing.assert_allclose(row["hypergradient_error"], 1.0, rtol=1e-6)
        np.testing.assert_allclose(row["hypergradient_cosine"], 1.0, rtol=1e-6)
    np.testing.assert_allclose(rows[-1]["value"][1], oracle.value(state.x[1], oracle.temperature), rtol=1e-9)
    np.testing.assert_allclose(rows[-1]["gap"], rows[-1]["value"] - oracle.best()[1], rtol=1e-12)
    assert rows[-1]["value"].dtype == np.float64 and "hypergradient_error" not in rows[0]


def test_the_seconds_of_a_row_hold_its_own_chunk():
    """Updates that the device works on while the host goes on: the clock of a row is read once they are done."""
    matrix = jnp.ones((700, 700)) / 700
    plain = drift(None)

    def update(key, state):
        busy = jax.lax.fori_loop(0, 20, lambda _, table: table @ matrix, matrix)
        after, info = plain.update(key, state)
        return after._replace(x=after.x + 0 * busy[0, 0]), info

    rows, began = [], time.perf_counter()
    sinks = [lambda row, state: rows.append((row["seconds"], time.perf_counter() - began))]
    x, y = jnp.zeros(2), jnp.zeros((1, 1))
    run(Solver(plain.init, update), seed_key(0), plain.init(x, y), steps=8, every=4, sinks=sinks)
    (_, before), (row, now) = rows[-2:]
    assert now - row < 0.3 * (now - before)
