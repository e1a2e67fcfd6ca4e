"""The run folder: what it holds, and that damage is seen."""

import json
import shutil
from importlib import import_module

import jax
import numpy as np
import pytest

from toys.problems.field import field
from toys.solvers.drift import drift
from upperhand import checkpoints, store
from upperhand.errors import BadInput, Diverged
from upperhand.run import Spent
from upperhand.solve import begin, planned, resume, solve

SETTINGS = {"steps": 20, "seeds": 3, "every": 6}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "one"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            import_module("upperhand.solve"), "BETWEEN_CHECKPOINTS", 1e9
        )  # the first and the last, however slow the machine
        return solve(field(), drift(None, steps=20), out=out, **SETTINGS)


@pytest.fixture
def copy(done, tmp_path):
    return shutil.copytree(done.out, tmp_path / "copy")


def hashes(out):
    return {str(path): checkpoints.digest(path) for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_folder_holds_what_the_contract_says(done):
    config = json.loads((done.out / "config.json").read_text())
    assert (config["problem"], config["solver"], config["seeds"]) == ("field", "drift", [0, 1, 2])
    assert (config["steps"], config["every"], config["precision"]) == (20, 6, "float64")
    assert {"versions", "command", "started", "problem_settings", "solver_settings"} <= config.keys()
    rows = [json.loads(line) for line in (done.out / "rows.jsonl").read_text().splitlines()]
    assert rows == done.rows
    wanted = [(at, seed) for at in (0, 6, 12, 18, 20) for seed in range(3)]
    assert [(row["step"], row["seed"]) for row in rows] == wanted
    np.testing.assert_array_equal([row["x"] for row in rows[-3:]], done.x)  # numbers come back as they were
    summary = json.loads((done.out / "summary.json").read_text())
    assert summary["seeds"] == rows[-3:]
    assert set(summary["aggregate"]["upper"]) == {"iqm", "low", "high"}
    with np.load(done.out / "maps.npz", allow_pickle=False) as maps:
        np.testing.assert_array_equal(maps["found"], done.x)
    assert checkpoints.saved_steps(done.out)[0] == 20
    assert not list(done.out.rglob("*.tmp"))


def test_the_report_reads_the_folder(done):
    from upperhand.report.folder import read

    folder = read(done.out)
    np.testing.assert_array_equal(folder.rows["x"][:, -1], done.x)


def test_a_finished_run_resumed_is_itself(done, copy):
    again = resume(field(), drift(None, steps=20), copy)
    assert again.rows == done.rows
    np.testing.assert_array_equal(again.x, done.x)


def test_a_folder_that_is_not_empty_is_refused_and_kept(done):
    before = hashes(done.out)
    with pytest.raises(BadInput, match="upperhand resume"):
        solve(field(), drift(None), out=done.out, **SETTINGS)
    assert hashes(done.out) == before


def damages(out):
    """Every way to damage one file of the newest checkpoint: cut, changed, gone."""
    folder = out / "checkpoints" / "20"
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield from ((path.relative_to(out), kind) for kind in ("cut", "changed", "gone"))


def damage(path, kind):
    content = path.read_bytes()
    middle = len(content) // 2
    if kind == "gone" or not content:
        path.unlink()
    elif kind == "cut":
        path.write_bytes(content[:middle])
    else:
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])


def test_every_damage_of_a_checkpoint_is_seen_before_it_is_used(done, tmp_path):
    plan = planned(field(), drift(None, steps=20), **SETTINGS)
    _, state, _ = begin(plan)
    tried = list(damages(done.out))
    assert len(tried) > 15
    for index, (name, kind) in enumerate(tried):
        out = shutil.copytree(done.out, tmp_path / str(index))
        damage(out / name, kind)
        with pytest.raises(BadInput, match="damaged|unfinished"):
            checkpoints.load(out, 20, state)


def test_an_older_checkpoint_serves_where_the_newest_is_damaged(done, copy):
    damage(sorted((copy / "checkpoints" / "20" / "arrays" / "ocdbt.process_0" / "d").iterdir())[0], "changed")
    with pytest.warns(UserWarning, match="damaged.*Continuing from step 0"):
        again = resume(field(), drift(None, steps=20), copy)
    np.testing.assert_array_equal(again.x, done.x)
    assert [without(row) for row in again.rows] == [without(row) for row in done.rows]


def without(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_no_whole_checkpoint_is_refused_and_nothing_is_touched(copy):
    for step in (0, 20):
        damage(copy / "checkpoints" / str(step) / "manifest.json", "cut")
    before = hashes(copy)
    with pytest.raises(BadInput, match="damaged"):
        resume(field(), drift(None, steps=20), copy)
    shutil.rmtree(copy / "checkpoints")
    rest = hashes(copy)
    with pytest.raises(BadInput, match="no checkpoint to continue from"):
        resume(field(), drift(None, steps=20), copy)
    assert hashes(copy) == rest and rest.items() < before.items()


def test_a_foreign_checkpoint_is_refused(done, copy):
    for problem, word in ((field(parts=3), "foreign: .*x"), (field(), None)):
        if word:
            with pytest.raises(BadInput, match=word):
                resume(problem, drift(None, steps=20), copy)
    config = (copy / "config.json").read_text()
    (copy / "config.json").write_text(config.replace("drift", "glide"))
    with pytest.raises(BadInput, match="of another run"):
        resume(field(), drift(None, steps=20), copy)


def test_rows_after_the_checkpoint_and_a_torn_line_are_dropped(done, copy):
    shutil.rmtree(copy / "checkpoints" / "20")
    with open(copy / "rows.jsonl", "ab") as file:
        file.write(b'{"seed": 0, "st')
    again = resume(field(), drift(None, steps=20), copy)
    assert [without(row) for row in again.rows] == [without(row) for row in done.rows]
    assert (copy / "rows.jsonl").read_bytes().count(b"\n") == 15


@pytest.mark.parametrize("kind", ["changed", "cut", "gone"])
def test_damaged_rows_before_the_checkpoints_are_refused(copy, kind):
    shutil.rmtree(copy / "checkpoints" / "0")
    damage(copy / "rows.jsonl", kind)
    before = hashes(copy)
    with pytest.raises(BadInput, match="rows.jsonl is damaged"):
        resume(field(), drift(None, steps=20), copy)
    assert hashes(copy) == before


def test_divergence_keeps_the_last_good_state_and_rows(tmp_path):
    out = tmp_path / "out"
    with pytest.raises(Diverged, match=f"last good checkpoint is {out}/checkpoints/6") as caught:
        solve(field(), drift(None, x_step=1e26), out=out, steps=40, seeds=[4, 9], every=2)
    assert "seeds 4, 9" in str(caught.value)
    _, state, _ = begin(planned(field(), drift(None), steps=40, seeds=[4, 9]))
    state, spent = checkpoints.load(out, 6, state)
    assert np.isfinite(state.x).all() and spent.samples.tolist() == [24, 24]
    rows = store.rows_until(out, 6, [4, 9], 2)
    assert [row["step"] for row in rows] == [0, 0, 2, 2, 4, 4, 6, 6]
    np.testing.assert_array_equal([row["x"] for row in rows[-2:]], state.x)


def test_a_checkpoint_gives_back_every_bit_of_the_state(done):
    plan = planned(field(), drift(None, steps=20), **SETTINGS)
    _, state, _ = begin(plan)
    first, spent = checkpoints.load(done.out, 0, state)
    assert isinstance(spent, Spent) and jax.tree.structure(first) == jax.tree.structure(state)
    for name, array in checkpoints.arrays(first).items():
        np.testing.assert_array_equal(array, checkpoints.arrays(state)[name])


def test_starts_that_were_given_are_kept_for_a_run_that_was_killed_at_once(tmp_path):
    starts = np.array([[0.25, 1.5]])
    whole = solve(field(), drift(None), steps=5, seeds=1, starts=starts, out=tmp_path / "a")
    shutil.rmtree(whole.out / "checkpoints")
    (whole.out / "rows.jsonl").write_text("")
    again = resume(field(), drift(None), whole.out)
    np.testing.assert_array_equal(again.x, whole.x)
