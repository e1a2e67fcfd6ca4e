"""The page of rlhf_matters: numbers against scipy's own tests, wins, ties and losses told alike, damaged folders."""

import base64
import json
import re
from shutil import copytree

import numpy as np
import pytest
from made_up_matters import ARMS, BEHIND, GAINS, NAMES, write_matters
from scipy import stats
from test_report_page import Page

from upperhand.report.matters import find, spread, table, verdict
from upperhand.report.matters_folder import read
from upperhand.report.matters_page import write
from upperhand.report.matters_words import headline, lede, outcomes, signed

BEATS = "ith a myopic agent joint training beats both alternating arms at {} of 3 budgets of KL; with γ = 1, at {} of 3"


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished experiment with its page."""
    return write(write_matters(tmp_path_factory.mktemp("matters") / "out")).parent


def part(out, name):
    return json.loads((out / "parts" / f"{name}.json").read_text())


def put(out, name, told):
    (out / "parts" / f"{name}.json").write_text(told if isinstance(told, str) else json.dumps(told))


def moved(out, name, arm, by):
    """An arm of a part, raised by so much at each budget of KL."""
    told = part(out, name)
    for entry in told["entries"]:
        if entry["arm"] == arm:
            entry["score"] = [score + by for score in entry["score"]]
    put(out, name, told)


def test_the_numbers_are_those_of_the_parts(done):
    told = json.loads((done / "table.json").read_text())
    for name in GAINS:
        entries = {(one["arm"], one["kl"]): np.array(one["score"]) for one in part(done, name)["entries"]}
        for row in told["parts"][name]["rows"]:
            score, joint = entries[row["arm"], row["kl"]], entries["joint", row["kl"]]
            ends = stats.ttest_1samp(score, 0).confidence_interval()
            assert row["score"]["mean"] == pytest.approx(score.mean(), abs=1e-12)
            assert (row["score"]["low"], row["score"]["high"]) == pytest.approx(tuple(ends), abs=1e-12)
            if row["arm"] == "joint":
                assert row["ahead"] is None and row["verdict"] is None
                continue
            paired = stats.ttest_rel(joint, score)
            ends = paired.confidence_interval()
            assert row["ahead"]["mean"] == pytest.approx(GAINS[name] * BEHIND.get(row["arm"], 0.0), abs=1e-12)
            assert (row["ahead"]["low"], row["ahead"]["high"]) == pytest.approx(tuple(ends), abs=1e-12)
            told_apart = paired.pvalue < 0.05
            assert row["verdict"] == ("open" if not told_apart else "better" if paired.statistic > 0 else "worse")
    assert told["claims"]["bias-pen"] == {"held": [1.0, 2.0, 3.0], "lost": [], "of": [1.0, 2.0, 3.0]}
    assert told["claims"]["markov-1"]["held"] == [] and told["claims"]["gibbs-vader"]["held"] == []


def test_the_toy_is_set_beside_its_earlier_figures(done):
    told, ties = json.loads((done / "table.json").read_text())["toy"], part(done, "ties")
    for name, rows in told.items():
        for row, ours in zip(rows, ties[name], strict=True):
            for column, cell in row.items():
                if isinstance(cell, dict):
                    assert cell["mean"] == pytest.approx(np.mean(ours[column]))
                    assert cell["sd"] == pytest.approx(np.std(ours[column], ddof=1))
                    assert cell["reproduced"] == (name != "ties" or (row["rho"], column) != (0.75, "frozen"))
    said = lede(table(read(done)))
    assert "Of the earlier figures of the exact toy, 35 of 36 come out again within 3 standard errors." in said


def test_a_toy_figure_is_reproduced_within_three_errors_of_the_difference(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen",))
    ties = part(out, "ties")
    error = np.sqrt((4.0**2 + 4.0**2) / 50)
    for at, off in ((1, 2.9 * error), (2, 3.1 * error + 0.05)):
        ties["ties"][at]["frozen"] = [value + off for value in ties["ties"][at]["frozen"]]
    ties["ties"][4]["frozen"][:2] = [None, None]  # instances without a figure are left out
    put(out, "ties", ties)
    rows = table(read(out))["toy"]["ties"]
    assert rows[4]["frozen"]["mean"] == pytest.approx(np.mean(ties["ties"][4]["frozen"][2:]))
    assert [row["frozen"]["instances"] for row in rows] == [50, 50, 50, 50, 48]
    assert [row["frozen"]["reproduced"] for row in rows] == [True, True, False, False, True]


def test_the_page_says_what_came_out(done):
    page = Page(done / "report.html")
    assert f"<h1>W{BEATS.format(3, 'none')}</h1>" in page.raw
    drawn = {png.stem: png.read_bytes() for png in (done / "figures").iterdir()}
    assert set(drawn) == {"myopic", "gibbs", "discount", "paid"}
    inlined = [base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) for image in page.images()]
    assert sorted(inlined) == sorted(drawn.values())
    assert "With an agent paid for hashtags, joint ends at 0.039 at KL 2" in page.text
    assert "of residual_ls, which knows that reward (a tie)" in page.text and "not finished" not in page.text
    assert "A policy trained directly on the scores, without any x, ends at 0.420 (0.400 to 0.440) at KL 2" in page.text
    told = dict(outcomes(table(read(done))))
    assert told["Gibbs agent, VADER"] == [f"a tie with {', '.join(ARMS[1:4])} and frozen_bt at KL 1, 2 and 3"]
    assert told["Agent paid for links"][1] == "a tie with residual_ls at KL 2"
    assert not {"script", "b>", "link"} & {tag for tag, _ in page.tags} and "<b> " in page.text
    assert "$x$" in page.text and max(NAMES, key=len) not in page.text  # the longest is cut in its middle
    before = page.raw
    assert Page(write(done)).raw == before and not list(done.rglob("*.part"))


def test_bold_is_what_leaves_out_zero(done):
    lines = (done / "table.md").read_text().splitlines()
    row = next(line for line in lines if line.startswith("| myopic agent, pen truth, KL\u00a02 |"))
    assert row.split("|")[2].strip().startswith("**+0.060** (")
    row = next(line for line in lines if line.startswith("| Markov agent, γ\u00a0=\u00a01, KL\u00a02 |"))
    assert row.split("|")[2].strip().startswith("0.000 (")


def test_a_loss_is_told_as_a_loss(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen", "markov-0", "markov-1", "style-links"))
    for name in ("bias-pen", "style-links"):
        moved(out, name, "alternating_bt", 0.2)
    moved(out, "markov-1", "joint", 0.1)
    told = table(read(out))
    assert headline(told) == f"So far, w{BEATS.format('none', 3)}"
    assert told["claims"]["bias-pen"]["lost"] == [1.0, 2.0, 3.0]
    said = lede(told)
    assert (
        "Joint is below an alternating arm here: myopic agent, pen truth, at KL 1, 2 and 3; agent paid for links"
        in said
    )
    assert "of alternating_bt (joint is worse)" in said
    assert "below alternating_bt at KL 1, 2 and 3" in dict(outcomes(told))["Myopic agent, pen truth"]


def test_one_of_two_is_not_both(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen",))
    moved(out, "bias-pen", "alternating_bt", 0.048)  # level with joint
    told = table(read(out))
    assert told["claims"]["bias-pen"] == {"held": [], "lost": [], "of": [1.0, 2.0, 3.0]}
    told = part(out, "bias-pen")
    told["entries"] = [entry for entry in told["entries"] if entry["arm"] != "alternating_bt"]
    put(out, "bias-pen", told)
    assert table(read(out))["claims"]["bias-pen"]["held"] == []  # a rival that was not run is not beaten


def test_a_t_interval():
    values = [0.1, 0.4, 0.3, 0.2]
    found = spread([*values, None])
    assert (found["low"], found["high"]) == pytest.approx(tuple(stats.ttest_1samp(values, 0).confidence_interval()))
    assert spread([0.5]) == {"mean": 0.5, "low": None, "high": None, "seeds": 1} and spread([None]) is None
    assert [verdict(one) for one in (None, spread([0.5]), spread([0.0, 0.0]))] == [None, None, "open"]
    assert [verdict(spread(one)) for one in ([0.1, 0.11], [-0.1, -0.11], [0.1, -0.11])] == ["better", "worse", "open"]
    assert [signed(value) for value in (0.0712, -0.0712, 0.0, 1e-9, -1e-9)] == [
        "+0.071",
        "−0.071",
        "0.000",
        "0.000",
        "0.000",
    ]


def test_a_seed_that_is_missing_leaves_its_pair_out(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen",))
    told = part(out, "bias-pen")
    one = {
        arm: next(e for e in told["entries"] if (e["arm"], e["kl"]) == (arm, 2.0))
        for arm in ("joint", "alternating_ls")
    }
    one["joint"]["score"][1] = None
    put(out, "bias-pen", told)
    row = find(table(read(out))["parts"]["bias-pen"], "alternating_ls", 2.0)
    kept = [0, 2, 3, 4]
    gaps = [one["joint"]["score"][seed] - one["alternating_ls"]["score"][seed] for seed in kept]
    assert row["ahead"]["mean"] == pytest.approx(np.mean(gaps)) and row["ahead"]["seeds"] == 4
    assert row["score"]["seeds"] == 5


GONE = [
    (("bias-pen",), "So far, with a myopic agent joint training beats both", {"myopic", "discount"}),
    (("bias-pen", "markov-0"), "So far, the myopic agent has not been measured", {"myopic", "discount"}),
    (("ties", "language", "markov-1"), "So far, with a myopic agent", {"myopic", "discount", "gibbs", "paid"}),
    (tuple(GAINS), "Where joint training matters: no part has finished yet", set()),
]


@pytest.mark.parametrize(("gone", "title", "figures"), GONE)
def test_an_unfinished_experiment_says_what_is_missing(tmp_path, done, gone, title, figures):
    out = copytree(done, tmp_path / "out")
    for name in gone:
        (out / "parts" / f"{name}.json").unlink()
    page = Page(write(out))
    assert page.raw.split("<h1>")[1].startswith(title) and f"upperhand resume {out}" in page.text
    assert all(f"parts/{name}.json" in page.text for name in gone)
    assert figures <= {png.stem for png in (out / "figures").iterdir()}
    assert bool(page.images()) == bool(figures) and ("exact toy:" in page.text) == ("ties" not in gone)


def test_a_single_seed_has_no_interval(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen", "style-links"), seeds=1)
    page = Page(write(out))
    assert "nothing to compare, or a single seed" in page.text and "1 seed a part" in page.text
    assert "beats both alternating arms at none of 3" in page.text


def test_a_budget_that_was_missed_is_told(tmp_path):
    out = write_matters(tmp_path / "out", ("bias-pen",))
    told = part(out, "bias-pen")
    told["entries"][0]["reached"] = [1.2] * 5
    put(out, "bias-pen", told)
    page = Page(write(out))
    assert "myopic agent, pen truth: joint reached 1.20 instead of 1" in page.text


LEVEL = {"arm": "joint", "kl": 1.0, "score": [0.0] * 5, "reached": [1.0] * 5}
DAMAGE = [
    ("bias-pen", "{", "is not JSON"),
    ("bias-pen", {"seeds": []}, "seeds must be a list of different whole numbers"),
    ("bias-pen", {"entries": []}, "entries must be one of each arm and KL"),
    ("bias-pen", {"entries": [LEVEL | {"score": [0.1]}]}, "entries must be one of each arm and KL, with 5 of score"),
    ("bias-pen", {"entries": [LEVEL, LEVEL]}, "entries must be one of each arm and KL"),
    ("bias-pen", {"entries": [LEVEL | {"arm": "other"}]}, "entries must be one of each arm and KL"),
    ("bias-pen", {"names": [1]}, "names must be a list of words"),
    ("bias-pen", {"names": ["a"]}, "entries must be one of each arm and KL"),
    ("bias-pen", {"base": {}}, 'base must be figures with a "score"'),
    ("markov-0.5", {"gamma": "half"}, "gamma must be a number or null"),
    ("style-links", {"own": 1}, "own must be words or null"),
    ("ties", {"ties": [{"rho": 0.0}]}, "ties must be rows of rho and 50 numbers a column"),
    ("ties", {"own": []}, "own must be rows of omega and 50 numbers a column"),
    ("ties", {"published": {}}, "published must be the same tables"),
    ("direct", {"labels": 0}, "labels must be a whole number above 0"),
    ("language", {"preset": ""}, "preset must be a name"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "damage", "wanted"), DAMAGE)
def test_a_damaged_part_is_one_line_and_writes_nothing(tmp_path, done, name, damage, wanted):
    out = copytree(done, tmp_path / "out", ignore=lambda *_: {"figures", "report.html", "table.json", "table.md"})
    put(out, name, damage if isinstance(damage, str) else part(out, name) | damage)
    with pytest.raises(ValueError, match=re.escape(wanted)) as caught:
        write(out)
    line = str(caught.value)
    assert "\n" not in line and str(out / "parts" / f"{name}.json") in line and f"`upperhand resume {out}`" in line
    assert not (out / "figures").exists() and not (out / "report.html").exists()
