"""The page of a run that wrote texts: beside what every run has, the score against KL, samples, judges and lexicon."""

import json
import re

import numpy as np
import pytest
from made_up_tweets import BASE, LINES, entry, evaluation, write_texts_run
from test_report_page import Page

from upperhand.report import texts_run
from upperhand.report.folder import read
from upperhand.report.page import write
from upperhand.report.texts_folder import read as read_texts

OURS = {"score_over_kl", "over_updates", "lexicon"}


def test_the_page_shows_the_texts_and_their_judges(tmp_path):
    out = write_texts_run(tmp_path / "run", seeds=8)
    page, finals = Page(write(out)), entry("joint", 8)["final"]
    assert {png.stem for png in (out / "figures").iterdir()} == OURS | {"value", "schedules"}
    assert len(page.images()) == 5
    middle = np.sort([final["vader"] for final in finals])[2:6].mean()
    assert f"<h1>The score rises from 0.13 to {middle:.2f} at KL 3.0, interquartile mean of 8 seeds</h1>" in page.raw
    table = texts_run.judged(read(out), read_texts(read(out)))
    told = dict(zip(table.columns[1:], (cell.text for cell in table.rows[1][1]), strict=True))
    assert told["VADER"] == f"{middle:.3f}" and table.rows[0][1][0].text == "0.130"
    afinn = np.sort([final["afinn"] for final in finals])[2:6].mean()
    assert told["AFINN"] == f"{afinn:.2f}" and told["AFINN"] in page.text
    assert "AFINN, TextBlob and the learned judge, which it never saw, rise too." in page.text
    assert "Before: the language model itself" in page.text and "After: joint" in page.text
    for text in filter(None, LINES):
        assert text in page.text
    assert not {"script", "url", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.raw)
    last = [run[-1] for run in entry("joint", 8)["rows"]]
    for row in last:
        assert f"{row['score']:.3f}" in page.text and f"{row['kl']:.3f}" in page.text


def test_prompts_stand_above_their_answers_and_the_person_has_its_name(tmp_path):
    out = write_texts_run(tmp_path / "run", seeds=2)
    for file, change in (
        ("texts.json", lambda told: told["after"][0].update(prompt="why <b>so</b>?")),
        ("config.json", lambda told: told["problem_settings"].update(person="judge.py:score")),
    ):
        told = json.loads((out / file).read_text())
        change(told)
        (out / file).write_text(json.dumps(told))
    raw = write(out).read_text()
    assert raw.count("<small>why &lt;b&gt;so&lt;/b&gt;?</small><q>") == 1
    assert "the person" in texts_run.judged(read(out), read_texts(read(out))).columns


def test_the_page_says_what_texts_are_judged_by(tmp_path):
    out, said = write_texts_run(tmp_path / "run", seeds=2), {}
    for name, more in {
        "score": {},
        "preference": {"labels": "there"},
        "population": {"objective": "population"},
    }.items():
        told = json.loads((out / "config.json").read_text())
        (out / "config.json").write_text(json.dumps(told | {"problem": "checkpoint", "problem_settings": more}))
        said[name] = Page(write(out)).text
    assert [name for name in said if "−E U(y)" in said[name]] == ["score"]
    assert [name for name in said if "Rₓ(worse) − Rₓ(better)" in said[name]] == ["preference"]
    assert [name for name in said if "loss( E φ(y) )" in said[name]] == ["population"]


def test_without_texts_the_page_is_that_of_any_run(tmp_path):
    out = write_texts_run(tmp_path / "run", seeds=2)
    write(out)
    (out / "texts.json").unlink()
    page = Page(write(out))
    assert {png.stem for png in (out / "figures").iterdir()} == {"value", "schedules"}  # no figure of ours stays
    assert "What it wrote" not in page.text and "ol.texts" not in page.raw and "judge" not in page.text
    assert "The method’s own estimate of the upper loss" in page.text


def test_one_seed_and_few_things_make_a_page(tmp_path):
    out = write_texts_run(tmp_path / "run", seeds=1, judges={}, lexicon=[], before=[])
    page = Page(write(out))
    assert "Before" not in page.text and "After: joint" in page.text
    assert {png.stem for png in (out / "figures").iterdir()} == (OURS - {"lexicon"}) | {"value", "schedules"}
    assert "The method’s own estimate" in page.text and "What every judge says" not in page.text


@pytest.mark.parametrize(
    ("end", "learned", "said"),
    [
        (0.05, None, ("The score falls from 0.13 to 0.05", "AFINN and TextBlob do not rise")),
        (0.5, -0.9, ("The score rises from 0.13 to 0.50", "AFINN and TextBlob rise, the learned judge does not rise")),
    ],
)
def test_a_loss_is_told_as_it_is(tmp_path, end, learned, said):
    final = evaluation(end, 3.0, 0.0) | {"learned": learned}
    page = Page(write(write_texts_run(tmp_path / "run", seeds=1, judges={"base": BASE, "seeds": [final]})))
    assert all(text in page.text for text in said)


DAMAGE = [
    ("{", "is not JSON"),
    ("[]", "must hold one JSON object"),
    ({"before": "none"}, "before must be a list of"),
    ({"after": [{"text": "a", "score": "high"}]}, "after must be a list of"),
    ({"lexicon": [{"x": 1.0}]}, "lexicon must be a list of"),
    ({"judges": {"base": BASE, "seeds": [BASE]}}, 'judges must be "base", and "seeds" with 3 evaluations'),
    ({"judges": {"base": {"vader": "high"}}}, 'judges must be "base", and "seeds" with 3 evaluations'),
    ({"judges": [1]}, 'judges must be "base", and "seeds" with 3 evaluations'),
]


@pytest.mark.parametrize(("damage", "wanted"), DAMAGE)
def test_damaged_texts_are_one_line_and_write_nothing(tmp_path, damage, wanted):
    out = write_texts_run(tmp_path / "run", **(damage if isinstance(damage, dict) else {}))
    if isinstance(damage, str):
        (out / "texts.json").write_text(damage)
    with pytest.raises(ValueError, match=re.escape(wanted)) as caught:
        write(out)
    line = str(caught.value)
    assert "\n" not in line and str(out / "texts.json") in line and line.endswith("the page then leaves the texts out.")
    assert not (out / "figures").exists() and not (out / "report.html").exists()
    (out / "texts.json").unlink()
    write(out)


def test_a_run_that_was_stopped_says_so(tmp_path):
    out = write_texts_run(tmp_path / "run", seeds=1)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | {"steps": 400}))
    page = Page(write(out))
    assert "After 120 of 400 updates, the score rises from 0.13" in page.text and "not finished" in page.text
