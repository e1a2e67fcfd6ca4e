"""The GridWorld comparison, small: what the table tells is what the folders hold, and nothing is run twice."""

import json
import re
from itertools import product

import numpy as np
import pytest

from upperhand.cli import main
from upperhand.experiments import gridworld
from upperhand.settings import builder, settings

WORDS = ["reproduce", "gridworld", "--seeds", "2", "--samples", "5120", "--trials", "2", "--tuning-seeds", "1"]
WORDS += ["--widths", "4", "--mazes", "open", "--size", "4", "--out"]
CELL = "open-width-4"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two seeds of two arms in a small world."""
    out = tmp_path_factory.mktemp("small") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gridworld, "ARMS", gridworld.ARMS[:2])
        patch.setattr("upperhand.report.comparison_page.figures", lambda *told: {})  # those of a cell are slow
        assert main([*WORDS, str(out)]) == 0
    return out


def last_rows(out, label):
    rows = [json.loads(line) for line in (out / "cells" / CELL / "arms" / label / "rows.jsonl").open()]
    return [[row for row in rows if row["seed"] == seed] for seed in (0, 1)]


@pytest.mark.long
def test_the_table_tells_what_the_folders_hold(done):
    table = json.loads((done / "table.json").read_text())
    assert (table["experiment"], table["method"], table["rival"]) == ("gridworld", "actor_critic", "fixed")
    (cell,) = table["cells"].values()
    assert list(table["cells"]) == [CELL] and cell["finished"] and cell["verdict"] == "open"  # two seeds tell nothing
    seeds = {label: last_rows(done, label) for label in ("actor_critic", "fixed")}
    ends = {label: [rows[-1]["value"] for rows in of_seed] for label, of_seed in seeds.items()}
    assert {arm["label"] for arm in cell["arms"]} == set(ends)
    for arm in cell["arms"]:
        rows = seeds[arm["label"]]
        assert arm["iqm"] == pytest.approx(np.mean(ends[arm["label"]]), rel=1e-12)  # of two seeds none is cut
        assert arm["samples"] == 5120 and {one[-1]["samples"] for one in rows} == {5120}
        assert arm["near"] == sum(one[-1]["gap"] <= 0.02 for one in rows) and arm["failures"] == 0
        half = [[row["value"] for row in one if row["samples"] <= 2560][-1] for one in rows]
        assert arm["half"] == pytest.approx(np.mean(half), rel=1e-12)
        tuned = json.loads((done / "cells" / CELL / "tuning" / f"{arm['label']}.json").read_text())
        assert arm["factors"] == tuned["scales"][tuned["chosen"]] and len(tuned["scales"]) == 2
        pairs = list(product(ends["actor_critic"], ends[arm["label"]]))
        by_hand = np.mean([(a < b) + (a == b) / 2 for a, b in pairs])
        if arm["label"] == "actor_critic":
            assert arm["better"] is None
        else:
            assert arm["better"] == {"probability": pytest.approx(by_hand), "low": 0, "high": 1}
    assert cell["best"] == pytest.approx(seeds["fixed"][0][-1]["value"] - seeds["fixed"][0][-1]["gap"], rel=1e-6)
    fixed = json.loads((done / "cells" / CELL / "arms" / "fixed" / "config.json").read_text())["solver_settings"]
    assert np.ndim(fixed["temperature"]) == 0 and np.shape(fixed["penalty"]) == (2,)


def test_figure_page_and_markdown_are_there(done):
    assert (done / "figure.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    page = (done / "report.html").read_text()
    assert (
        "<h1>Attenuation cannot be told apart from the best tuned fixed temperature in open grid, width 4</h1>" in page
    )
    assert f'href="cells/{CELL}/report.html"' in page and (done / "cells" / CELL / "report.html").is_file()
    assert "upperhand reproduce gridworld --seeds 2" in page
    table = json.loads((done / "table.json").read_text())["cells"][CELL]["arms"]
    markdown = (done / "table.md").read_text()
    for arm in table:
        row = next(line for line in markdown.splitlines() if line.startswith(f"| `{arm['label']}` |"))
        told = row.split("|")[2].strip().replace("−", "-")
        assert len(told) >= 6 and float(told) == pytest.approx(arm["iqm"], abs=0.51 * 10.0 ** -len(told.split(".")[1]))


def test_the_same_command_goes_on_and_runs_nothing_again(done, capsys, monkeypatch):
    kept = {path: path.stat().st_mtime_ns for path in (done / "cells").rglob("*") if path.is_file()}
    page, numbers = (done / "report.html").read_bytes(), (done / "table.json").read_bytes()
    monkeypatch.setattr("upperhand.cli.reproducing.settled", lambda *rest: pytest.fail("it was settled again"))
    for words in ([*WORDS, str(done)], ["resume", str(done)], ["report", str(done)]):
        assert main(words) == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert (done / "report.html").read_bytes() == page and (done / "table.json").read_bytes() == numbers
    assert "step" not in capsys.readouterr().out
    other = [word if word != "2" else "3" for word in WORDS]
    assert main([*other, str(done)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and "another config" in complaint


def test_the_arms_of_the_paper_at_the_budget_of_the_folder():
    cells = gridworld.build(gridworld.Config())
    assert len(cells) == 8
    for cell in cells.values():
        assert (cell.samples, cell.seeds, cell.trials, cell.tuning_seeds) == (204_800, 20, 8, 4)
        labels = [re.match(r"\w+", arm).group() for arm in cell.arms]
        assert labels == ["actor_critic", "fixed", "partial_sgd", "nested_loop", "finite_difference"]
        assert set(cell.settings) <= set(settings(builder("problem", cell.problem)))
    assert {(cell.settings["maze"], cell.settings["width"]) for cell in cells.values()} == set(
        product(("open", "rooms", "spiral", "comb"), (4.0, 1.5))
    )
