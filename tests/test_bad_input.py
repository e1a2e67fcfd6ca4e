"""Bad input: exit code 2, one line that names what is wrong, and nothing is touched."""

import errno
import inspect
import json
import shutil
from importlib import import_module

import jax.numpy as jnp
import numpy as np
import pytest

from toys import furnish
from toys.problems.field import field
from toys.solvers.drift import drift
from upperhand import store
from upperhand.checkpoints import digest
from upperhand.cli import main
from upperhand.mdps import dense, four_rooms_world, random_world, sparse, toytext_world
from upperhand.problems import four_rooms, goal_placement, goal_weights, random_mdp, toytext
from upperhand.run import run, seed_key
from upperhand.schedule import schedule, step
from upperhand.solve import solve


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    furnish()
    out = tmp_path_factory.mktemp("runs") / "one"
    words = ["run", "field", "--solver", "drift", "--seeds", "2", "--steps", "6", "--every", "2", "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            import_module("upperhand.solve"), "BETWEEN_CHECKPOINTS", 1e9
        )  # the first and the last, however slow the machine
        assert main(words) == 0
    return out


def hashes(folder):
    return {str(path): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}


def refused(words, named, capsys):
    """The line of a refused command: exit code 2, one line, no traceback."""
    capsys.readouterr()
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.startswith("upperhand: "), captured.err
    assert "Traceback" not in captured.err and named in captured.err, captured.err
    assert not captured.out
    return captured.err


RUN = ["run", "field", "--solver", "drift"]
GRID = ["run", "goal_placement", "--solver", "drift"]
WORDS = [
    (["fly"], "'fly'"),
    (["rum", "field"], "did you mean 'run'"),
    (["run"], "PROBLEM is missing"),
    (["run", "--seeds", "2"], "PROBLEM is missing"),
    (["run", "goal_placment"], "did you mean 'goal_placement'"),
    (["run", "field", "--solver", "drfit"], "did you mean 'drift'"),
    (["run", "field", "--solver"], "unknown solver"),
    ([*RUN, "--seed", "3"], "did you mean '--seeds'"),
    ([*RUN, "--method.bach", "3"], "did you mean '--method.batch'"),
    ([*RUN, "--problem.width", "3"], "'--problem.width'"),
    ([*RUN, "--seeds", "0"], "--seeds"),
    ([*RUN, "--seeds", "-2"], "-2"),
    ([*RUN, "--seeds", "two"], "'two'"),
    ([*RUN, "--steps", "0"], "--steps"),
    ([*RUN, "--steps", "-5"], "-5"),
    ([*RUN, "--steps", "1e3"], "'1e3'"),
    ([*RUN, "--every", "0"], "--every"),
    ([*RUN, "--precision", "float16"], "'float16'"),
    ([*RUN, "--method.batch", "2.5"], "'2.5'"),
    ([*RUN, "--method.x-step", "-1"], "x_step"),
    ([*RUN, "--method.x-step", "nan"], "x_step"),
    ([*RUN, "--method.temperature", "0"], "temperature"),
    ([*RUN, "--method.temperature", "1", "-0.1"], "temperature"),
    ([*RUN, "--method.temperature", "nan"], "temperature"),
    ([*RUN, "--method.temperature", "1", "2", "3"], "--method.temperature"),
    ([*RUN, "--method.temperature"], "--method.temperature"),
    ([*RUN, "--method.penalty", "inf"], "penalty"),
    ([*RUN, "--method.penalty", "0"], "penalty"),
    ([*RUN, "--problem.far", "0"], "far"),
    ([*RUN, "surplus"], "surplus"),
    ([*RUN, "--out", "/dev/null/run"], "/dev/null"),
    ([*RUN, "--out", "/proc/upperhand/run"], "/proc/upperhand"),
    ([*GRID, "--problem.discount", "1.0"], "discount"),
    ([*GRID, "--problem.discount", "-0.1"], "discount"),
    ([*GRID, "--problem.slip", "1.5"], "slip"),
    ([*GRID, "--problem.size", "1"], "size"),
    ([*GRID, "--problem.width", "nan"], "width"),
    ([*GRID, "--problem.temperature", "0"], "temperature"),
    ([*GRID, "--problem.walls", "1", "2", "3"], "--problem.walls"),
    ([*GRID, "--problem.walls", "20", "20"], "walls"),
    ([*RUN, "--method.shake", "hard"], "gentle, rough"),
    (["list", "everything"], "'everything'"),
    (["check"], "PROBLEM is missing"),
    (["check", "nothing"], "'nothing'"),
    (["check", "field"], "exact"),
    (["check", "goal_placement", "--weights", "0"], "--weights"),
    (["check", "goal_placement", "--temperatures", "-1"], "--temperatures"),
    (["check", "goal_placement", "--points", "0"], "--points"),
    (["resume"], "OUT is missing"),
    (["resume", "/nowhere/run"], "/nowhere/run"),
    (["resume", "a", "b"], "'b'"),
    (["report"], "OUT is missing"),
    (["report", "/nowhere/run"], "/nowhere/run"),
]


@pytest.mark.parametrize(("words", "named"), WORDS, ids=[" ".join(words) for words, _ in WORDS])
def test_bad_words(words, named, capsys, tmp_path, monkeypatch):
    furnish()
    monkeypatch.chdir(tmp_path)
    refused(words, named, capsys)
    assert not list(tmp_path.iterdir())  # nothing was begun


def written(name, content):
    """A damage: other bytes in a file, a function of the old ones."""
    return lambda out: (out / name).write_bytes(content((out / name).read_bytes()))


def changed(**entries):
    """A damage: other entries in config.json; `group__name` is an entry of a group."""

    def damage(out):
        config = json.loads((out / "config.json").read_text())
        for name, value in entries.items():
            *groups, last = name.split("__")
            place = config
            for group in groups:
                place = place[group]
            place[last] = value
        (out / "config.json").write_text(json.dumps(config))

    return damage


def cut_manifests(out):
    for path in (out / "checkpoints").rglob("manifest.*"):
        path.write_bytes(path.read_bytes()[:9])


DAMAGES = {
    "config cut": ("config.json", written("config.json", lambda old: old[:90])),
    "config not an object": ("config.json", written("config.json", lambda old: b"[1, 2]")),
    "config no text": ("config.json", written("config.json", lambda old: b"\xff\xfe\x00garbage")),
    "config gone": ("config.json", lambda out: (out / "config.json").unlink()),
    "steps a text": ("steps", changed(steps="6")),
    "seeds twice": ("seeds", changed(seeds=[1, 1])),
    "precision": ("'half'", changed(precision="half")),
    "unknown problem": ("'feild'", changed(problem="feild")),
    "unknown solver": ("'glide'", changed(solver="glide")),
    "unknown setting": ("wide", changed(problem_settings__wide=3)),
    "bad setting": ("far", changed(problem_settings__far=-1)),
    "text for a number": ("far", changed(problem_settings__far="x")),
    "other default": ("trace(decay=0.9)", changed(solver_settings__smooth__default="trace(decay=0.9)")),
    "other choice": ("did you mean 'gentle'", changed(solver_settings__shake__choice="gently")),
    "choice of nothing": ("gone", changed(solver_settings__speed={"choice": "high"})),
    "power of four": ("numbers [scale, exponent", changed(solver_settings__penalty__power=[1.0, 2.0, 3.0, 4.0])),
    "power of texts": ("numbers [scale, exponent", changed(solver_settings__penalty__power=["a", "b"])),
    "config of another run": ("of another run", changed(problem_settings__far=0.5)),
    "other shapes": ("of another run", changed(problem_settings__parts=3)),
    "rows cut": ("rows.jsonl", written("rows.jsonl", lambda old: old[:900])),
    "a row damaged": ("line 2", written("rows.jsonl", lambda old: old.replace(b'"seed": 1', b'"seed: 1', 1))),
    "rows gone": ("rows.jsonl", lambda out: (out / "rows.jsonl").unlink()),
    "checkpoints cut": ("damaged", cut_manifests),
    "checkpoints gone": ("no checkpoint", lambda out: shutil.rmtree(out / "checkpoints")),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_folder_is_refused_and_not_touched(done, tmp_path, capsys, kind):
    out = shutil.copytree(done, tmp_path / "run")
    named, damage = DAMAGES[kind]
    shutil.rmtree(out / "checkpoints" / "0")
    damage(out)
    before = hashes(out)
    refused(["resume", str(out)], named, capsys)
    assert hashes(out) == before


def test_a_full_disk_is_told_and_the_run_goes_on_as_if_nothing_had_been(tmp_path, capsys, monkeypatch):
    """The third chunk of rows finds no space; resumed, the rows are those of a run that always had some."""
    furnish()
    words = ["run", "field", "--solver", "drift", "--seeds", "2", "--steps", "6", "--every", "2", "--out"]
    sink = store.rows_sink

    def filling(*args):
        write, close = sink(*args)
        chunks = []

        def written(*row):
            chunks.append(1)
            if len(chunks) > 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            write(*row)

        return written, close

    with monkeypatch.context() as patch:
        patch.setattr(store, "rows_sink", filling)
        assert main([*words, str(tmp_path / "full")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "the disk is full: free some space" in said
    assert main(["resume", str(tmp_path / "full")]) == main([*words, str(tmp_path / "whole")]) == 0
    told = [(tmp_path / name / "rows.jsonl").read_text().splitlines() for name in ("full", "whole")]
    rows = [[{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines] for lines in told]
    assert rows[0] == rows[1] and len(rows[0]) == 8


def test_a_folder_that_is_not_empty(done, tmp_path, capsys):
    before = hashes(done)
    refused([*RUN, "--out", str(done)], f"upperhand resume {done}", capsys)
    assert hashes(done) == before
    (tmp_path / "note").write_text("mine")
    refused([*RUN, "--out", str(tmp_path)], "not empty", capsys)
    refused([*RUN, "--out", str(tmp_path / "note")], "is a file", capsys)
    refused(["resume", str(tmp_path / "note")], "note", capsys)
    assert (tmp_path / "note").read_text() == "mine"


KERNEL = np.full((2, 1, 2), 0.5)
BUILDERS = {
    "rows that do not sum to one": (lambda: dense(KERNEL * 0.9, discount=0.9), "sum to one"),
    "negative probabilities": (lambda: dense(KERNEL + [[[-1.0, 1.0]]], discount=0.9), "negative"),
    "probability NaN": (lambda: dense(KERNEL * np.nan, discount=0.9), "probability"),
    "wrong shape": (lambda: dense(np.ones((2, 2)), discount=0.9), "[S, A, S]"),
    "successor outside": (lambda: sparse(np.full((2, 1, 1), 5), np.ones((2, 1, 1)), discount=0.9), "successor"),
    "discount 1": (lambda: dense(KERNEL, discount=1.0), "discount"),
    "start": (lambda: dense(KERNEL, start=np.array([0.5, 0.1]), discount=0.9), "start"),
    "width": (lambda: goal_placement(width=-1.0), "width"),
    "budget": (lambda: goal_weights(budget=0.0), "budget"),
    "maze": (lambda: inspect.unwrap(goal_placement)(maze="ring"), "open, rooms, spiral, comb"),
    "maze too small": (lambda: goal_placement(maze="spiral", size=4), "size"),
    "slip of rooms": (lambda: four_rooms(slip=-0.1), "slip"),
    "slip of rooms NaN": (lambda: four_rooms_world(slip=float("nan")), "slip"),
    "goal in a wall": (lambda: four_rooms(goals=((6, 6),)), "(6, 6)"),
    "cost of taxes": (lambda: four_rooms(cost=-1.0), "cost"),
    "discount 1 of rooms": (lambda: four_rooms(discount=1.0), "discount"),
    "discount 1 of a random world": (lambda: random_world(discount=1.0), "discount"),
    "one state": (lambda: random_mdp(states=1), "states"),
    "toy text": (lambda: inspect.unwrap(toytext)(world="blackjack"), "frozen_lake, cliff_walking, taxi"),
    "toy-text name": (lambda: toytext_world("Taxi-v3"), "'Taxi-v3'"),
    "toy-text option": (lambda: toytext_world("Taxi", options={"wings": 2}), "wings"),
    "price below 0": (lambda: toytext(price=-1.0), "price"),
    "discount 1 of toy text": (lambda: toytext(discount=1.0), "discount"),
    "temperature": (lambda: schedule("temperature", -0.1, 10), "temperature"),
    "an end below 0": (lambda: schedule("penalty", (1.0, -0.1), 10), "penalty"),
    "step": (lambda: step("x_step", float("nan"), 10), "x_step"),
    "seeds": (lambda: solve(field(), drift(None), steps=5, seeds=0), "seeds"),
    "seeds twice": (lambda: solve(field(), drift(None), steps=5, seeds=[1, 1]), "differ"),
    "steps": (lambda: solve(field(), drift(None), steps=0), "steps"),
    "every": (lambda: solve(field(), drift(None), steps=5, every=-1), "every"),
    "starts shape": (lambda: solve(field(), drift(None), steps=5, seeds=2, starts=np.zeros((3, 2))), "starts"),
    "starts NaN": (lambda: solve(field(), drift(None), steps=5, seeds=2, starts=np.full((2, 2), np.nan)), "starts"),
    "starts tree": (lambda: solve(field(), drift(None), steps=5, seeds=2, starts={"a": np.zeros(2)}), "starts"),
    "key": (
        lambda: run(drift(None), seed_key(0)[None], drift(None).init(jnp.zeros(2), jnp.zeros(1)), steps=1, every=1),
        "vmapped",
    ),
}


@pytest.mark.parametrize("kind", BUILDERS)
def test_builders_refuse_in_one_line(kind):
    build, named = BUILDERS[kind]
    with pytest.raises(ValueError) as caught:
        build()
    assert named in str(caught.value) and "\n" not in str(caught.value)
