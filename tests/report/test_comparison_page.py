"""The page of a comparison: whole, honest, nothing of the folder taken for HTML or mathematics."""

import base64
import json
import re

import pytest
from made_up_comparison import TWELVE, write_comparison
from test_report_page import Page

from upperhand.report.comparison import read, summary
from upperhand.report.comparison_page import write

ALL = {"value_samples", "value_gradients", "value_seconds", "gap", "finals", "improvement", "tuning"}
PAIR = {"a": {}, "b": {"level": 0.2}}


def drawn(out):
    return {png.stem for png in (out / "figures").iterdir()}


def test_twelve_arms_make_a_whole_page(tmp_path):
    out = write_comparison(tmp_path / "c", TWELVE, seeds=4)
    path = write(out)
    page = Page(path)
    assert path == out / "report.html" and drawn(out) == ALL
    inlined = [base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) for image in page.images()]
    assert sorted(inlined) == sorted(png.read_bytes() for png in (out / "figures").iterdir())
    assert all(png[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(png[16:20]) == 1000 for png in inlined)
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    written = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.raw)
    assert "url(" not in written and "@import" not in written and "http" not in written
    assert "12 arms · 4 seeds · budget 128k samples a start" in page.text
    assert "Seeds that stopped being finite count with their last finite x: 1 of 4 of partial_sgd." in page.text
    assert page.text.count("mid-run") == 1 and all(label in page.text for label in TWELVE)
    assert json.loads((out / "summary.json").read_text()) == summary(read(out))
    assert json.loads((out / "compare.json").read_text())["command"] in page.text


def test_the_same_folder_gives_the_same_page_and_old_figures_go(tmp_path):
    out = write_comparison(tmp_path / "c", PAIR, seeds=4)
    first = write(out).read_bytes()
    assert write(out).read_bytes() == first and not list(tmp_path.rglob("*.part"))
    (out / "figures" / "mine.png").write_bytes(b"kept")
    for tuning in (out / "tuning").iterdir():
        tuning.unlink()
    page = Page(write(out))
    assert drawn(out) == ALL - {"tuning"} | {"mine"} and "How each arm was tuned" not in page.text


def test_labels_and_settings_are_text(tmp_path):
    hostile = {
        "<s>struck": {},
        "<img src=x onerror=alert(1)>": {"settings": {"<u>s</u>": "<iframe></iframe>"}, "solver": "<em>solver</em>"},
        "$x_{1$": {"level": 0.1},
        "$x^2$ & {{ 7 * 7 }}": {"level": 0.2},
    }
    config = {"command": "<script>alert(2)</script>", "problem": "<i>p</i>", "versions": {"<h6>": "{% raw %}"}}
    out = write_comparison(tmp_path / "<c>&", hostile, seeds=4, config=config)
    page = Page(write(out))
    assert not {"s", "u", "iframe", "em", "script", "i", "h6", "c"} & {tag for tag, _ in page.tags}
    assert all(image.startswith("data:image/png;base64,") for image in page.images())
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)
    for text in (*hostile, "<u>s</u>", "<iframe></iframe>", "<em>solver</em>", *config.values()):
        assert not isinstance(text, str) or text in page.text


def test_an_unfinished_comparison_shows_what_there_is(tmp_path):
    arms = {"a": {}, "b": {"level": 0.3}, "cut": {"stop": 400}, "gone": {}}
    out = write_comparison(tmp_path / "c", arms, missing=("gone",))
    page = Page(write(out))
    assert "not finished (without a record: gone; stopped: cut at update 400 of 1,000)" in page.text
    assert f"upperhand resume {out}" in page.text and "Only finished arms are ranked" in page.text
    assert "the interval separates the two" in page.text and "no record yet" in page.text
    assert drawn(out) == ALL


@pytest.mark.parametrize(
    ("arms", "missing", "said", "figures"),
    [
        (PAIR, ("a", "b"), "No arm has finished yet", {"tuning"}),
        (PAIR, ("b",), "Only a has finished so far", ALL - {"improvement"}),
        ({"a": {"stop": 100}, "b": {"stop": 200}}, (), "No arm has finished yet", ALL - {"improvement"}),
        ({"a": {"stop": 0}, "b": {}}, ("b",), "No arm has finished yet", {"finals", "tuning"}),
    ],
)
def test_the_fewest_arms_still_make_a_page(tmp_path, arms, missing, said, figures):
    out = write_comparison(tmp_path / "c", arms, missing=missing, seeds=4)
    page = Page(write(out))
    assert said in page.text and drawn(out) == figures and len(page.images()) == len(figures)


def test_without_an_oracle_nothing_is_said_of_a_best_known_value(tmp_path):
    kind = {"exact": False}
    out = write_comparison(tmp_path / "c", {"a": kind, "b": kind | {"level": 0.4}}, seeds=6, tuned=False)
    page = Page(write(out))
    assert "There is no oracle" in page.text and "best known" not in page.text and "Φ(x) of" not in page.text
    assert drawn(out) == ALL - {"gap", "tuning"}
    assert "near" not in [text.strip() for text in re.findall(r"<th[^>]*>([^<]*)</th>", page.raw)]


def test_without_a_best_known_value_there_is_no_gap(tmp_path):
    out = write_comparison(tmp_path / "c", {"a": {"gap": False}, "b": {"gap": False, "level": 0.2}}, seeds=4)
    page = Page(write(out))
    assert drawn(out) == ALL - {"gap"} and "best known" not in page.text


def test_one_seed_claims_nothing(tmp_path):
    out = write_comparison(tmp_path / "c", PAIR, seeds=1, tuned=False)
    page = Page(write(out))
    assert "cannot be told apart from the best" in page.text and "fewer than four seeds" in page.text


@pytest.mark.parametrize("currency", ["samples", "gradients", "seconds"])
def test_the_budget_is_told_in_its_currency(tmp_path, currency):
    config = {"currency": currency, "budget": 3000}
    page = Page(write(write_comparison(tmp_path / "c", PAIR, seeds=4, tuned=False, config=config)))
    unit = {"samples": "samples a start", "gradients": "oracle calls a start", "seconds": "seconds"}[currency]
    assert f"budget 3k {unit}" in page.text
    captions = [attrs["alt"] for tag, attrs in page.tags if tag == "img"]
    first = next(caption for caption in captions if caption.startswith("The interquartile mean"))
    assert {"samples": "transitions", "gradients": "oracle calls", "seconds": "seconds"}[currency] in first
