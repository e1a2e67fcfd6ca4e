"""What a comparison counts, against the rows themselves."""

import json

import numpy as np
import pytest
from made_up_comparison import BEST, TWELVE, write_comparison

from upperhand.report import comparison, comparison_tables, comparison_words
from upperhand.report.comparison import read, summary

TWO = {"a": {"level": 0.0}, "b": {"level": 0.2}}


def rows_of(out, label):
    return [json.loads(line) for line in (out / "arms" / label / "rows.jsonl").read_text().splitlines()]


def rewrite(out, label, edit):
    rows = [edit(row) or row for row in rows_of(out, label)]
    (out / "arms" / label / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def end_with(out, label, scores, name="value"):
    def edit(row):
        if row["step"] == 1000:
            row |= {name: scores[row["seed"]]} | ({"gap": scores[row["seed"]] - BEST} if name == "value" else {})

    rewrite(out, label, edit)


def by_label(told):
    return {arm["label"]: arm for arm in told["arms"]}


def test_an_arm_is_counted_from_its_last_rows(tmp_path):
    out = write_comparison(tmp_path / "c", TWO | {"c": {"failed": (1, 4), "products": 7, "speed": 0.25}})
    end_with(out, "a", [-0.5, -0.49, -0.481, -0.479, -0.47, -0.46, -0.3, 1.0])
    told = by_label(summary(read(out)))
    a = told["a"]
    assert a["iqm"] == pytest.approx((-0.481 - 0.479 - 0.47 - 0.46) / 4)
    assert a["median"] == pytest.approx((-0.479 - 0.47) / 2) and a["low"] < a["iqm"] < a["high"]
    assert (a["near"], a["seeds"], a["failures"]) == (3, 8, 0)
    assert (a["samples"], a["gradients"], a["products"], a["seconds"]) == (128000, 3000, 0, 10.0)
    assert (told["c"]["failures"], told["c"]["products"], told["c"]["seconds"]) == (2, 7000, 250.0)
    tuning = json.loads((out / "tuning" / "b.json").read_text())
    assert told["b"]["scales"] == tuning["scales"][int(np.argmin(tuning["scores"]))]
    assert told["b"]["tuning_samples"] == 8 * 128000


def test_the_order_the_winner_and_who_is_apart(tmp_path):
    arms = {label: {} for label in ("worse", "best", "same", "cut", "gone")}
    arms["cut"] = {"stop": 500}
    out = write_comparison(tmp_path / "c", arms, missing=("gone",))
    end_with(out, "best", np.linspace(-0.5, -0.43, 8))
    end_with(out, "same", np.linspace(-0.5, -0.43, 8) + 0.001)
    end_with(out, "worse", np.linspace(-0.2, -0.1, 8))
    told = summary(read(out))
    assert [arm["label"] for arm in told["arms"]] == ["best", "same", "worse", "cut", "gone"]
    assert [arm["state"] for arm in told["arms"]] == ["finished"] * 3 + ["stopped", "missing"]
    assert (told["winner"], told["runner_up"]) == ("best", "same")
    arms = by_label(told)
    assert (arms["best"]["apart"], arms["same"]["apart"], arms["worse"]["apart"]) == (None, False, True)
    assert arms["cut"]["apart"] is None and arms["gone"]["iqm"] is None
    assert set(told["improvement"]) == {"best", "same", "worse"}, "what is unfinished is at another cost"
    pair, back = told["improvement"]["best"]["same"], told["improvement"]["same"]["best"]
    # k of best against j of same: best is lower where k <= j, 36 of 64 pairs
    assert pair["probability"] == pytest.approx(36 / 64) and back["probability"] == pytest.approx(28 / 64)
    assert back["low"] == pytest.approx(1 - pair["high"]) and pair["low"] < 0.5 < pair["high"]
    assert arms["worse"]["better_than_winner"] == {"probability": 0.0, "low": 0.0, "high": 0.0}
    json.dumps(told, allow_nan=False)


def test_equal_cost_is_the_last_record_within_the_cheapest(tmp_path):
    arms = {
        "cheap": {"steps": 300, "every": 30, "speed": 0.1, "products": 1},  # 38400 samples, 1200 calls, 30 s
        "dear": {"products": 6, "speed": 0.001},  # 9 calls an update, 1 s
        "free": {"free": True, "speed": 0.002},  # 3000 calls, 2 s
        "cut": {"stop": 200, "speed": 0.001},  # 25600 samples, 600 calls, 0.2 s
    }
    out = write_comparison(tmp_path / "c", arms)
    told = summary(read(out))["equal_cost"]

    def at(label, step):
        scores = np.sort([row["value"] for row in rows_of(out, label) if row["step"] == step])
        return pytest.approx(scores[2:6].mean())

    assert (told["samples"]["cost"], told["gradients"]["cost"], told["seconds"]["cost"]) == (38400, 1200, 1.0)
    found = {currency: {label: one["iqm"] for label, one in told[currency]["arms"].items()} for currency in told}
    assert found["samples"] == {"cheap": at("cheap", 300), "dear": at("dear", 300)}  # cut is not there yet
    assert found["gradients"] == {"cheap": at("cheap", 300), "dear": at("dear", 100), "free": at("free", 400)}
    assert found["seconds"] == {"cheap": at("cheap", 0), "dear": at("dear", 1000), "free": at("free", 500)}


def test_courses_hold_the_interquartile_mean_over_what_was_spent(tmp_path):
    out = write_comparison(tmp_path / "c", {"a": {"products": 2}, "b": {"steps": 400, "every": 1}})
    found = comparison.courses(read(out))
    values = np.array([[row["value"] for row in rows_of(out, "a") if row["seed"] == seed] for seed in range(8)])
    np.testing.assert_allclose(found["a"].middle, np.sort(values, 0)[2:6].mean(0))
    np.testing.assert_allclose(found["a"].along["gradients"], 5 * np.arange(0, 1001, 50))
    assert ((found["a"].low <= found["a"].middle) & (found["a"].middle <= found["a"].high)).all()
    assert len(found["b"].middle) == comparison.POINTS and found["b"].along["samples"][-1] == 400 * 128


def test_without_an_oracle_the_own_estimates_judge(tmp_path):
    out = write_comparison(tmp_path / "c", {"a": {"exact": False}, "b": {"exact": False}})
    end_with(out, "a", np.arange(8.0), "upper")
    end_with(out, "b", np.arange(8.0) + 100, "upper")
    told = summary(read(out))
    assert (told["score"], told["best"], told["winner"]) == ("upper", None, "a")
    assert by_label(told)["a"]["iqm"] == 3.5 and by_label(told)["a"]["near"] is None
    assert "its own estimate of the upper loss = 3.5" in comparison_words.lede(told)


def test_a_score_that_is_not_finite_ranks_last_and_is_told(tmp_path):
    out = write_comparison(tmp_path / "c", TWO)
    rewrite(out, "a", lambda row: row.update(value=None) if row["seed"] == 3 and row["step"] == 1000 else None)
    found = read(out)
    told = summary(found)
    assert [arm["label"] for arm in told["arms"]] == ["b", "a"] and told["winner"] == "b"
    assert by_label(told)["a"]["iqm"] is None
    assert comparison_words.headline(told) == "Only b has a score"
    assert by_label(told)["a"]["apart"] is False, "seven of its eight seeds are far better"
    assert any("ranked last: a" in notice for notice in comparison_words.notices(found, told))


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"a": 0.0, "b": 0.2}, "a ends best, 0.2 below b, and the interval separates the two"),
        ({"a": 0.2, "b": 0.0}, "b ends best, 0.2 below a, and the interval separates the two"),
        ({"a": 0.0, "b": 0.0015}, "b cannot be told apart from the best, a, 0.0015 below b"),
        ({"a": 0.0, "b": 0.00155, "c": 0.003}, "No arm can be told apart from the best, a, 0.0015 below b"),
        ({"a": 0.0, "b": 0.0015, "c": 0.3}, "a ends best, 0.0015 below b, and the interval does not separate the two"),
        ({"a": 0.0, "b": 0.0}, "b cannot be told apart from the best, a"),
        ({"a": 0.0}, "a alone"),
    ],
)
def test_the_headline_says_who_and_by_how_much_and_whether_it_can_be_told(tmp_path, ends, said):
    out = write_comparison(tmp_path / "c", {label: {} for label in ends})
    for label, more in ends.items():
        end_with(out, label, np.linspace(-0.5, -0.45, 8) + more)
    assert comparison_words.headline(summary(read(out))) == said


def test_three_seeds_cannot_tell_any_arms_apart(tmp_path):
    found = read(write_comparison(tmp_path / "c", TWO, seeds=3))
    told = summary(found)
    assert by_label(told)["b"]["apart"] is False
    assert "cannot be told apart" in comparison_words.headline(told)
    assert any("fewer than four seeds" in notice for notice in comparison_words.notices(found, told))


def test_an_arm_that_the_budget_does_not_bind_is_told(tmp_path):
    found = read(write_comparison(tmp_path / "c", {"a": {"free": True}, "b": {"level": 0.1}, "c": {"level": 0.2}}))
    told = summary(found)
    assert any(notice.startswith("a draws no samples") for notice in comparison_words.notices(found, told))
    at = f"{by_label(told)['b']['iqm']:.3g}".replace("-", "−")
    assert f"Of the arms that draw samples, b ends best, at {at}" in comparison_words.lede(told)


def test_tables_hold_the_summary(tmp_path):
    found = read(write_comparison(tmp_path / "c", TWELVE, seeds=6))
    told = summary(found)
    columns, rows = comparison_tables.results(found, told)
    assert [row["label"] for row in rows] == [arm["label"] for arm in told["arms"]] and len(rows) == 12
    for row, arm in zip(rows, told["arms"], strict=True):
        cells = dict(zip(columns, row["cells"], strict=True))
        assert float(cells["IQM"].replace("−", "-")) == pytest.approx(arm["iqm"], abs=6e-4)
        assert cells["near"] == f"{arm['near']}/6" and cells["failed"] == str(arm["failures"])
        assert row["best"] == (arm["label"] == told["winner"] or not arm["apart"])
    runs = {row["label"]: row["runs"] for row in rows}
    assert runs["fixed"] == "actor_critic, temperature=0.1, penalty=[0.5, 0.02]" and runs["actor_critic"] == ""
    columns, rows = comparison_tables.costs(told)
    spent = {row["label"]: dict(zip(columns, row["cells"], strict=True)) for row in rows}
    assert spent["unrolled"]["products"] == "40k" and spent["nested_loop"]["samples"] == "12.8k"
    assert spent["expected_actor_critic"]["samples"] == "0" and spent["unrolled"]["seconds"] == "120.0"
    columns, rows = comparison_tables.equal_cost(told)
    assert columns == ["at 12.8k samples a start", "at 300 oracle calls a start", "at 4 seconds"]
    strong = [row["label"] for row in rows if 0 in row["strong"]]
    at = told["equal_cost"]["samples"]["arms"]
    assert strong == [min(at, key=lambda label: at[label]["iqm"])]
    columns, rows = comparison_tables.tuned(found, told)
    lost = {row["label"]: row["cells"][1] for row in rows}
    assert lost["score_function"] == "2/8" and lost["actor_critic"] == "0/8"


def test_narrow_intervals_get_more_decimals_and_huge_scores_stay_short(tmp_path):
    out = write_comparison(tmp_path / "c", {"a": {"exact": False}, "b": {"exact": False}})
    end_with(out, "a", 0.5000002 + 1e-6 * np.arange(8), "upper")
    end_with(out, "b", 0.5000102 + 1e-6 * np.arange(8), "upper")
    found = read(out)
    _, rows = comparison_tables.results(found, summary(found))
    assert [row["cells"][0] for row in rows] == ["0.500004", "0.500014"]
    end_with(out, "b", np.full(8, 1e30), "upper")
    found = read(out)
    _, rows = comparison_tables.results(found, summary(found))
    assert rows[1]["cells"][0] == "1.0 × 10³⁰"
