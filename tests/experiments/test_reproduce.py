"""`upperhand reproduce` with made-up experiments: stopped and resumed, own programs, and one line for what is wrong."""

import json
import sys
from pathlib import Path

import pytest

from toys import furnish
from upperhand.cli import main
from upperhand.settings import ROOMS

FIELDS = '''"""Two fields.

Takes: no time.
"""

from dataclasses import dataclass

from upperhand.experiments import Cell, Question

QUESTION = Question("Fields", "a", "b", "sliding", "sliding slowly")


@dataclass(frozen=True)
class Config:
    """Settings."""

    seeds: int = 4  # how many.
    fars: tuple[float, ...] = (1.0, 2.0)  # how far.


def build(config):
    arms = ("a=slide", "b=slide:x_step=0.0001")
    return {f"far-{far:g}": Cell(f"far {far:g}", "field", {"far": far}, arms, 80, config.seeds, 2, 1)
            for far in config.fars}
'''
OWN = '''"""Its own program."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """Settings.

    Args:
      height: how high.
    """

    height: float = 1.0


def carry_out(config, out, say):
    say(f"height {config.height}")
    page = out / "report.html"
    page.write_text(str(config.height) + "!" * (out / "report.html").exists())
    return page
'''


@pytest.fixture(autouse=True)
def room(tmp_path_factory, monkeypatch):
    furnish()
    place = tmp_path_factory.mktemp("room")
    (place / "made_up").mkdir()
    for name, text in (("fields", FIELDS), ("own", OWN), ("cell", "x = 1\n")):
        (place / "made_up" / f"{name}.py").write_text(text)
    monkeypatch.setitem(ROOMS, "experiment", [(place / "made_up", "made_up")])
    monkeypatch.syspath_prepend(place)
    monkeypatch.setattr("upperhand.report.comparison_page.figures", lambda *told: {})  # those of a cell are slow
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "made_up"]:
        del sys.modules[name]


def test_alone_it_lists_what_there_is(capsys):
    assert main(["reproduce"]) == 0
    said = capsys.readouterr().out
    assert "Two fields." in said and "Takes: no time." in said and "own" in said and "cell" not in said


def test_help_tells_the_settings(capsys):
    assert main(["reproduce", "--help"]) == 0 and main(["reproduce", "fields", "--help"]) == 0
    assert main(["reproduce", "own", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "--seeds INT how many. (default: 4)" in said and "(default: 1.0 2.0)" in said
    assert "--height FLOAT how high. (default: 1.0)" in said


def test_stopped_between_arms_and_resumed_is_the_same(tmp_path, capsys, monkeypatch):
    whole, out = tmp_path / "whole", tmp_path / "out"
    monkeypatch.setattr("upperhand.report.experiment_page.figure", lambda *told: None)
    assert main(["reproduce", "fields", "--out", str(whole)]) == 0
    real, calls = sys.modules["upperhand.compare"].carry_out, []

    def stopping(*args, **options):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["upperhand.compare"], "carry_out", stopping)
        assert main(["reproduce", "fields", "--out", str(out)]) == 130
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and f"upperhand resume {out}`" in complaint
    assert main(["report", str(out)]) == 0
    table = json.loads((out / "table.json").read_text())["cells"]
    assert table["far-1"]["verdict"] == "better" and table["far-2"]["verdict"] is None
    assert "not finished (far 2)" in (out / "report.html").read_text()
    kept = (out / "cells" / "far-1" / "report.html").stat().st_mtime_ns
    assert main(["resume", str(out)]) == 0
    assert (out / "cells" / "far-1" / "report.html").stat().st_mtime_ns == kept
    assert (out / "table.json").read_text() == (whole / "table.json").read_text()
    page = (whole / "report.html").read_text()
    assert "<h1>Sliding beats sliding slowly in far 1 and far 2</h1>" in page


def test_a_folder_that_a_kill_left_empty_is_begun_again(tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr("upperhand.report.experiment_page.figure", lambda *told: None)
    for name in ("arms", "tuning"):
        (out / "cells" / "far-1" / name).mkdir(parents=True)
    (out / "experiment.json").write_text("{}")
    assert main(["resume", str(out)]) == 2  # an experiment.json that tells nothing
    (out / "experiment.json").unlink()
    assert main(["reproduce", "fields", "--fars", "1", "--out", str(out)]) == 2  # not empty
    assert main(["reproduce", "fields", "--fars", "1", "--out", str(tmp_path / "other")]) == 0
    (out / "experiment.json").write_text((tmp_path / "other" / "experiment.json").read_text())
    assert main(["resume", str(out)]) == 0
    assert (out / "table.json").read_text() == (tmp_path / "other" / "table.json").read_text()


def test_an_experiment_with_a_program_of_its_own(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", "own", "--height", "2.5"]) == 0
    (out,) = Path("runs").iterdir()
    assert out.name.startswith("own-") and (out / "report.html").read_text() == "2.5"
    assert "height 2.5" in capsys.readouterr().out
    assert main(["report", str(out)]) == 0 and (out / "report.html").read_text() == "2.5"
    assert main(["resume", str(out)]) == 0 and (out / "report.html").read_text() == "2.5!"
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 2 and "has no page yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["field"], "did you mean 'fields'"),
        (["fields", "--seed", "3"], "did you mean '--seeds'"),
        (["fields", "--seeds", "few"], "--seeds"),
        (["fields", "--seeds", "0"], "seeds must be a whole number above 0"),
        (["fields", "--fars", "-1"], "far"),
        (["--seeds", "3"], "NAME is missing"),
    ],
)
def test_bad_words_are_one_line_and_write_nothing(tmp_path, capsys, monkeypatch, words, wanted):
    monkeypatch.chdir(tmp_path)
    assert main(["reproduce", *words]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and wanted in complaint and not list(tmp_path.iterdir())


def test_a_damaged_or_foreign_folder_is_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "own", "--out", str(out)]) == 0
    assert main(["reproduce", "fields", "--out", str(out)]) == 2
    told = json.loads((out / "experiment.json").read_text())
    for damage in ("{", json.dumps(told | {"config": {"depth": 1}}), json.dumps(told | {"experiment": "gone"})):
        (out / "experiment.json").write_text(damage)
        assert main(["resume", str(out)]) == 2
    assert capsys.readouterr().err.count("\n") == 4
