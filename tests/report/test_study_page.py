"""The page of a study: every number is told, every text escaped, its pictures' lines read back, damage in one line."""

import base64
import json
import re
from shutil import copytree

import numpy as np
import pytest
from made_up_study import figure, line, study, write_study
from test_report_page import Page

from upperhand.cli import main
from upperhand.report.study_figure import caption, draw
from upperhand.report.study_folder import read
from upperhand.report.study_page import lasting, write
from upperhand.report.study_tables import POINTS, cell, points
from upperhand.report.writing import ticked


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished study with its page."""
    return write(write_study(tmp_path_factory.mktemp("study") / "out")).parent


def numbers(told):
    """Every number of a JSON object, but flags."""
    if isinstance(told, dict | list):
        return [one for part in (told.values() if isinstance(told, dict) else told) for one in numbers(part)]
    return [told] if isinstance(told, int | float) and not isinstance(told, bool) else []


def test_every_number_is_on_the_page_and_in_the_markdown(done):
    told, page, markdown = study(), Page(done / "report.html").text, (done / "table.md").read_text()
    found = numbers(told["figures"]) + numbers(told["tables"])
    assert len(found) > 300
    for value in found:
        assert cell(value) in page and cell(value) in markdown
    assert json.loads((done / "table.json").read_text()) == told
    assert "It took 1 minute 23 seconds." in page


def read_back(text):
    """A number as `cell` writes it."""
    text = text.replace(",", "").replace("−", "-")
    power = text.translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789"))
    return float(power.replace(" × 10", "e"))


@pytest.mark.parametrize("value", [0, 0.0, 7, -12345, 0.123456, -2.5e-7, 1.5, 123456.7, 1.23456e9, 9.99951e-4, 1e-3])
def test_a_number_has_four_digits(value):
    told = cell(value)
    assert read_back(told) == pytest.approx(value, rel=0 if isinstance(value, int) else 5.1e-4, abs=0)
    assert len(re.sub(r" ×.*|[^0-9]|^[−0.]*", "", told)) <= max(4, len(str(int(abs(value)))))


def test_what_is_no_number():
    assert [cell(value) for value in (None, True, False, "a|b", float("nan"))] == ["–", "yes", "no", "a|b", "–"]


def test_the_page_tells_all_in_its_order_and_escapes_it(done):
    page, told = Page(done / "report.html"), study()
    assert "alert(1)" in page.text and not {"script", "b", "em", "i", "u", "link"} & {tag for tag, _ in page.tags}
    words = [told["title"], told["question"], told["answer"], told["figures"][0]["title"]]
    words += [told["tables"][0]["title"], told["tables"][0]["note"], told["notes"][1], "[0.1, 0.01]"]
    words += [told["reference"], "numpy", "upperhand reproduce penalty_bias --seeds 10 <b>", "It took"]
    body = page.text[page.text.rindex(told["title"]) :]
    places = [body.index(one) for one in words]
    assert places == sorted(places)
    drawn = {png.stem: png.read_bytes() for png in (done / "figures").iterdir()}
    assert list(map(len, (drawn, page.images()))) == [3, 3] and set(drawn) == {"rate", "bias-per-batch", "many"}
    inlined = [base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) for image in page.images()]
    assert inlined == [drawn[one["name"]] for one in told["figures"]]
    assert "http" not in re.sub(r"data:image/png;base64,[^\"]*", "", page.raw)
    before = page.raw
    assert Page(write(done)).raw == before and not list(done.rglob("*.part"))


def test_columns_of_numbers_are_right_aligned(done):
    tables = study()["tables"]
    head = next(line for line in (done / "table.md").read_text().splitlines() if line.startswith("| method | gap"))
    lines = (done / "table.md").read_text().splitlines()
    assert lines[lines.index(head) + 1] == "| --- | ---: | ---: | ---: |"
    assert lines[lines.index(head) + 4] == "| ¦ | 0 | 7 | 1.5 |"  # a bar would end the cell
    assert '<th scope="col" class="text">method</th><th scope="col">gap</th>' in Page(done / "report.html").raw
    assert all(len(line.split("|")) == 6 for line in lines[lines.index(head) :][: 2 + len(tables[0]["rows"])])


def shown(told):
    """The axes of a figure, and its lines as (x, y)."""
    (axes,) = draw(told).axes
    return axes, [np.array([one.get_xdata(), one.get_ydata()], float) for one in axes.lines]


def test_lines_dots_bands_and_marks_are_in_the_picture():
    for told in study()["figures"]:
        axes, found = shown(told)
        L, M = len(told["lines"]), len(told["marks"])
        assert len(found) == L + M
        for (x, y), wanted in zip(found, told["lines"], strict=False):
            np.testing.assert_array_equal(x, np.array(wanted["x"], float))
            np.testing.assert_array_equal(y, np.array(wanted["y"], float))  # None is NaN: a gap
        for (_, y), mark in zip(found[L:], told["marks"], strict=True):
            assert set(y) == {mark["y"]}
        assert (axes.get_xscale(), axes.get_yscale()) == tuple(
            "log" if told[name] else "linear" for name in ("x_log", "y_log")
        )
        banded = [line for line in told["lines"] if line["low"]]
        assert len(axes.collections) == len(banded)
        for drawn, wanted in zip(axes.collections, banded, strict=True):
            ends = np.concatenate([path.vertices for path in drawn.get_paths()])
            assert (ends[:, 1].min(), ends[:, 1].max()) == (min(wanted["low"]), max(wanted["high"]))
        styles = [(one.get_color(), one.get_linestyle(), one.get_marker()) for one in axes.lines]
        assert len(set(styles)) == len(styles)
        texts = [text.get_text() for text in axes.get_legend().get_texts()]
        assert texts == [one["label"] for one in (*told["lines"], *told["marks"])]
        assert axes.get_xlabel() == told["x_label"] and told["y_label"] in [text.get_text() for text in axes.texts]
        low, high = axes.get_ylim()
        kept = [value for line in told["lines"] for name in ("y", "low", "high") for value in line[name] or ()]
        assert all(low <= value <= high for value in kept if value is not None)


def test_dots_have_no_curve_between_them():
    axes, _ = shown(study()["figures"][1])
    assert axes.lines[0].get_linestyle() == "None" and axes.lines[0].get_marker() == "o"
    assert axes.lines[1].get_linestyle() == "-"


def test_a_log_axis_leaves_out_what_it_cannot_show_and_says_so():
    told = figure("a", [line("a", [0, 1, 10], [1.0, 0.0, 5.0], low=[0.5, 0.0, -1.0], high=[2.0, 1.0, 6.0])])
    assert caption(told) == "What a shows."
    told |= {"x_log": True, "y_log": True}
    assert caption(told) == "What a shows. 2 points at 0 or below are not drawn (log axis)."
    axes, ((x, y),) = shown(told)
    np.testing.assert_array_equal(x, [np.nan, 1, 10])
    np.testing.assert_array_equal(y, [1, np.nan, 5])
    assert axes.get_ylim()[0] > 0 and axes.get_xlim()[1] > 10


@pytest.mark.parametrize("more", [{}, {"x_log": True, "y_log": True}])
@pytest.mark.parametrize("y", [[], [None, None], [0.0, 0.0], [-1.0, -2.0], [3.0, 3.0]])
def test_a_picture_of_nothing_or_of_one_value_is_drawn(y, more):
    _, ((_, found),) = shown(figure("a", [line("", [1.0, 1.0][: len(y)], y)], **more))
    assert len(found) == len(y)


def test_long_lines_are_thinned_in_their_table_only():
    told = figure("a", [line("a", range(1001), range(1001)), line("b", [0], [3.0])])
    first, second = points(told)
    assert len(first.rows) == POINTS and first.rows[0] == ["0", "0"] and first.rows[-1] == ["1,000", "1,000"]
    assert "1,001 points" in first.note and second.rows == [["0", "3"]]
    assert len(shown(told)[1][0][0]) == 1001


def test_ticks():
    values = (0.0, 0.25, -3.0, 1000.0, 12500.0, 1e-5, -2.5e-6, 1e8, 1234567.0)
    assert [ticked(value) for value in values] == [
        "0", "0.25", "−3", "1k", "12.5k", "10⁻⁵", "−2.5×10⁻⁶", "10⁸", "1.23457×10⁶",
    ]  # fmt: skip


def test_times():
    assert [lasting(one) for one in (0, 59.96, 60, 83.4, 3600, 7505)] == [
        "0.0 seconds", "1 minute", "1 minute", "1 minute 23 seconds", "1 hour", "2 hours 5 minutes",
    ]  # fmt: skip


def test_report_draws_it_whatever_its_name_and_python_needs_no_command(tmp_path, done, capsys):
    out = copytree(done, tmp_path / "out", ignore=lambda *_: {"figures", "report.html", "table.json", "table.md"})
    assert main(["report", str(out)]) == 0
    assert (out / "report.html").read_text() == (done / "report.html").read_text()
    (out / "experiment.json").unlink()
    page = Page(write(out))
    assert "no command is known" in page.text and "It took 1 minute" in page.text


def test_a_study_of_words_alone(tmp_path):
    told = study() | {"figures": [], "tables": [], "notes": []}
    page = Page(write(write_study(tmp_path / "out", told)))
    assert told["answer"] in page.text and not page.images() and "How it was measured" not in page.text


LINE = line("a", [1, 2], [1.0, 2.0])
TABLE = {"title": "", "columns": ["a"], "rows": [[1]], "note": ""}
DAMAGE = [
    ("{", "is not JSON"),
    ("[]", "must hold one JSON object"),
    ({"title": " "}, "title must be words, got ' '"),
    ({"answer": 3}, "answer must be words, got 3"),
    ({"notes": "one"}, "notes must be a list of words"),
    ({"seconds": -1}, "seconds must be a number, at least 0"),
    ({"figures": {}}, "figures must be a list of objects"),
    ({"figures": [figure("../a", [])]}, "figures[0].name must be letters, digits and dashes"),
    ({"figures": [figure("a", []), figure("a", [])]}, "figures must be of different names"),
    ({"figures": [figure("a", [], x_log=1)]}, "figures[0].x_log must be true or false"),
    ({"figures": [figure("a", [LINE, LINE | {"y": [1.0]}])]}, "figures[0].lines[1].y must be 2 numbers or null"),
    ({"figures": [figure("a", [LINE | {"y": ["1", 2]}])]}, "figures[0].lines[0].y must be 2 numbers or null"),
    ({"figures": [figure("a", [LINE | {"low": [1.0, 2.0]}])]}, "figures[0].lines[0].high must be 2 numbers or null"),
    ({"figures": [figure("a", [], marks=[{"label": "", "y": None}])]}, "figures[0].marks[0].y must be a number"),
    ({"tables": [TABLE | {"columns": []}]}, "tables[0].columns must be a list of words, one at least"),
    ({"tables": [TABLE | {"rows": [[1], [1, 2]]}]}, "tables[0].rows[1] must be 1 words, numbers or null"),
    ({"tables": [TABLE | {"rows": [[[1]]]}]}, "tables[0].rows[0] must be 1 words, numbers or null"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "wanted"), DAMAGE)
def test_damage_is_one_line_and_writes_nothing(tmp_path, damage, wanted):
    out = write_study(tmp_path / "out")
    path = out / "parts" / "study.json"
    path.write_text(damage if isinstance(damage, str) else json.dumps(study() | damage))
    with pytest.raises(ValueError, match=re.escape(wanted)) as caught:
        write(out)
    said = str(caught.value)
    assert "\n" not in said and str(path) in said and f"`upperhand resume {out}`" in said
    assert not (out / "figures").exists() and not (out / "report.html").exists()


def test_a_missing_field_or_file_is_one_line(tmp_path):
    out = write_study(tmp_path / "out", {name: part for name, part in study().items() if name != "tables"})
    with pytest.raises(ValueError, match="tables must be a list of objects, got None"):
        read(out)
    (out / "parts" / "study.json").unlink()
    with pytest.raises(ValueError, match="is missing: finish the study with `upperhand resume"):
        read(out)
