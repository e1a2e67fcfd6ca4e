"""The four-rooms experiment, small: the ascent is plain exact gradients; budgets, seeds, and nothing done twice."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.cli import main
from upperhand.experiments import four_rooms as experiment
from upperhand.experiments.four_rooms import CELLS, KNOWN, PUBLISHED, Config, ascent, carry_out
from upperhand.problems import four_rooms
from upperhand.solvers.rl import implicit

SMALL = Config(seeds=2, tuning_seeds=1, transitions=3_000, updates=3, ascent=3, steps=(0.5, 5.0), heats=(2.0,))
ARMS = {
    "actor_critic": experiment.ARMS["actor_critic"],
    "expected_actor_critic": experiment.ARMS["expected_actor_critic"],
}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder, what ran: [(rows, steps, budget, seeds, found)], what was said)."""
    out, runs, said = tmp_path_factory.mktemp("four") / "out", [], []
    out.mkdir()
    about = {"experiment": "four_rooms", "config": {}, "cells": [], "command": "upperhand reproduce four_rooms"}
    (out / "experiment.json").write_text(json.dumps(about))
    real = experiment.run

    def watched(lanes, steps, budget, seeds):
        found = real(lanes, steps, budget, seeds)
        runs.append((lanes.rows, steps, budget, list(seeds), found))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiment, "ARMS", ARMS)
        patch.setattr(experiment, "run", watched)
        assert carry_out(SMALL, out, said.append) == out / "report.html"
        yield out, runs, said


def part(out, name):
    return json.loads((out / "parts" / f"{name}.json").read_text())


def ascended(tau, cost, updates):
    """The designer's value after some updates of 0.5 along the exact gradient clipped to norm 1, by itself."""
    oracle = four_rooms(cost=cost).exact
    both = jax.jit(lambda x: (oracle.value(x, tau), oracle.hypergradient(x, tau)))
    x = jnp.asarray(0.01 * np.random.default_rng(0).normal(size=105))
    for _ in range(updates):
        dx = np.asarray(both(x)[1])
        x = x - 0.5 * dx / max(1.0, np.linalg.norm(dx))
    return -float(both(x)[0])


@pytest.mark.long
def test_the_ascent_follows_the_exact_gradient(done, monkeypatch):
    swept = part(done[0], "ascent")["values"]
    thorough = lambda problem, **settings: implicit(problem, **settings | {"effort": 2000})  # noqa: E731
    monkeypatch.setattr(experiment, "implicit", thorough)
    found = ascent(SMALL)["values"]
    for at in (1, 8):
        wanted = ascended(*CELLS[at], SMALL.ascent)
        assert found[at] == pytest.approx(wanted, abs=1e-6)
        assert swept[at] == pytest.approx(wanted, abs=1e-4)  # 100 warm sweeps, from nothing


def test_no_lane_spends_more_than_its_budget_and_one_update(done):
    _, runs, _ = done
    sampled = [(budget, found.spent) for _, _, budget, _, found in runs if budget is not None]
    assert [len(spent) for _, spent in sampled] == [9 * 2 * 1, 9 * 2]  # trials × tuning seeds; seeds
    for budget, spent in sampled:
        assert budget == 3_000 and (spent == 3 * 1024).all()  # an update is 64 × 16 transitions: the third is the last
    told = part(done[0], "actor_critic")["transitions"]
    np.testing.assert_allclose(told, sampled[1][1].reshape(9, 2).mean(1))
    free = [(steps, found) for _, steps, budget, _, found in runs[1:5] if budget is None]
    assert [steps for steps, _ in free] == [3, 3] and part(done[0], "expected_actor_critic")["transitions"] == 0
    assert all((found.spent == 0).all() and found.updates == 3 for _, found in free)


def test_what_is_chosen_on_some_seeds_is_reported_on_others(done):
    out, runs, _ = done
    for name, (trials, report) in zip(ARMS, (runs[1:3], runs[3:5]), strict=True):
        told, grid = part(out, name), [(0.5, 2.0), (5.0, 2.0)]
        assert told["grid"] == [list(pair) for pair in grid]
        assert set(trials[3]) == {10_000} and report[3] == [0, 1] * 9
        wanted = [(*cell, *pair) for cell in CELLS for pair in grid]
        assert [tuple(row) for row in trials[0]] == wanted
        scores = trials[4].scores.reshape(9, 2)
        np.testing.assert_array_equal(told["trials"], scores)
        assert told["chosen"] == [int(second > first) for first, second in scores]
        wanted = [(*cell, *grid[k]) for cell, k in zip(CELLS, told["chosen"], strict=True) for _ in range(2)]
        assert [tuple(row) for row in report[0]] == wanted
        np.testing.assert_array_equal(told["values"], report[4].scores.reshape(9, 2))
        assert all(first != second for first, second in told["values"])  # other seeds are other starts


def test_the_references_are_nine_and_the_page_is_drawn(done):
    out, _, said = done
    told = part(out, "published")
    assert told["cells"] == [list(cell) for cell in CELLS] and told["known"] == list(KNOWN)
    assert all(
        len(rows) == 9 and told["published"][name] == [list(pair) for pair in rows] for name, rows in PUBLISHED.items()
    )
    assert set(PUBLISHED) == {"hpgd", "amd", "zero_order"} and told["arms"] == list(ARMS)
    page = (out / "report.html").read_text()
    assert "not finished" not in page and (out / "figure.png").is_file() and (out / "table.md").is_file()
    assert any("3 updates" in line for line in said) and sum("chosen (step, heat)" in line for line in said) == 2


def test_a_second_call_does_no_part_again(done, monkeypatch):
    out, runs, _ = done
    kept = {name: (out / "parts" / f"{name}.json").stat().st_mtime_ns for name in ("ascent", *ARMS)}
    page, count = (out / "report.html").read_bytes(), len(runs)
    monkeypatch.setattr(experiment, "run", lambda *rest: pytest.fail("it ran again"))
    said = []
    assert carry_out(SMALL, out, said.append) == out / "report.html" and said == [] and len(runs) == count
    assert {name: (out / "parts" / f"{name}.json").stat().st_mtime_ns for name in kept} == kept
    assert (out / "report.html").read_bytes() == page


@pytest.mark.parametrize(
    "words",
    [
        *([f"--{name}", "0"] for name in ("seeds", "tuning-seeds", "transitions", "updates", "ascent")),
        *(["--steps", *values] for values in ((), ("0",), ("-1", "2"), ("nan",), ("2", "2"))),
        *(["--heats", *values] for values in ((), ("0",), ("inf",), ("1", "1"))),
    ],
)
def test_a_setting_out_of_its_range_is_one_line_and_writes_nothing(tmp_path, capsys, words):
    assert main(["reproduce", "four_rooms", *words, "--out", str(tmp_path / "out")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and words[0] in complaint and not list(tmp_path.iterdir())
