"""The folder of a comparison is read as it is, and a damaged one is refused in one line."""

import json
import shutil

import pytest
from made_up_comparison import write_comparison

from upperhand.report.comparison import read
from upperhand.report.comparison_page import write


def change(path, **changed):
    told = json.loads(path.read_text())
    path.write_text(json.dumps({name: value for name, value in (told | changed).items() if value is not ...}))


def arms(*labels):
    return [{"label": label, "solver": "s", "solver_settings": {}} for label in labels]


def compare(**changed):
    return lambda out: change(out / "compare.json", **changed)


def tuning(**changed):
    return lambda out: change(out / "tuning" / "a.json", **changed)


DAMAGE = {
    "missing": (lambda out: shutil.rmtree(out), ["does not exist", "upperhand compare"]),
    "a file": (lambda out: (shutil.rmtree(out), out.write_text("x")), ["is a file", "upperhand compare"]),
    "a run": (lambda out: (out / "compare.json").rename(out / "config.json"), ["no compare.json", "upperhand compare"]),
    "cut": (lambda out: (out / "compare.json").write_text('{"problem": '), ["compare.json", "not JSON", "restore"]),
    "a list": (lambda out: (out / "compare.json").write_text("[]"), ["compare.json", "one JSON object", "list"]),
    "no problem": (compare(problem=...), ["problem must be a name", "got None"]),
    "currency": (compare(currency="euros"), ["currency must be one of samples", "'euros'"]),
    "budget": (compare(budget=-1), ["budget must be a number above 0", "got -1"]),
    "budget NaN": (compare(budget=float("nan")), ["budget must be", "got nan"]),
    "budget true": (compare(budget=True), ["budget must be", "got True"]),
    "seeds": (compare(seeds=[1, 1]), ["seeds must be a list of different whole numbers"]),
    "no arms": (compare(arms=[]), ["arms must be", "got []"]),
    "arm in words": (compare(arms=["a"]), ["of arm 1 label must be"]),
    "arm out of the folder": (compare(arms=arms("a", "../a")), ["of arm 2 label must be", "'../a'"]),
    "arm of dots": (compare(arms=arms("..")), ["of arm 1 label must be", "'..'"]),
    "arm of two lines": (compare(arms=arms("a\nb")), ["of arm 1 label must be"]),
    "twice": (compare(arms=arms("a", "b", "a")), ["two arms with the label 'a'"]),
    "other seeds": (compare(seeds=[5, 6]), ["config.json is not of this comparison", "its seeds is", "[5, 6]"]),
    "other solver": (compare(arms=arms("a")), ["config.json is not of this comparison", "its solver is 'a'", "'s'"]),
    "other problem": (compare(problem="q"), ["its problem is 'goal_placement'", "'q'"]),
    "torn rows": (
        lambda out: (out / "arms/b/rows.jsonl").write_text('{"seed": 0, "st'),
        ["arms/b/rows.jsonl line 1", "upperhand resume", "arms/b"],
    ),
    "tuning cut": (lambda out: (out / "tuning/a.json").write_text("{"), ["a.json is not JSON", "upperhand resume"]),
    "no trials": (tuning(scales=[]), ["a.json is not of a tuning", "scales", "delete it", "upperhand resume"]),
    "a score too few": (tuning(scores=[1.0]), ["a.json is not of a tuning", "scores must have one entry a trial"]),
    "scores in words": (tuning(scores=["x"] * 8), ["scores must have one entry a trial"]),
    "factors in words": (tuning(scales=[{"x_step": "big"}] * 8), ["scales must have one entry a trial"]),
    "failed in halves": (tuning(failed=[0.5] * 8), ["failed must have one entry a trial"]),
    "chosen": (tuning(chosen=8), ["chosen must be one of its 8 trials, got 8"]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refused_in_one_line_before_anything_is_written(tmp_path, damage):
    out = write_comparison(tmp_path / "c", {"a": {}, "b": {}}, seeds=2)
    read(out)
    spoil, told = DAMAGE[damage]
    spoil(out)
    with pytest.raises(ValueError) as refused:
        write(out)
    message = str(refused.value)
    assert "\n" not in message and str(out) in message
    assert not [part for part in told if part not in message], message
    assert not (out / "summary.json").exists() and not (out / "figures").exists()


def test_what_is_not_there_yet_is_left_empty(tmp_path):
    kinds = {"whole": {}, "cut": {"stop": 250}, "gone": {}, "created": {}}
    out = write_comparison(tmp_path / "c", kinds, seeds=2, missing=("gone",))
    (out / "arms/created/rows.jsonl").write_text("")  # as a new run folder has it
    (out / "tuning/cut.json").unlink()
    found = read(out)
    assert [arm.label for arm in found.arms] == ["whole", "cut", "gone", "created"]
    assert [arm.state for arm in found.arms] == ["finished", "stopped", "missing", "missing"]
    assert [arm.tuning is None for arm in found.arms] == [False, True, False, False]
    assert found.arms[1].folder.rows["step"].max() == 250
    assert len(found.arms[0].tuning.scales) == 8
