"""An experiment that tells a study: carried out, drawn again, resumed, by the command line and from Python."""

import importlib
import json
import sys

import numpy as np
import pytest

from upperhand.cli import main
from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, plain, tell
from upperhand.report.study_folder import read
from upperhand.settings import ROOMS

OWN = '''"""How fast 1/k falls."""

import time
from dataclasses import dataclass

import numpy as np

from upperhand.experiments.study import Figure, Line, Mark, Study, Table, tell
from upperhand.store import read_part, write_part


@dataclass(frozen=True)
class Config:
    """Settings."""

    most: int = 8  # the last k.


def carry_out(config, out, say):
    began = time.perf_counter()
    if read_part(out, "fall") is None:
        say("measuring")
        write_part(out, "fall", {"y": (1 / np.arange(1, config.most + 1)).tolist()})
    y = read_part(out, "fall")["y"]
    lines = [Line("1/k", np.arange(1, config.most + 1), y)]
    figures = [Figure("fall", "1/k falls", "k", "1/k", lines, [Mark("least", y[-1])], True, True)]
    tables = [Table("Ends", ["k", "y"], [[config.most, y[-1]]])]
    answer, seconds = f"It ends at {y[-1]:.4g}.", time.perf_counter() - began
    return tell(out, Study("Falling", "Does it?", answer, figures, tables, [], "ours", seconds))
'''


@pytest.fixture(autouse=True)
def room(tmp_path_factory, monkeypatch):
    place = tmp_path_factory.mktemp("room")
    (place / "told_up").mkdir()
    (place / "told_up" / "falling.py").write_text(OWN)
    monkeypatch.setitem(ROOMS, "experiment", [(place / "told_up", "told_up")])
    monkeypatch.syspath_prepend(place)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "told_up"]:
        del sys.modules[name]


def test_by_the_command_line(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "falling", "--most", "7", "--out", str(out)]) == 0
    assert "measuring" in capsys.readouterr().out
    page = (out / "report.html").read_text()
    assert "It ends at 0.1429." in page and "reproduce falling --most 7" in page and "<dt>most</dt><dd>7</dd>" in page
    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0 and (out / "report.html").read_text() == page
    (out / "parts" / "study.json").unlink()
    assert main(["report", str(out)]) == 0  # the page of before stays
    assert main(["resume", str(out)]) == 0
    assert "measuring" not in capsys.readouterr().out and "It ends at 0.1429." in (out / "report.html").read_text()


def test_a_damaged_study_is_one_line(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["reproduce", "falling", "--out", str(out)]) == 0
    (out / "parts" / "study.json").write_text('{"title": 3}')
    assert main(["report", str(out)]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "title must be words, got 3" in said and f"upperhand resume {out}`" in said


def test_from_python(tmp_path):
    program = importlib.import_module("told_up.falling")
    page = program.carry_out(program.Config(most=4), tmp_path, print)
    assert page == tmp_path / "report.html" and "It ends at 0.25." in page.read_text()


def test_plain():
    told = plain(
        Figure("a", "", "", "", [Line("b", np.arange(2), np.array([1.0, np.nan]), low=[-np.inf, 0.5])], [Mark("c", 1)])
    )
    assert told["lines"][0]["y"] == [1.0, None] and told["lines"][0]["low"] == [None, 0.5]
    assert (
        told["lines"][0]["x"] == [0, 1]
        and told["marks"] == [{"label": "c", "y": 1}]
        and told["lines"][0]["high"] is None
    )
    assert json.loads(
        json.dumps(plain(Table("a", ["b"], [[np.float32(0.5)], [np.int64(3)], [None]])), allow_nan=False)
    )["rows"] == [[0.5], [3], [None]]


def test_a_study_that_cannot_be_drawn_is_told_at_once(tmp_path):
    figure = Figure("a", "", "", "", [Line("b", [1, 2], [1.0])])
    with pytest.raises(BadInput, match=r"figures\[0\].lines\[0\].y must be 2 numbers"):
        tell(tmp_path, Study("a", "b", "c", [figure], [], [], "d", 1.0))
    assert not (tmp_path / "report.html").exists()
    assert read(_told(tmp_path)).told["title"] == "a"


def _told(out):
    tell(out, Study("a", "b", "c", [], [], [], "d", 1.0))
    return out
