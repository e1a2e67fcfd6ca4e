"""The page of the experiment with happy tweets: its numbers against independent ones, honest words, damaged folders."""

import base64
import json
import re
from shutil import copytree

import numpy as np
import pytest
from made_up_tweets import BASE, LINES, evaluation, write_tweets
from test_report_page import Page

from upperhand.report import lexicon
from upperhand.report.texts_curves import across, over_kl, running
from upperhand.report.tweets import course, table
from upperhand.report.tweets_folder import read
from upperhand.report.tweets_page import write
from upperhand.report.tweets_words import headline, lede, notices

FIGURES = {"score_over_kl", "score_at_end", "over_updates", "lexicon", "learning"}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished experiment of three seeds with its page."""
    return write(write_tweets(tmp_path_factory.mktemp("tweets") / "out")).parent


def part(out, name):
    return json.loads((out / "parts" / f"{name}.json").read_text())


def put(out, name, told):
    (out / "parts" / f"{name}.json").write_text(told if isinstance(told, str) else json.dumps(told))


def ended(out, ends, kl=3.0):
    """Every seed of each arm ends at these scores and at one KL."""
    for name, scores in ends.items():
        told = part(out, name)
        told["final"] = [score if score is None else evaluation(score, kl, 0.0) for score in scores]
        put(out, name, told)
    return table(read(out))


def test_the_numbers_are_those_of_the_parts(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "direct", "frozen"), seeds=8)
    told = table(read(out))
    ends = {}
    for arm in told["arms"]:
        one = part(out, arm["label"])
        ends[arm["label"]] = np.array([final["vader"] for final in one["final"]])
        for name in BASE.keys() - {"texts"}:
            column = np.sort([final[name] for final in one["final"]])
            found = arm["final"][name]
            assert found["iqm"] == pytest.approx(column[2:6].mean(), abs=1e-12) and found["seeds"] == 8
            assert column[0] <= found["low"] <= found["iqm"] <= found["high"] <= column[-1]
        assert arm["labels"] == 32 * 120 and arm["failed"] == 0 and arm["seeds"] == 8
        assert arm["tokens_per_second"] == one["tokens_per_second"]
    assert [arm["within"] for arm in told["arms"]] == [True, False, True]  # in the order of the page: frozen is at KL 9
    assert told["best"] == "direct" and told["budget"] == 3.0 and told["base"]["vader"] == 0.13
    by_name = {arm["label"]: arm for arm in told["arms"]}
    for rival in ("joint", "frozen"):
        more = (ends["direct"][:, None] > ends[rival]).mean()
        assert by_name[rival]["behind_best"]["probability"] == pytest.approx(more)
    assert by_name["frozen"]["behind_own"]["probability"] == pytest.approx(
        (ends["joint"][:, None] > ends["frozen"]).mean()
    )
    assert by_name["direct"]["behind_best"] is None and by_name["joint"]["behind_own"] is None
    assert told["tied"] == []  # eight seeds that do not overlap are told apart
    assert "direct raises the score the most, from 0.13 to 0.62 at KL 3.0; the seeds tell it from" in headline(told)


def test_the_page_shows_everything(done):
    page, folder = Page(done / "report.html"), done / "figures"
    drawn = {png.stem: png.read_bytes() for png in folder.iterdir()}
    assert set(drawn) == FIGURES
    inlined = [base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) for image in page.images()]
    assert sorted(inlined) == sorted(drawn.values()) and all(png[:8] == b"\x89PNG\r\n\x1a\n" for png in inlined)
    assert (
        "<h1>direct raises the score the most, from 0.13 to 0.62 at KL 2.9; no other arm can be told apart" in page.raw
    )
    assert "Above the budget of 3: frozen ends at KL 9.0" in page.text and "3 seeds an arm are too few" in page.text
    assert "AFINN, TextBlob and the learned judge, which no arm saw, rise too in each" in page.text
    assert "reward hacking" in page.text and "not finished" not in page.text
    assert page.text.count("After: ") == 7 and "After: joint" in page.text and "3,840" in page.text
    assert {"vader", "kl"} <= set(json.loads((done / "table.json").read_text())["arms"][0]["final"])
    assert not list(done.rglob("*.part"))


def test_nothing_of_the_folder_is_html(done):
    page = Page(done / "report.html")
    assert not {"script", "b>", "link", "iframe", "url"} & {tag for tag, _ in page.tags}
    for text in (*filter(None, LINES), "<3", "f***", "upperhand reproduce tweets <b>"):
        assert text in page.text
    assert page.text.count("no words") == 8  # the empty text, before and after each arm
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.raw)
    before = page.raw
    assert Page(write(done)).raw == before


def test_markdown_and_page_tell_the_same_figures(done):
    told, lines = json.loads((done / "table.json").read_text()), (done / "table.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith("| joint_tilt |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    (arm,) = (arm for arm in told["arms"] if arm["label"] == "joint_tilt")
    found = arm["final"]["vader"]
    assert cells[1] == f"{found['iqm']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
    assert lines[4].split("|")[2].strip() == "0.130" and lines[4].startswith("| π_ref itself |")


MOST = "direct raises the score the most, from 0.13 to {} at KL 3.0; {}"


@pytest.mark.parametrize(
    ("ends", "wanted"),
    [
        (
            {"joint": [0.5, 0.52, 0.51], "direct": [0.6, 0.61, 0.62]},
            MOST.format("0.61", "no other arm can be told apart from it"),
        ),
        ({"joint": [0.5] * 5, "direct": [0.6] * 5}, MOST.format("0.60", "the seeds tell it from every other arm")),
        ({"joint": [0.5] * 5, "direct": [0.6] * 4 + [None]}, "joint raises the score from 0.13 to 0.50 at KL 3.0"),
        (
            {"joint": [0.1] * 5, "direct": [0.12] * 5},
            "Happy tweets: no arm within the budget raises the score above 0.13",
        ),
    ],
)
def test_the_headline_is_told_as_it_came_out(tmp_path, ends, wanted):
    out = write_tweets(tmp_path / "out", tuple(ends), seeds=len(ends["joint"]))
    for name, scores in ends.items():
        told = part(out, name)
        put(out, name, told | {"failed": [score is None for score in scores]})
    assert headline(ended(out, ends)) == wanted


def test_of_three_arms_the_tied_one_is_named(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "frozen", "direct"), seeds=5)
    told = ended(
        out, {"joint": [0.5, 0.6, 0.7, 0.8, 0.9], "frozen": [0.1] * 5, "direct": [0.55, 0.65, 0.75, 0.85, 0.95]}
    )
    assert told["tied"] == ["joint"]
    assert headline(told).endswith("; joint cannot be told apart from it")


def test_an_arm_above_the_budget_is_not_ranked(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "direct"), seeds=3)
    told = ended(out, {"direct": [0.9] * 3}, kl=3.21)
    assert told["best"] == "joint" and headline(told).startswith("joint raises the score from 0.13")
    assert any("direct ends at KL 3.2" in text for text in notices(read(out), told))
    told = ended(out, {"direct": [0.9] * 3}, kl=2.3)
    assert told["best"] == "direct"
    assert any("Far below the budget of 3: direct ends at KL 2.3." in text for text in notices(read(out), told))
    told = ended(out, {"direct": [0.9] * 3, "joint": [0.5] * 3}, kl=4.0)
    assert told["best"] is None and headline(told) == "Happy tweets: no arm holds the KL budget of 3 in every seed"
    about = json.loads((out / "experiment.json").read_text())
    del about["config"]["budget"]
    (out / "experiment.json").write_text(json.dumps(about))
    assert table(read(out))["best"] == "direct"


def test_a_failed_seed_is_told_and_its_figures_left_out(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "two_stream"), seeds=3)
    told = part(out, "two_stream")
    told["failed"], told["final"][1] = [False, True, False], None
    told["rows"][1] = [row | {"score": None, "kl": None} for row in told["rows"][1][:5]]
    put(out, "two_stream", told)
    page = Page(write(out))
    assert "Seeds that failed: 1 of 3 of two_stream" in page.text and "a seed failed" in page.text
    (arm,) = (arm for arm in json.loads((out / "table.json").read_text())["arms"] if arm["label"] == "two_stream")
    kept = [told["final"][seed]["vader"] for seed in (0, 2)]
    assert arm["score"]["iqm"] == pytest.approx(np.mean(kept)) and arm["score"]["seeds"] == 2 and not arm["within"]


def test_judges_that_are_not_there_are_left_out(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "frozen"), seeds=2)
    for name in ("base", "joint", "frozen"):
        told = part(out, name)
        for final in [told] if name == "base" else told["final"]:
            final |= {"afinn": None, "learned": None, "vader": None}
            del final["textblob"]
        put(out, name, told)
    page = Page(write(out))
    assert "score of the last records" in page.text and "VADER" not in (out / "table.md").read_text()
    tail = [[row["score"] for row in run[-6:]] for run in part(out, "joint")["rows"]]  # a tenth of 61 records
    assert json.loads((out / "table.json").read_text())["arms"][0]["score"]["iqm"] == pytest.approx(np.mean(tail))
    assert "which no arm saw" not in page.text


def test_the_judges_are_counted(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint", "buffered"), seeds=2)
    told = part(out, "buffered")
    for final in told["final"]:
        final |= {"learned": -0.5, "distinct_2": 0.7, "repetition": 0.0}
    put(out, "buffered", told)
    said = lede(table(read(out)))
    assert "these rise over π_ref: AFINN in 2 of 2, TextBlob in 2 of 2 and the learned judge in 1 of 2 arms" in said
    assert "Distinct-2 falls from 0.860 to 0.700 at the least (buffered)" in said
    assert "repetition rises from 0.010 to 0.02" in said


@pytest.mark.parametrize("gone", [("joint",), ("base", "language"), ("joint", "direct")])
def test_an_unfinished_experiment_says_what_is_missing(tmp_path, gone):
    out = write_tweets(tmp_path / "out", ("joint", "direct"), seeds=2)
    for name in gone:
        (out / "parts" / f"{name}.json").unlink()
    page = Page(write(out))
    assert "not finished" in page.text and f"upperhand resume {out}" in page.text
    assert all(f"parts/{name}.json" in page.text for name in gone)
    if gone == ("joint", "direct"):
        assert "<h1>Happy tweets: no arm has finished yet</h1>" in page.raw
        assert {png.stem for png in (out / "figures").iterdir()} == {"learning"}
    else:
        assert "<h1>So far, direct raises" in page.raw


DAMAGE = [
    ("joint", "{", "is not JSON"),
    ("joint", "[]", "must hold one JSON object"),
    ("joint", {"seeds": [0, 0, 1]}, "seeds must be a list of different whole numbers"),
    ("joint", {"rows": [[{"step": 0}]]}, "rows must be 3 lists of records"),
    ("joint", {"rows": [[{"step": 0, "kl": "much"}]] * 3}, "rows must be 3 lists of records"),
    ("joint", {"rows": [[], [], []]}, "rows must be 3 lists of records"),
    ("joint", {"final": [{"vader": True}] * 3}, "final must be 3 evaluations"),
    ("joint", {"final": []}, "final must be 3 evaluations"),
    ("joint", {"failed": [0, 0, 0]}, "failed must be 3 of true or false"),
    ("joint", {"lexicon": [{"token": "a"}]}, "lexicon must be a list of"),
    ("joint", {"samples": [{"text": 1, "score": 0}]}, "samples must be a list of"),
    ("joint", {"seconds": -1}, "seconds must be a number"),
    ("joint", {"tokens_per_second": "fast"}, "tokens_per_second must be a number or null"),
    ("base", {"kl": "none"}, "evaluation must be figures by name"),
    ("base", {"samples": "none"}, "samples must be a list of"),
    ("language", {"vocabulary": 0}, "vocabulary must be a whole number above 0"),
    ("language", {"curve": [{"step": None}]}, "curve must be a list of"),
]


@pytest.mark.parametrize(("name", "damage", "wanted"), DAMAGE)
def test_a_damaged_part_is_one_line_and_writes_nothing(tmp_path, done, name, damage, wanted):
    out = copytree(done, tmp_path / "out", ignore=lambda *_: {"figures", "report.html", "table.json", "table.md"})
    put(out, name, damage if isinstance(damage, str) else part(out, name) | damage)
    with pytest.raises(ValueError, match=re.escape(wanted)) as caught:
        write(out)
    line = str(caught.value)
    assert "\n" not in line and str(out / "parts" / f"{name}.json") in line and f"`upperhand resume {out}`" in line
    assert not (out / "figures").exists() and not (out / "report.html").exists()


def test_a_score_over_kl_follows_what_it_came_from():
    kl = np.tile(np.linspace(0, 4, 200), (2, 1))
    grid, line = over_kl(kl, 0.1 + 0.2 * kl, 4.0)
    kept = np.isfinite(line[0])
    assert (
        np.abs(line[:, kept] - 0.1 - 0.2 * grid[kept]).max() < 0.01
    )  # a line stays one; at its ends a running mean is off by 0.03
    assert kept[grid < 3.75].all() and not kept[grid > 3.9].any()  # the last twentieth of the records is left out
    _, bent = over_kl(kl, np.sqrt(kl), 4.0)
    middle = (grid > 0.5) & (grid < 3.5)
    assert np.abs(bent[0, middle] - np.sqrt(grid[middle])).max() < 0.02
    kl[1] = np.nan
    assert np.isnan(over_kl(kl, 0.1 + 0.2 * kl, 4.0)[1][1]).all()


def test_a_running_mean_is_a_mean_of_neighbours():
    rows = np.random.default_rng(0).normal(size=(2, 50))
    found = running(rows, 0.06)
    assert found[0, 3:-3] == pytest.approx(np.convolve(rows[0], np.ones(7) / 7, "valid"))
    assert (found[:, [0, -1]] == rows[:, [0, -1]]).all() and found[1, 1] == pytest.approx(rows[1, :3].mean())
    rows[0, 10] = np.nan
    assert running(rows, 0.06)[0, 10] == pytest.approx(np.nanmean(rows[0, 7:14]))


def test_the_middle_is_of_the_seeds_that_are_there():
    rows = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, np.nan], [5.0, 6.0, 7.0]])
    found = across(rows)
    assert found.iqm[:2].tolist() == [3.0, 4.0] and np.isnan(found.iqm[2])  # one of three is too few


def test_records_are_joined_by_step(tmp_path):
    out = write_tweets(tmp_path / "out", ("joint",), seeds=2)
    told = part(out, "joint")
    told["rows"][0] = [row for row in told["rows"][0] if row["step"] != 4]
    found = course(told)
    assert found.step.tolist() == list(range(0, 121, 2)) and np.isnan(found.kl[0, 2]) and np.isfinite(found.kl[1, 2])
    assert found.score[1].tolist() == [row["score"] for row in told["rows"][1]]


def test_a_lexicon_is_sorted_and_every_token_visible():
    told = [
        {"token": token, "x": x} for token, x in ((" good", 0.5), ("$\\frac", 0.9), ("", -0.2), (" ", -0.7), ("a b", 0))
    ]
    paid, charged = lexicon.sides(told)
    assert [token for token, _ in paid] == ["$\\frac", "good"] and [x for _, x in charged] == [-0.7, -0.2]
    assert lexicon.names([" ha", "ppy", "!", " "]) == ["ha", "…ppy", "!", "␣"]  # blanks begin words: ppy is a piece
    assert lexicon.names(["ha", "ppy", "<b>"]) == ["ha", "ppy", "<b>"]
    assert [lexicon.visible(token) for token in (" good", "", " ", "a b", "\n", "\x00")] == [
        "good",
        "∅",
        "␣",
        "a␣b",
        "⏎",
        "�",
    ]
    drawn = lexicon.figure(told)
    drawn.canvas.draw()  # a dollar sign is no mathematics
    assert [[label.get_text() for label in axes.get_yticklabels()] for axes in drawn.axes] == [
        ["$\\frac", "good"],
        ["␣", "∅"],
    ]
    assert [bar.get_width() for bar in drawn.axes[0].patches] == [0.9, 0.5]
    assert lexicon.figure([]) is None
