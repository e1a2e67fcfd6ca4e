"""The page of an experiment: the headline counts what the intervals tell, and nothing of the folder is HTML."""

import json

import numpy as np
import pytest
from made_up_comparison import write_comparison
from test_report_page import Page

from upperhand.report.experiment import half, table, verdict_of
from upperhand.report.experiment_figure import figure
from upperhand.report.experiment_folder import about, read_experiment
from upperhand.report.experiment_page import write
from upperhand.report.experiment_words import headline, listed

BETTER = {"me": {}, "it": {"level": 0.3}, "third": {"level": 0.1}}
WORSE = {"me": {"level": 0.3}, "it": {}, "third": {"level": 0.6}}
OPEN = {"me": {"level": 0.05, "noise": 0.05}, "it": {"level": 0.05, "noise": 0.05}}
QUESTION = {"title": "Made up", "method": "me", "rival": "it", "claim": "this", "against": "that"}


def write_experiment(out, cells, *, seeds=8, question=QUESTION, **kind):
    told = {"experiment": "made_up", "config": {"seeds": seeds}, "command": "upperhand reproduce made_up"}
    told |= {"question": question, "versions": {"upperhand": "0.1.0"}, "started": "2026-01-05T09:30:00+00:00"}
    told["cells"] = [{"name": f"c{place}", "title": title} for place, title in enumerate(cells)]
    out.mkdir()
    (out / "experiment.json").write_text(json.dumps(told))
    for place, arms in enumerate(cells.values()):
        if arms:
            write_comparison(out / "cells" / f"c{place}", arms, seeds=seeds, **kind)
    return out


def said(out):
    found = read_experiment(out)
    return headline(found, table(found))


@pytest.mark.parametrize(
    ("better", "wanted"),
    [((0.51, 1.0), "better"), ((0.5, 1.0), "open"), ((0.2, 0.5), "open"), ((0.0, 0.49), "worse")],
)
def test_an_interval_that_holds_a_half_decides_nothing(better, wanted):
    assert verdict_of({"probability": 0.4, "low": better[0], "high": better[1]}) == wanted
    assert verdict_of(None) is None


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        ({"a": BETTER}, "This beats that in a"),
        ({"a": WORSE}, "This loses to that in a"),
        ({"a": OPEN}, "This cannot be told apart from that in a"),
        ({"a": OPEN, "b": BETTER, "c": WORSE},
         "This beats that in b, loses to it in c and cannot be told apart from it in a"),
        ({"a": BETTER, "b, 1": BETTER, "c": None}, "This beats that in a and b, 1"),
        ({name: BETTER for name in "abc"} | {"d": WORSE},
         "This beats that in 3 of 4 cells and loses to it in 1"),
        ({"a": None}, "Made up: no cell has finished yet"),
    ],
)  # fmt: skip
def test_the_headline_is_told_as_it_came_out(tmp_path, cells, wanted):
    assert said(write_experiment(tmp_path / "out", cells)) == wanted


def test_four_seeds_that_overlap_tell_nothing(tmp_path):
    assert "cannot be told apart" in said(write_experiment(tmp_path / "out", {"a": OPEN}, seeds=4))


def test_names_in_a_row():
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
    assert listed(["a, 1", "b, 1", "c"]) == "a, 1; b, 1 and c"


def test_the_page_has_figure_tables_and_links(tmp_path):
    out = write_experiment(tmp_path / "out", {"first": BETTER, "second": OPEN, "third": None})
    path = write(out)
    page = Page(path)
    assert path == out / "report.html" and len(page.images()) == 1 and (out / "figure.png").is_file()
    assert "me is better than it in 1 of 2 cells and third in 1 of 2 cells." in page.text
    assert "not finished (third)" in page.text and "It has not begun." in page.text
    assert "cells/c0/report.html" not in page.raw  # no page of the cell, no link
    (out / "cells" / "c0" / "report.html").write_text("page")
    again = Page(write(out))
    assert [attrs["href"] for tag, attrs in again.tags if tag == "a"] == ["cells/c0/report.html"]
    assert write(out).read_bytes() == write(out).read_bytes() and not list(out.rglob("*.part"))


def test_texts_are_not_html(tmp_path):
    question = QUESTION | {"title": "<i>t", "claim": "<b>c", "against": "<u>x"}
    page = Page(write(write_experiment(tmp_path / "out", {"<em>$x_{": BETTER}, question=question)))
    assert not {"i", "u", "em"} & {tag for tag, _ in page.tags} and "<em>$x_{" in page.text


def test_half_of_the_budget_is_read_from_the_rows(tmp_path):
    found = read_experiment(write_experiment(tmp_path / "out", {"a": BETTER}, seeds=4))
    part = found.parts[0]
    rows = [json.loads(line) for line in (tmp_path / "out/cells/c0/arms/it/rows.jsonl").open()]
    scores = sorted(row["value"] for row in rows if row["step"] == 500)  # 128 samples each; the budget is 128 000
    assert half(part.comparison, "it", part.told) == pytest.approx(np.mean(scores[1:3]))


@pytest.mark.parametrize(("cells", "panels"), [(1, 2), (3, 6), (4, 4), (5, 6)])
def test_few_cells_have_two_panels_and_more_have_one(tmp_path, cells, panels):
    pair = {"me": {"every": 500}, "it": {"level": 0.1, "every": 500}}
    drawn = figure(read_experiment(write_experiment(tmp_path / "out", {f"c{n}": pair for n in range(cells)}, seeds=4)))
    assert len(drawn.axes) == panels
    texts = [text.get_text() for axes in drawn.axes for text in axes.texts]
    assert all(texts.count(f"C{n}") == 1 for n in range(cells))


@pytest.mark.parametrize(
    "damage",
    [{"cells": [{"name": "../x", "title": "x"}]}, {"cells": 3}, {"question": {}}, {"config": None}, {"experiment": ""}],
)
def test_what_is_not_of_an_experiment(tmp_path, damage):
    out = write_experiment(tmp_path / "out", {"a": None})
    told = json.loads((out / "experiment.json").read_text())
    (out / "experiment.json").write_text(json.dumps(told | damage))
    with pytest.raises(ValueError, match="reproduce again"):
        about(out)
