"""A comparison: equal cost, one folder, stopped and resumed without a trace, and no arm stopped by another."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from toys import furnish
from toys.problems.field import field
from toys.solvers.drift import drift
from toys.solvers.slide import slide
from upperhand import store
from upperhand.arms import affordable, armed, priced
from upperhand.checkpoints import digest
from upperhand.cli import main
from upperhand.cli.arm_words import arm_of
from upperhand.compare import agreed, begin, compare, fulfil
from upperhand.comparison_store import read_trials
from upperhand.errors import BadInput
from upperhand.problems import goal_placement
from upperhand.schedule import Power
from upperhand.solve import solve
from upperhand.solvers.rl import actor_critic, actor_critic_paper, expected_actor_critic

HERE = Path(__file__).parent
COUNTS = {"seeds": 2, "trials": 1, "tuning_seeds": 1}
ABOUT = {"problem": "field", "problem_settings": {}, "command": "compare"}


@pytest.fixture(autouse=True)
def rooms():
    furnish()


@pytest.fixture(scope="module")
def grid():
    return goal_placement(size=3, upper_bumps=((1.5, 0.5, 1, 1),))


def rows_of(out, label):
    lines = (out / "arms" / label / "rows.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


def carried(problem, arms, out, budget, **counts):
    """The folder of a comparison, without its page."""
    contest = agreed(problem, arms, budget=budget, **COUNTS | counts)
    begin(contest, out, ABOUT)
    fulfil(contest, out)
    return contest


@pytest.mark.parametrize(
    ("currency", "prices"),
    [("samples", {"ac": 3 * 7, "pair": 2 * 3 * 7, "paper": 2 * 5}), ("gradients", {"ac": 1, "paper": 4, "exp": 2})],
)
@pytest.mark.parametrize("budget", [1000.0, 1001.5])
def test_every_arm_gets_all_the_updates_that_the_budget_buys(grid, currency, prices, budget):
    """Transitions and gradients of an update counted by hand."""
    made = {
        "ac": armed("ac", actor_critic, {"batch": (3, 7)}),
        "pair": arm_of("pair=actor_critic:batch=3:7,estimator=two_stream"),
        "paper": armed("paper", actor_critic_paper, {"batch": 5}),
        "exp": armed("exp", expected_actor_critic),
    }
    for label, price in prices.items():
        cost = priced(made[label], grid)
        found = cost.samples if currency == "samples" else cost.gradients + cost.products
        assert found == price
        steps = affordable(made[label], found, currency, budget)
        assert steps * price <= budget < (steps + 1) * price


def test_an_arm_that_draws_none_of_the_currency_runs_for_its_own_length(grid):
    arm = armed("exp", expected_actor_critic)
    assert affordable(arm, priced(arm, grid).samples, "samples", 10.0) == 2000


def test_a_folder_tells_what_was_asked_for_and_each_arm_is_a_run_at_equal_cost(tmp_path):
    arms = [armed("a", slide), armed("b", slide, {"batch": 7, "temperature": 0.5})]
    out = tmp_path / "both"
    carried(field(), arms, out, {"samples": 100}, trials=3, tuning_seeds=2)
    told = json.loads((out / "compare.json").read_text())
    assert told["currency"] == "samples" and told["budget"] == 100 and told["seeds"] == [0, 1]
    assert told["tuning"] == {"trials": 3, "seeds": [10_000, 10_001]} and told["precision"] == "float64"
    assert [arm["label"] for arm in told["arms"]] == ["a", "b"] and told["arms"][0]["solver"] == "slide"
    assert told["arms"][1]["solver_settings"] == {"batch": 7, "temperature": 0.5}
    for label, batch, steps in (("a", 4, 25), ("b", 7, 14)):
        tuned = json.loads((out / "tuning" / f"{label}.json").read_text())
        best = tuned["scales"][tuned["chosen"]]
        assert tuned["scores"][tuned["chosen"]] == min(tuned["scores"]) and tuned["samples"] == 3 * 2 * steps * batch
        config = json.loads((out / "arms" / label / "config.json").read_text())
        chosen = config["solver_settings"]
        assert config["steps"] == chosen["steps"] == steps and config["seeds"] == [0, 1]
        np.testing.assert_allclose(chosen["x_step"], np.multiply((0.3, 0.1), best["x_step"]), rtol=1e-12)
        assert chosen["penalty"] == {"power": [pytest.approx(0.5 * best["penalty"], rel=1e-12), -0.25]}
        tau = (0.5, 0.5) if label == "b" else (1.0, 0.1)
        np.testing.assert_allclose(np.multiply(tau, best["temperature"]), np.resize(chosen["temperature"], 2), 1e-12)
        rows = rows_of(out, label)
        assert rows[-1]["samples"] == steps * batch and {row["failed"] for row in rows} == {0.0}
        power, steps_of_x = Power(chosen["penalty"]["power"][0], -0.25), tuple(chosen["x_step"])
        tau = tuple(np.resize(chosen["temperature"], 2).tolist())
        by_hand = slide(None, steps=steps, batch=batch, x_step=steps_of_x, temperature=tau, penalty=power)
        found = solve(field(), by_hand, steps=steps, seeds=2).x
        np.testing.assert_allclose([row["x"] for row in rows[-2:]], found, rtol=1e-12)


def test_tuning_does_not_see_the_seeds_of_the_report(tmp_path):
    arm, found = armed("a", slide), []
    for place, seeds in (("one", [0, 1]), ("other", [7, 8, 9])):
        carried(field(), [arm], tmp_path / place, {"samples": 80}, trials=2, seeds=seeds)
        tuned = json.loads((tmp_path / place / "tuning" / "a.json").read_text())
        found.append({name: value for name, value in tuned.items() if name != "seconds"})
    assert found[0] == found[1]


def test_a_failing_arm_is_counted_and_stops_nobody(tmp_path):
    steady = armed("steady", slide)
    carried(field(), [armed("wild", slide, {"x_step": 1e20}), steady], tmp_path / "both", {"samples": 200})
    carried(field(), [steady], tmp_path / "alone", {"samples": 200})
    assert [row["failed"] for row in rows_of(tmp_path / "both", "wild")[-2:]] == [1, 1]
    assert rows_of(tmp_path / "both", "steady") == rows_of(tmp_path / "alone", "steady")
    assert json.loads((tmp_path / "both" / "arms" / "wild" / "summary.json").read_text())["seeds"][0]["failed"] == 1


def test_seconds_are_calibrated_and_kept(tmp_path):
    arm = armed("slow", slide, {"delay": 0.01})
    contest = carried(field(), [arm], tmp_path / "out", {"seconds": 0.4})
    config = json.loads((tmp_path / "out" / "arms" / "slow" / "config.json").read_text())
    assert 2 <= config["steps"] <= 40  # never less than 0.01 s an update
    before = digest(tmp_path / "out" / "arms" / "slow" / "rows.jsonl")
    fulfil(contest, tmp_path / "out")
    assert digest(tmp_path / "out" / "arms" / "slow" / "rows.jsonl") == before


def test_from_python_with_a_page(tmp_path):
    arms = {"a": slide, "b": (slide, {"x_step": 0.05})}
    found = compare(field(), arms, out=tmp_path / "out", gradients=40, **COUNTS)
    assert found.page.stat().st_size > 1000 and found.out == tmp_path / "out"
    assert {arm["label"]: (arm["steps"], arm["gradients"]) for arm in found.summary["arms"]} == {
        "a": (20, 40),
        "b": (20, 40),
    }


def words_of(out, *words):
    budget = ["--samples", "80", "--seeds", "2", "--trials", "2", "--tuning-seeds", "1", "--out", str(out)]
    return ["compare", "field", "--solvers", "a=slide", "b=slide:x-step=0.05", *budget, *words]


def test_the_command_prints_a_table_and_its_folder_can_be_resumed_and_drawn_again(tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    assert main(words_of(out)) == 0
    captured = capsys.readouterr()
    said = captured.out
    assert not captured.err and "field, 80 samples a seed" in said and "a: tuning  step 20/20" in said
    assert "b  step 20/20" in said and str(out / "report.html") in said.replace("\n", "")
    assert json.loads((out / "compare.json").read_text())["arms"][1]["solver_settings"] == {"x_step": 0.05}
    kept = {path: digest(path) for path in out.rglob("*") if path.is_file() and "figures" not in path.parts}
    assert main(["resume", str(out)]) == 0
    assert "step" not in capsys.readouterr().out.replace("steps", "")  # nothing was run again
    for path, before in kept.items():
        assert digest(path) == before or path.name in ("report.html", "summary.json")
    assert main(["report", str(out)]) == 0
    monkeypatch.setattr("upperhand.cli.running.page", lambda out: out / "report.html")
    assert main(["resume", str(out / "arms" / "b")]) == 0
    assert digest(out / "arms" / "b" / "rows.jsonl") == kept[out / "arms" / "b" / "rows.jsonl"]


def test_an_interrupt_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    def stopped(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["upperhand.compare"], "carry_out", stopped)
        assert main(words_of(tmp_path / "out")) == 130
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and f"upperhand resume {tmp_path / 'out'}" in complaint
    assert (tmp_path / "out" / "tuning" / "a.json").exists()


def child(words):
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [sys.executable, "-m", "toys", *words],
        cwd=HERE,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.long
def test_killed_in_the_middle_of_an_arm_and_resumed_is_the_same(tmp_path):
    def words(out):
        budget = ["--samples", "320", "--seeds", "2", "--trials", "2", "--tuning-seeds", "1", "--out", str(out)]
        return ["compare", "field", "--solvers", "a=slide", "b=slide:delay=0.02", *budget]

    whole, out = tmp_path / "whole", tmp_path / "out"
    first, second = child(words(whole)), child(words(out))
    rows, until = out / "arms" / "b" / "rows.jsonl", time.monotonic() + 240
    while time.monotonic() < until and not (rows.exists() and rows.read_bytes().count(b"\n") > 60):
        time.sleep(0.02)
    second.send_signal(signal.SIGKILL)
    second.communicate()
    reached = rows.read_bytes().count(b"\n")
    (out / "arms" / ".config.json.77.tmp").write_text("half a file")
    done = (out / "arms" / "a" / "rows.jsonl", out / "tuning" / "b.json")
    finished = {path: path.stat().st_mtime_ns for path in done}
    third = child(["resume", str(out)])
    for process in (first, third):
        _, complaints = process.communicate(timeout=240)
        assert process.returncode == 0, complaints
    for label in ("a", "b"):
        assert rows_of(out, label) == rows_of(whole, label)
    assert reached < len(rows_of(whole, "b"))  # else this test tells nothing
    assert finished == {path: path.stat().st_mtime_ns for path in finished}


@pytest.mark.parametrize(
    ("word", "label", "given"),
    [
        ("drift", "drift", {}),
        ("slow=drift", "slow", {}),
        ("fixed=drift:temperature=0.1", "fixed", {"temperature": 0.1}),
        ("drift:temperature=1:0.05,batch=3", "drift", {"temperature": (1.0, 0.05), "batch": 3}),
        ("a.b-c=drift:x-step=1e-3", "a.b-c", {"x_step": 1e-3}),
        ("ac=actor-critic:batch=16:2", "ac", {"batch": (16, 2)}),
    ],
)
def test_words_of_an_arm(word, label, given):
    arm = arm_of(word)
    assert arm.label == label and set(arm.given) == set(given)
    assert {name: arm.settings[name] for name in given} == given
    assert all(type(arm.settings[name]) is type(value) for name, value in given.items())


BAD_ARMS = {
    "drfit": "did you mean 'drift'",
    "drift:bach=3": "did you mean 'batch'",
    "drift:batch=2.5": "'2.5'",
    "drift:batch": "batch=value",
    "drift:batch=1,batch=2": "once",
    "drift:steps=5": "budget",
    "drift:temperature=1:2:3": "temperature",
    "drift:shake=hard": "gentle, rough",
    "drift:": "LABEL=SOLVER",
    "=drift": "LABEL=SOLVER",
    "a=": "LABEL=SOLVER",
    "": "LABEL=SOLVER",
    "../a=drift": "cannot name a folder",
    "a b=drift": "cannot name a folder",
    "a=b=drift": "cannot name a folder",
    ".=drift": "cannot name a folder",
}


@pytest.mark.parametrize("word", BAD_ARMS)
def test_bad_words_of_an_arm(word):
    with pytest.raises(BadInput) as caught:
        arm_of(word)
    assert BAD_ARMS[word] in str(caught.value) and "\n" not in str(caught.value)


BAD = {
    "no arm": ({"arms": []}, "one arm"),
    "labels": ({"arms": [armed("A", drift), armed("a", drift)]}, "label"),
    "two budgets": ({"budget": {"samples": 1.0, "seconds": 1.0}}, "one of"),
    "budget 0": ({"budget": {"samples": 0}}, "samples"),
    "budget negative": ({"budget": {"seconds": -1.0}}, "seconds"),
    "budget NaN": ({"budget": {"gradients": float("nan")}}, "gradients"),
    "budget too small": ({"budget": {"samples": 3.0}}, "one update takes 4 samples"),
    "seeds": ({"seeds": 0}, "seeds"),
    "trials": ({"trials": 0}, "trials"),
    "tuning seeds": ({"tuning_seeds": 0}, "tuning_seeds"),
    "overlap": ({"seeds": [3, 10_000]}, "10000"),
    "refused setting": ({"arms": [armed("bad", drift, {"x_step": -1.0})]}, "arm bad: x_step"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_compared(kind):
    change, named = BAD[kind]
    given = {"arms": [armed("a", drift)], "budget": {"samples": 40.0}} | COUNTS | change
    with pytest.raises(BadInput) as caught:
        agreed(field(), given.pop("arms"), **given)
    assert named in str(caught.value) and "\n" not in str(caught.value)


def test_arms_of_python_are_checked():
    for arms, named in (({"a": (drift, {"bach": 1})}, "'batch'"), ({"/": drift}, "folder"), ({}, "one arm")):
        with pytest.raises(ValueError, match=named):
            compare(field(), arms, out="nowhere")


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    furnish()
    out = tmp_path_factory.mktemp("compared") / "out"
    carried(field(), [armed("a", slide)], out, {"samples": 40}, trials=2)
    return out


def edited(name, **entries):
    def damage(out):
        told = json.loads((out / name).read_text())
        (out / name).write_text(json.dumps(told | entries))

    return damage


def cut(name):
    return lambda out: (out / name).write_bytes((out / name).read_bytes()[:60])


DAMAGES = {
    "cut": (cut("compare.json"), "compare.json"),
    "no arms": (edited("compare.json", arms=[]), "arms"),
    "an arm of text": (edited("compare.json", arms=["a"]), "arms"),
    "budget": (edited("compare.json", budget="much"), "budget"),
    "currency": (edited("compare.json", currency=["samples"]), "currency"),
    "seeds": (edited("compare.json", seeds=[1, 1]), "seeds"),
    "tuning": (edited("compare.json", tuning={"trials": 0}), "tuning"),
    "precision": (edited("compare.json", precision="half"), "precision"),
    "problem": (edited("compare.json", problem="feild"), "'feild'"),
    "other seeds": (edited("compare.json", seeds=[4, 5]), "not of this comparison"),
    "trials cut": (cut("tuning/a.json"), "tunes the arm again"),
    "trials of nothing": (edited("tuning/a.json", scales=[{"speed": 1.0}] * 2), "tunes the arm again"),
    "chosen": (edited("tuning/a.json", chosen=2), "tunes the arm again"),
    "steps of tuning": (edited("tuning/a.json", steps=0), "tunes the arm again"),
    "arm config": (cut("arms/a/config.json"), "config.json"),
    "arm settings": (edited("arms/a/config.json", solver_settings={}), "not of this comparison"),
}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_comparison_is_refused_and_not_touched(done, tmp_path, capsys, kind):
    out = Path(shutil.copytree(done, tmp_path / "out"))
    damage, named = DAMAGES[kind]
    damage(out)
    before = {path: digest(path) for path in out.rglob("*") if path.is_file()}
    assert main(["resume", str(out)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and named in captured.err and captured.err.startswith("upperhand: ")
    assert {path: digest(path) for path in out.rglob("*") if path.is_file()} == before


def test_a_lost_tuning_file_is_made_again_and_is_the_same(done, tmp_path):
    out = Path(shutil.copytree(done, tmp_path / "out"))
    before = read_trials(out, "a", ["x_step", "temperature", "penalty"])
    (out / "tuning" / "a.json").unlink()
    assert main(["resume", str(out)]) == 0
    after = read_trials(out, "a", ["x_step", "temperature", "penalty"])
    assert after._replace(seconds=0) == before._replace(seconds=0)


def test_a_folder_that_is_taken(done, tmp_path):
    with pytest.raises(BadInput, match=f"upperhand resume {done}"):
        store.vacant(done)
