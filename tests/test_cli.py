"""The command line, as a stranger uses it."""

import json
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

from toys import furnish
from toys.problems.field import field
from toys.solvers.drift import Shake, drift, gentle, rough
from upperhand.cli import main
from upperhand.cli.listing import advice, first_line, groups, kind, needs, says, tried
from upperhand.cli.running import chosen, options
from upperhand.errors import BadInput
from upperhand.hypergradients.streams import Estimator
from upperhand.schedule import Power
from upperhand.settings import ROOMS, argument_texts, build, builder, choices, names, restored, settings, stored
from upperhand.solve import solve

UPPERHAND = Path(sys.executable).with_name("upperhand")


@pytest.fixture(autouse=True)
def rooms():
    furnish()


def run(out, *words):
    return main(["run", "field", "--solver", "drift", "--seeds", "2", "--steps", "20", "--out", str(out), *words])


@pytest.mark.parametrize("words", [["--help"], ["list"], ["--version"]])
def test_the_installed_command_answers_without_heavy_rooms(words):
    done = subprocess.run([UPPERHAND, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout and not done.stderr
    heavy = "{'matplotlib', 'orbax.checkpoint', 'tyro'} & set(sys.modules)"
    program = f"import sys; from upperhand.cli import main; main({words}); print({heavy} or 'none', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.stderr == "none\n"


def test_list_names_everything_with_its_first_line(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    for room in ("problem", "solver"):
        assert names(room)
        listed = [name for members in groups(room).values() for name in members]
        assert set(names(room)) == set(listed) and len(set(listed)) == len(listed)
        for name in listed:
            assert name in said and first_line(room, name)[:20] in said
            module = sys.modules[builder(room, name).__module__]
            assert first_line(room, name) == module.__doc__.split("\n")[0]


@pytest.mark.parametrize("command", ["list", "run", "compare", "check", "resume", "report"])
def test_every_command_has_help(capsys, command):
    assert main([command, "--help"]) == 0
    captured = capsys.readouterr()
    assert f"upperhand {command}" in captured.out and not captured.err


def test_the_help_of_a_run_tells_settings_defaults_and_meanings(capsys):
    assert main(["run", "field", "--solver", "drift", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (
        "--problem.far FLOAT how far starts lie, above 0. (default: 1.0)",
        "--method.temperature FLOAT [FLOAT] schedules. (default: 1.0 0.1)",
        "draws an update, that are averaged. (default: 4)",
        "Power(scale=0.5, exponent=-0.25, offset=1.0)",
        "--method.shake {gentle,rough} how much x is shaken. (default: gentle)",
        "--steps INT",
    ):
        assert words in said
    assert "--method.steps" not in said


def test_a_run_writes_its_folder_and_prints_what_it_found(tmp_path, capsys):
    out = tmp_path / "deep" / "run"
    words = ("--problem.far", "2.0", "--method.temperature", "0.5", "--method.x_step", "0.2", "--every", "7")
    assert run(out, *words) == 0
    captured = capsys.readouterr()
    assert not captured.err
    assert "drift on field, 20 steps" in captured.out and "interquartile mean" in captured.out
    assert str(out / "report.html") in captured.out.replace("\n", "") and (out / "report.html").stat().st_size > 1000
    config = json.loads((out / "config.json").read_text())
    assert config["problem_settings"] == {"far": 2.0, "parts": 2, "kinds": ["a"]}
    method = config["solver_settings"]
    assert method["temperature"] == 0.5 and method["x_step"] == 0.2 and method["steps"] == 20
    assert method["penalty"] == {"power": [0.5, -0.25]} and method["shake"] == {"choice": "gentle"}
    assert method["smooth"]["default"].startswith("GradientTransformation")
    assert config["command"].startswith("upperhand run field --solver drift") and config["precision"] == "float32"
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows[::2]] == [0, 7, 14, 20]
    assert rows[-1]["temperature"] == 0.5
    assert rows[-1]["penalty"] == pytest.approx(0.5 * 20**-0.25, rel=1e-6)  # the default was left as it is
    page = (out / "report.html").read_bytes()
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_bytes()[:100] == page[:100]
    assert main(["resume", str(out)]) == 0
    assert [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()] == rows


def test_two_ends_and_precision_reach_the_run(tmp_path, capsys):
    assert run(tmp_path / "a", "--method.temperature", "1.0", "0.01", "--precision", "float64") == 0
    rows = [json.loads(line) for line in (tmp_path / "a" / "rows.jsonl").read_text().splitlines()]
    assert rows[-1]["temperature"] == pytest.approx(0.01 ** (19 / 20), rel=1e-6)
    assert rows[-1]["x"][0] != float(np.float32(rows[-1]["x"][0]))
    assert capsys.readouterr().out.count("step ") <= 12


def test_divergence_exits_with_1_and_leaves_the_rows_before(tmp_path, capsys):
    out = tmp_path / "out"
    assert run(out, "--method.x-step", "1e6", "--every", "2") == 1
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and complaint.startswith("upperhand: seeds 0, 1 diverged at step ")
    assert f"{out}/checkpoints/" in complaint and "smaller steps" in complaint
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert len(rows) >= 4 and rows[-1]["step"] == json.loads((out / "summary.json").read_text())["seeds"][0]["step"]
    assert main(["report", str(out)]) == 0


def test_check_compares_hypergradients_and_the_table_shows_their_order(capsys):
    words = ["--problem.size", "3", "--problem.upper-bumps", "1.5", "0.5", "1", "1", "--draws", "0"]
    assert (
        main(["check", "goal-placement", "--points", "2", "--temperatures", "0.1", "--weights", "0.1", "0.01", *words])
        == 0
    )
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    errors = {(line[1], line[2]): float(line[-1]) for line in lines if line and line[0] == "0.1" and len(line) == 6}
    assert errors["penalty", "0.1"] / errors["penalty", "0.01"] == pytest.approx(10, rel=0.3)
    assert errors["two_sided", "0.1"] / errors["two_sided", "0.01"] == pytest.approx(100, rel=0.3)
    exact = [float(line[-1]) for line in lines if line[1:2] == ["exact"]]
    assert len(exact) == 1 and exact[0] < 1e-6


def test_check_prints_what_was_measured_of_sampled_estimators(capsys, monkeypatch):
    from upperhand.cli import sampled

    found = sampled.Sampled(
        "one_stream", 0.1, 0.5, *np.array([[0.9], [0.25], [0.125]]), -1.25, np.array([17.0]), "O(w)"
    )
    monkeypatch.setattr(sampled, "measure", lambda problem, xs, **options: [found])
    words = ["--points", "1", "--temperatures", "0.1", "--weights", "0.5", "--problem.size", "3"]
    assert main(["check", "goal_placement", *words, "--problem.upper-bumps", "1.5", "0.5", "1", "1"]) == 0
    said = capsys.readouterr().out
    lines = [line.split() for line in said.splitlines()]
    assert ["one_stream", "0.1", "0.5", "0.900", "0.250", "0.125", "-1.2", "17"] in lines
    assert "one_stream: O(w)." in said


def test_settings_survive_json():
    known = {name: setting.default for name, setting in settings(builder("solver", "drift")).items()}
    assert restored("solver", "drift", json.loads(json.dumps(stored(known)))) == known


def test_a_choice_and_a_power_are_written_by_what_they_are_and_come_back():
    given = {"shake": rough, "penalty": Power(2.0, -0.5), "temperature": (1.0, 0.5)}
    told = json.loads(json.dumps(stored(given)))
    assert told == {"shake": {"choice": "rough"}, "penalty": {"power": [2.0, -0.5]}, "temperature": [1.0, 0.5]}
    back = restored("solver", "drift", told)
    assert back == given and back["shake"] is rough
    late = json.loads(json.dumps(stored({"penalty": Power(2.0, -1.0, 50.0)})))
    assert late == {"penalty": {"power": [2.0, -1.0, 50.0]}}
    assert restored("solver", "drift", late) == {"penalty": Power(2.0, -1.0, 50.0)}
    for bad in ([2.0], [2.0, -1.0, "50"], [2.0, -1.0, 50.0, 1.0]):
        with pytest.raises(BadInput, match=r"numbers \[scale, exponent\] or \[scale, exponent, offset\]"):
            restored("solver", "drift", {"penalty": {"power": bad}})


def test_an_infinite_number_is_written_as_a_word_and_comes_back():
    told = json.loads(json.dumps(stored({"clip": float("inf"), "x_step": 0.1}), allow_nan=False))
    assert told == {"clip": {"number": "inf"}, "x_step": 0.1}
    assert restored("solver", "clipped_sgd", told) == {"clip": float("inf"), "x_step": 0.1}


def test_choices_are_the_values_of_a_class_in_its_own_module():
    assert choices(Shake) == {"gentle": gentle, "rough": rough}
    assert set(choices(Estimator)) == {"two_stream", "coupled", "one_stream", "two_sided_stream"}
    assert choices(float) == choices(tuple) == choices(float | None) == {}


def test_a_choice_reaches_the_run_and_a_resume(tmp_path, capsys):
    assert run(tmp_path / "a", "--method.shake", "rough") == 0
    shaken = drift(None, steps=20, shake=rough)
    with jax.enable_x64(False):
        by_hand = solve(field(), shaken, steps=20, seeds=2)
    rows = [json.loads(line) for line in (tmp_path / "a" / "rows.jsonl").read_text().splitlines()]
    np.testing.assert_allclose([row["x"] for row in rows[-2:]], by_hand.x, rtol=1e-6)
    assert main(["resume", str(tmp_path / "a")]) == 0


def test_list_tells_needs_where_a_file_tells_them(capsys, monkeypatch, tmp_path):
    (tmp_path / "needy.py").write_text('"""One.\n\nNeeds: a kernel;\nsecond derivatives.\nCost: much.\n"""\n')
    (tmp_path / "free.py").write_text('"""Two."""\n')
    monkeypatch.setitem(ROOMS, "solver", [(tmp_path, "nowhere")])
    assert needs("solver", "needy") == ["Needs: a kernel; second derivatives."] and needs("solver", "free") == []
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "Needs: a kernel; second derivatives." in said and said.count("Needs:") == 1


def test_worlds_texts_and_general_problems_are_listed_apart(capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    order = ["  goal_placement ", "problems of texts", "  tweets ", "general problems", "  quadratic "]
    order += ["solvers for worlds", "  hpgd ", "solvers for texts", "  joint ", "general solvers", "  alt_pbgd "]
    lines = said.splitlines()
    places = [next(at for at, line in enumerate(lines) if line.startswith(word)) for word in order]
    assert places == sorted(places)
    kinds = {name: kind("problem", name) for name in names("problem")}
    assert kinds["token_game"] == "texts" and kinds["field"] == "worlds" and "evaluation" not in kinds


def test_every_general_problem_says_what_to_try_and_that_takes_it():
    """The first line `Try: NAME setting=value` is what `upperhand run PROBLEM` runs; it is built, but not run."""
    assert (
        chosen([], "goal_placement") == "actor_critic" and chosen([], "tweets") == chosen([], "token_game") == "joint"
    )
    assert chosen(["--solver", "alt-pbgd"], "tweets") == chosen(["--solver=alt_pbgd"], "tweets") == "alt_pbgd"
    for name in names("problem"):
        if kind("problem", name) == "general" and name != "hyper_cleaning":  # which needs a package
            assert tried(name) == chosen([], name) and tried(name) in names("solver"), name
            problem = build("problem", name, {})
            for solver, given in advice(name).items():
                build("solver", solver, given, problem)
                shown = options(name, solver)()
                assert {key: getattr(shown.method, key, shown.steps) for key in given} == given


def test_what_a_page_tells_comes_from_the_documentation():
    told = says("sparse_shift", "slide")
    assert told["problem"] == first_line("problem", "sparse_shift") and told["solver"] == first_line("solver", "slide")
    assert "upper = ½ ‖y − c‖²" in told["formulas"] and "Φ(x) = ½ ‖x − c‖² + l1 ‖x‖₁" in told["formulas"]


def test_argument_texts():
    doc = "One.\n\nArgs:\n  a, b: first\n    line.\n  c: third.\nReturns: nothing.\n"
    assert argument_texts(doc) == {"a": "first line.", "b": "first line.", "c": "third."}
    for room in ("problem", "solver"):
        for name in names(room):
            for setting, (_, _, text) in settings(builder(room, name)).items():
                assert text, f"the Args block of {name} lacks {setting}"
