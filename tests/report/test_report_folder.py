"""A run folder is read as it is, and a damaged one is refused in one line."""

import json
import shutil

import numpy as np
import pytest
from made_up_run import write_run

from upperhand.report.folder import read, read_rows


def line(out, number, text):
    rows = (out / "rows.jsonl").read_text().splitlines()
    rows[number - 1] = text
    (out / "rows.jsonl").write_text("\n".join(rows) + "\n")


def setting(out, **changed):
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps({k: v for k, v in (config | changed).items() if v is not ...}))


DAMAGE = {
    "missing folder": (lambda out: shutil.rmtree(out), ["does not exist", "upperhand run"]),
    "a file": (lambda out: (shutil.rmtree(out), out.write_text("x")), ["is a file", "upperhand run"]),
    "no config": (lambda out: (out / "config.json").unlink(), ["config.json", "not a run folder"]),
    "config cut": (lambda out: (out / "config.json").write_text('{"problem": '), ["config.json", "not JSON", "line 1"]),
    "config binary": (lambda out: (out / "config.json").write_bytes(b"\xff\xfe\x00"), ["config.json", "not JSON"]),
    "config a list": (lambda out: (out / "config.json").write_text("[1]"), ["config.json", "one JSON object", "list"]),
    "no problem": (lambda out: setting(out, problem=...), ["config.json", "problem must be"]),
    "seeds twice": (lambda out: setting(out, seeds=[0, 0]), ["config.json", "seeds must be", "[0, 0]"]),
    "steps in words": (lambda out: setting(out, steps="many"), ["config.json", "steps must be", "'many'"]),
    "no rows": (lambda out: (out / "rows.jsonl").unlink(), ["rows.jsonl is missing", "upperhand resume"]),
    "empty rows": (lambda out: (out / "rows.jsonl").write_text(""), ["rows.jsonl is empty", "upperhand resume"]),
    "torn tail": (
        lambda out: (out / "rows.jsonl").write_bytes((out / "rows.jsonl").read_bytes()[:-30]),
        ["rows.jsonl line 18 ", "cut off", "upperhand resume", "torn tail"],
    ),
    "zeroed tail": (
        lambda out: (out / "rows.jsonl").write_bytes((out / "rows.jsonl").read_bytes() + b"\0" * 64),
        ["rows.jsonl line 19 ", "upperhand resume", "torn tail"],
    ),
    "torn middle": (
        lambda out: line(out, 5, '{"seed": 0, "st'),
        ["rows.jsonl line 5 ", "not JSON", "delete that line"],
    ),
    "blank middle": (lambda out: line(out, 5, ""), ["rows.jsonl line 5 ", "not JSON"]),
    "not a row": (lambda out: line(out, 4, "[1, 2]"), ["rows.jsonl line 4 ", "seed and step"]),
    "no step": (lambda out: line(out, 4, '{"seed": 0}'), ["rows.jsonl line 4 ", "seed and step"]),
    "foreign seed": (lambda out: line(out, 7, '{"seed": 77, "step": 0}'), ["line 7 ", "seed 77", "config.json"]),
    "seed without rows": (lambda out: setting(out, seeds=[0, 1, 2, 3]), ["no step that every seed has", "seed 3"]),
    "summary cut": (lambda out: (out / "summary.json").write_text("{"), ["summary.json", "not JSON", "delete it"]),
    "maps not an archive": (lambda out: (out / "maps.npz").write_text("no"), ["maps.npz", "delete it"]),
    "maps cut": (
        lambda out: (out / "maps.npz").write_bytes((out / "maps.npz").read_bytes()[:4000]),
        ["maps.npz", "delete it"],
    ),
    "maps with objects": (
        lambda out: np.savez(out / "maps.npz", axis=np.array([{}], object)),
        ["maps.npz", "delete it"],
    ),
    "maps of another run": (
        lambda out: np.savez(out / "maps.npz", occupancy=np.ones((7, 10, 10))),
        ["maps.npz", "(7, 10, 10)", "3 seeds"],
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_in_one_line(tmp_path, damage):
    out = write_run(tmp_path / "run", seeds=3, steps=500, every=100)
    read(out)
    spoil, told = DAMAGE[damage]
    spoil(out)
    with pytest.raises(ValueError) as refused:
        read(out)
    message = str(refused.value)
    assert "\n" not in message and str(out) in message
    assert not [part for part in told if part not in message], message


def test_rows_are_ordered_by_seed_and_step(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=500, every=100, config={"seeds": [5, 2, 9]}, maps=False)
    lines = (out / "rows.jsonl").read_text().splitlines()
    (out / "rows.jsonl").write_text("\n".join(lines[::-1]))
    found = read(out)
    assert found.rows["seed"].tolist() == [[5] * 6, [2] * 6, [9] * 6]
    assert found.rows["step"].tolist() == [[0, 100, 200, 300, 400, 500]] * 3
    told = {(row["seed"], row["step"]): row for row in map(json.loads, lines)}
    assert found.rows["gap"][1, 3] == told[2, 300]["gap"]
    assert found.rows["x"].shape == (3, 6, 2) and found.rows["x"][2, 4].tolist() == told[9, 400]["x"]
    assert np.isnan(found.rows["hypergradient_error"][:, 0]).all()
    assert np.isfinite(found.rows["hypergradient_error"][:, 1:]).all()
    assert found.maps is None


def test_longer_seeds_are_cut_to_the_common_steps(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=500, every=100, maps=False)
    lines = (out / "rows.jsonl").read_text().splitlines()
    kept = [line for line in lines if not (json.loads(line)["seed"] == 1 and json.loads(line)["step"] > 300)]
    (out / "rows.jsonl").write_text("\n".join(kept) + "\n")
    found = read(out)
    assert found.rows["step"].tolist() == [[0, 100, 200, 300]] * 3
    assert [row["step"] for row in found.summary["seeds"]] == [300] * 3


def test_unknown_null_and_odd_figures_do_no_harm(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=200, every=100, maps=False)
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    odd = {"new": 3, "words": "text", "upper": None, "huge": 10**400, "lower": float("nan"), "nested": {"a": 1}}
    rows = [row | odd for row in rows]
    rows[-1]["x"] = [1.0, 2.0, 3.0]  # a ragged x is left out
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read(out)
    assert (found.rows["new"] == 3).all() and np.isinf(found.rows["huge"]).all()
    assert not {"words", "upper", "lower", "nested", "x"} & set(found.rows)
    assert set(found.summary["aggregate"]) >= {"new", "value"} and "huge" not in found.summary["aggregate"]


def test_summary_is_used_where_it_is_of_these_rows_and_computed_where_it_is_old(tmp_path):
    out = write_run(tmp_path / "run", seeds=4, steps=200, every=100, maps=False)
    computed = read(out).summary
    last = [computed["seeds"][seed]["gap"] for seed in range(4)]
    assert computed["aggregate"]["gap"]["iqm"] == pytest.approx(np.mean(sorted(last)[1:3]))
    marked = computed | {"aggregate": {"gap": {"iqm": 42.0, "low": 41.0, "high": 43.0}}}
    (out / "summary.json").write_text(json.dumps(marked))
    assert read(out).summary["aggregate"]["gap"]["iqm"] == 42.0
    marked["seeds"] = [row | {"step": 100} for row in marked["seeds"]]
    (out / "summary.json").write_text(json.dumps(marked))
    assert read(out).summary == computed


def test_read_rows_keeps_the_order_and_a_last_line_without_its_end(tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"seed": 1, "step": 0}\n{"seed": 0, "step": 0, "x": [1]}')
    assert read_rows(tmp_path / "rows.jsonl") == [{"seed": 1, "step": 0}, {"seed": 0, "step": 0, "x": [1]}]
