"""Pages of general problems: no agent where there is none, examples instead of transitions, ties of rounding."""

import json

import numpy as np
import pytest
from made_up_comparison import write_comparison
from made_up_run import write_run
from test_report_page import Page

from upperhand.report import curves, functions
from upperhand.report.comparison import final, summary
from upperhand.report.comparison_folder import read as read_comparison
from upperhand.report.folder import read
from upperhand.report.page import write

AGENT = ("agent", "policy", "π*", "temperature τ", "transitions", "kernel")
SAYS = {"problem": "Two <b>hills</b>.", "formulas": ["lower = ½ (y − x)²", "y*(x) = x"], "solver": "SLIDE: it slides."}


def general_run(out, form="Bilevel", says=SAYS, *, exact=True):
    """A run of a general problem, whose rows have no temperature, and an accuracy."""
    config = {"problem": "hills", "solver": "slide", "form": form} | ({"says": says} if says else {})
    write_run(out, seeds=3, steps=400, every=100, maps=False, config=config, exact=exact)
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row.pop("temperature")
        row["accuracy"] = 0.5 + row["step"] / 1000 + 0.01 * row["seed"]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out


@pytest.mark.parametrize("form", ["Bilevel", "Conditional", "Equations"])
def test_a_general_run_has_no_agent_on_its_page(tmp_path, form):
    page = Page(write(general_run(tmp_path / "run", form)))
    assert not [word for word in AGENT if word in page.text.split("Repeat it")[0]]
    assert "Two <b>hills</b>." in page.text and "Method: SLIDE: it slides." in page.text
    assert page.text.index("y*") < page.text.index("lower = ½ (y − x)²") < page.text.index("How the run went")
    assert "penalty 1/w grows stricter" in page.text and "exact ∇Φ, and" in page.text
    assert "<td>0.91</td>" in page.raw  # the accuracy of seed 1, in the table of the seeds


def test_a_single_level_run_has_neither_an_agent_nor_an_answer(tmp_path):
    page = Page(write(general_run(tmp_path / "run", "Minimise", {"problem": "One hill.", "formulas": ["loss = x²"]})))
    told = page.text.split("Repeat it")[0]
    assert not [word for word in (*AGENT, "y*", "lower") if word in told] and "One hill." in told
    assert told.index("Φ(x) = E loss(x, batch)") < told.index("loss = x²") < told.index("How the run went")


def test_without_documentation_its_form_is_told(tmp_path):
    page = Page(write(general_run(tmp_path / "run", says=None)))
    assert "y*(x) minimises lower(x, y) over y" in page.text and "Method: slide." in page.text


def test_a_world_keeps_its_words(tmp_path):
    page = Page(write(write_run(tmp_path / "run", seeds=2, steps=200, every=100, config={"form": "BilevelRL"})))
    assert "agent" in page.text and "policy sharpens" in page.text and "same temperature" in page.text


def test_what_a_problem_measures_is_drawn(tmp_path):
    folder = read(general_run(tmp_path / "run", exact=False))
    (axes,) = curves.measured(folder).axes
    assert "measured.png" in {png.name for png in (write(folder.path).parent / "figures").iterdir()}
    seeds = np.array([line.get_ydata() for line in axes.lines[:3]])
    np.testing.assert_allclose(seeds, folder.rows["accuracy"])
    assert axes.get_xlabel() == "samples (examples)" and axes.texts[0].get_text() == "accuracy"
    assert curves.measured(read(write_run(tmp_path / "world", seeds=2, steps=200, every=100))) is None


def test_a_function_that_was_found_is_drawn_on_the_truth(tmp_path):
    """One line a seed over the dashed truth; maps of other shapes, or of a world, draw none."""
    place = general_run(tmp_path / "run")
    places = np.linspace(-3, 3, 7)
    found = np.stack([np.sin(places) + seed for seed in range(3)])
    maps = {"places": places, "truth": np.sin(places), "found": found}
    np.savez(place / "maps.npz", **maps)
    (axes,) = functions.function(read(place)).axes
    dashed, *lines = axes.lines
    np.testing.assert_array_equal([line.get_ydata() for line in lines], found)
    np.testing.assert_array_equal(dashed.get_ydata(), np.sin(places))
    page = Page(write(place))
    assert (place / "figures" / "function.png").exists()
    assert page.text.index("What was found, against the truth") < page.text.index("How the run went")
    np.savez(place / "maps.npz", **maps | {"found": found[:2]})
    assert functions.function(read(place)) is None
    assert functions.function(read(write_run(tmp_path / "world", seeds=2, steps=200, every=100))) is None


def test_a_gap_may_fall_to_the_last_digit(tmp_path):
    out = general_run(tmp_path / "run")
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row["gap"] = 10.0 ** (-row["step"] / 30)
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (axes,) = curves.gap(read(out)).axes
    assert axes.get_ylim()[0] < 1e-13 and min(axes.lines[0].get_ydata()) == pytest.approx(10 ** (-400 / 30))


def test_rounding_is_no_arms_merit(tmp_path):
    """Two arms that end 1e-13 apart are level in a comparison of a general problem."""
    out = write_comparison(tmp_path / "out", {"one": {}, "two": {"level": 0.1}}, tuned=False)
    config = json.loads((out / "compare.json").read_text())
    labels = [arm["label"] for arm in config["arms"]]
    for place, label in enumerate(labels):
        path = out / "arms" / label / "rows.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        last = max(row["step"] for row in rows)
        for row in rows:
            if row["step"] == last:
                row["value"] = 0.25 + 1e-13 * place
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (out / "arms" / label / "summary.json").unlink(missing_ok=True)
    for form, probability in (("BilevelRL", 1.0), ("Bilevel", 0.5)):
        (out / "compare.json").write_text(json.dumps(config | {"form": form}))
        found = summary(read_comparison(out))
        assert found["improvement"][labels[0]][labels[1]]["probability"] == probability
    comparison = read_comparison(out)
    assert final(comparison, comparison.arms[0], "value") == pytest.approx(0.25, abs=1e-8)
