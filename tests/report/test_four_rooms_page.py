"""The page of the four-rooms experiment: its numbers against independent ones, unfinished and damaged folders."""

import base64
import json
import re
from shutil import copytree

import numpy as np
import pytest
from test_report_page import Page

from upperhand.cli import main
from upperhand.report.four_rooms_page import write

CELLS = [[tau, cost] for tau in (0.001, 0.003, 0.005) for cost in (1.0, 3.0, 5.0)]
PUBLISHED = {
    "hpgd": [[mean, 0.08] for mean in (0.9, 0.5, 0.4, 0.9, 0.7, 0.2, 1.1, 1.0, 0.8)],
    "amd": [[mean, 0.004] for mean in (0.5, 0.6, 0.3, 1.0, 0.3, 0.3, 1.2, 1.1, 0.9)],
}
BEST = [0.9, 0.6, 0.4, 1.0, 0.7, 0.3, 1.2, 1.1, 0.9]
KNOWN = [0.583, 0.507, 0.470, 1.011, 0.395, 0.321, 1.339, 1.209, 0.912]
GRID = [[0.5, 1.0], [0.5, 10.0], [5.0, 1.0]]
LEVELS = {  # above the best published value, in the first six cells and in the last three
    "hpgd": (-0.1, 0.3), "actor_critic": (-0.2, 0.2), "zero_order": (0.15, -0.3), "exactly": (0.2, 0.1),
}  # fmt: skip
FILES = ("experiment", "parts/published", "parts/ascent", *(f"parts/{name}" for name in LEVELS))


def entry(place, levels, seeds):
    """An arm's part. Seeds lie within 0.02 of their level."""
    noise = 0.02 * np.random.default_rng(place).uniform(-1, 1, (9, seeds))
    values = np.array(BEST)[:, None] + np.repeat(levels, (6, 3))[:, None] + noise
    chosen = [(place + at) % 3 for at in range(9)]
    spent = 0 if place == 3 else [1000.0 * (place + 1) + at for at in range(9)]
    trials = [[float(at == k) for k in range(3)] for at in chosen]
    told = {"grid": GRID, "trials": trials, "chosen": chosen, "values": values.tolist(), "transitions": spent}
    return told | {"updates": 1234 + place, "seconds": 10.0 + place}


def folder(out, seeds=10):
    """A finished experiment. The ascent is .01 beside the known values in seven cells, .05 in two."""
    (out / "parts").mkdir(parents=True)
    about = {"experiment": "four_rooms", "config": {"seeds": seeds, "transitions": 4000}, "cells": []}
    about |= {"command": "upperhand reproduce four_rooms <b>", "versions": {"numpy": "2"}, "started": "now"}
    off = [0.01, -0.01, 0.01, 0.01, 0.01, -0.01, 0.01, -0.05, 0.05]
    parts = {"published": {"cells": CELLS, "published": PUBLISHED, "known": KNOWN, "arms": list(LEVELS)}}
    parts["ascent"] = {"values": (np.array(KNOWN) + off).tolist(), "known": KNOWN, "seconds": 3.0}
    parts |= {name: entry(place, levels, seeds) for place, (name, levels) in enumerate(LEVELS.items())}
    (out / "experiment.json").write_text(json.dumps(about))
    for name, part in parts.items():
        (out / "parts" / f"{name}.json").write_text(json.dumps(part))
    return out


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished experiment with its page."""
    return write(folder(tmp_path_factory.mktemp("four") / "out")).parent


def part(out, name):
    return json.loads((out / "parts" / f"{name}.json").read_text())


def by_hand(values):
    """Interquartile means [9] of ten seeds: without the two lowest and the two highest."""
    return np.sort(values, -1)[:, 2:-2].mean(-1)


def test_the_numbers_are_those_of_the_parts(done):
    out, told = done, json.loads((done / "table.json").read_text())
    rival = np.array(part(out, "hpgd")["values"])
    for place, (name, levels) in enumerate(LEVELS.items()):
        values = np.array(part(out, name)["values"])
        for at, cell in enumerate(told["cells"]):
            (arm,) = (arm for arm in cell["arms"] if arm["label"] == name)
            level = BEST[at] + np.repeat(levels, (6, 3))[at]
            assert arm["iqm"] == pytest.approx(by_hand(values)[at], abs=1e-12) and arm["seeds"] == 10
            assert level - 0.02 < arm["low"] < arm["iqm"] < arm["high"] < level + 0.02
            assert arm["reaches"] == (level > BEST[at])
            assert [arm["step"], arm["heat"]] == GRID[(place + at) % 3]
            if name in ("hpgd", "exactly"):
                assert arm["better"] is None
            else:
                higher = (values[at][:, None] > rival[at]).mean()
                assert arm["better"]["probability"] == pytest.approx(higher)
        (arm,) = (arm for arm in told["arms"] if arm["label"] == name)
        assert arm["reached"] == 6 * (levels[0] > 0) + 3 * (levels[1] > 0)
        assert arm["steps"] == [{"of": 0.5, "cells": 6}, {"of": 5.0, "cells": 3}]
        assert arm["heats"] == [{"of": 1.0, "cells": 6}, {"of": 10.0, "cells": 3}]
        assert arm["transitions"] == (0 if name == "exactly" else 1000 * (place + 1) + 4)
        assert (arm["updates"], arm["seconds"], arm["samples"]) == (1234 + place, 10 + place, name != "exactly")
    assert [cell["best"]["mean"] for cell in told["cells"]] == BEST
    assert [cell["best"]["method"] for cell in told["cells"][:3]] == ["hpgd", "amd", "hpgd"]
    assert told["ascent"]["near"] == 7 and told["ascent"]["largest"] == pytest.approx(0.05)


def test_the_page_says_what_came_out(done):
    out, page = done, Page(done / "report.html")
    assert "<h1>exactly reaches the best published value in 9 of 9 cells</h1>" in page.raw
    assert "comes within 0.02 of 7 of 9 known values; the largest difference is 0.0500." in page.text
    assert "exactly works on the transition kernel alone and draws no samples." in page.text
    assert "that of zero_order in 6 and hpgd in 3 of 9 cells" in page.text
    assert "actor_critic is better in 0 and worse in 9; zero_order is better in 6 and worse in 3 of 9" in page.text
    assert "10⁸ environment steps" in page.text and "4k transitions a start" in page.text
    assert "no claim of a win" in page.text and "not finished" not in page.text and "higher is better" in page.text
    (image,) = page.images()
    drawn = base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True)
    assert drawn == (out / "figure.png").read_bytes() and drawn[:8] == b"\x89PNG\r\n\x1a\n"
    assert not {"script", "link", "iframe", "object", "b>"} & {tag for tag, _ in page.tags}
    assert "http" not in re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.raw)
    assert json.loads((out / "experiment.json").read_text())["command"] in page.text
    before = page.raw
    assert write(out) == out / "report.html" and Page(out / "report.html").raw == before
    assert not list(out.rglob("*.part"))


def test_markdown_bold_is_what_reaches_the_best_published(done):
    out, lines = done, (done / "table.md").read_text().splitlines()
    heads = [one.strip() for one in lines[2].strip("|").split("|")]
    assert heads[1:5] == ["published hpgd", "published amd", "known exact", "ascent"] and heads[5:] == list(LEVELS)
    for at, line in enumerate(lines[4:13]):
        texts = [one.strip() for one in line.strip("|").split("|")]
        assert texts[0] == f"τ\u00a0{CELLS[at][0]:g}, cost\u00a0{CELLS[at][1]:g}"
        assert texts[1] == f"{PUBLISHED['hpgd'][at][0]:.2f} ± {PUBLISHED['hpgd'][at][1]:.3f}"
        ascent = KNOWN[at] + [0.01, -0.01, 0.01, 0.01, 0.01, -0.01, 0.01, -0.05, 0.05][at]
        assert texts[4] == (f"**{ascent:.3f}**" if ascent >= BEST[at] else f"{ascent:.3f}")
        for (name, levels), text in zip(LEVELS.items(), texts[5:], strict=True):
            iqm = by_hand(np.array(part(out, name)["values"]))[at]
            assert text.startswith("**") == (levels[at >= 6] > 0)
            assert float(re.match(r"\**([−\d.]+)", text).group(1).replace("−", "-")) == pytest.approx(iqm, abs=6e-4)
            step, heat = GRID[(list(LEVELS).index(name) + at) % 3]
            assert text.endswith(f"{step:g} × {heat:g}")


def test_an_interval_that_reaches_up_is_bold_though_its_middle_does_not(tmp_path):
    out = folder(tmp_path / "out")
    one = part(out, "hpgd")
    one["values"][0] = [0.8] * 5 + [1.0] * 5  # middle .9, which is the best published
    one["values"][1] = [0.5] * 6 + [0.65] * 4  # middle .55 below .6, an upper end above it
    one["values"][2] = [0.39] * 10  # no spread, below .4
    (out / "parts" / "hpgd.json").write_text(json.dumps(one))
    write(out)
    arms = [cell["arms"][0] for cell in json.loads((out / "table.json").read_text())["cells"]]
    assert [arm["reaches"] for arm in arms[:3]] == [True, True, False]
    assert arms[1]["iqm"] == pytest.approx(0.55) and arms[2]["high"] == pytest.approx(0.39)


SO_FAR = "So far, {} the best published value in {} of 9 cells{}"


@pytest.mark.parametrize(
    ("gone", "headline"),
    [
        (("zero_order",), SO_FAR.format("exactly reaches", 9, "")),
        (("ascent", "hpgd"), SO_FAR.format("exactly reaches", 9, "")),
        (("zero_order", "exactly"), SO_FAR.format("hpgd and actor_critic reach", 3, " each")),
        (("hpgd", "zero_order", "actor_critic", "exactly"), "Four rooms: no method has finished yet"),
        (("published",), "Four rooms: the published figures are not there yet"),
    ],
)
def test_an_unfinished_experiment_says_what_is_missing(tmp_path, done, gone, headline):
    out = copytree(done, tmp_path / "out")
    for name in gone:
        (out / "parts" / f"{name}.json").unlink()
    page = Page(write(out))
    assert f"<h1>{headline}</h1>" in page.raw
    assert "not finished" in page.text and f"upperhand resume {out}" in page.text
    assert all(f"parts/{name}.json" in page.text for name in gone)
    others = {"ascent", *LEVELS} - set(gone)
    assert not any(f"parts/{name}.json" in page.text for name in others)
    has_arm = "published" not in gone and bool(set(LEVELS) - set(gone))
    assert (out / "figure.png").exists() == has_arm == bool(page.images())
    assert ("P(zero_order better)" in page.text) == (not {"hpgd", "zero_order", "published"} & set(gone))


def test_no_seed_can_be_told_apart_where_there_are_two(tmp_path):
    told = json.loads((write(folder(tmp_path / "out", seeds=2)).parent / "table.json").read_text())
    found = [arm["better"] for cell in told["cells"] for arm in cell["arms"] if arm["better"]]
    assert len(found) == 18 and all((one["low"], one["high"]) == (0, 1) for one in found)


DAMAGE = [
    ("hpgd", "{", "is not JSON"),
    ("hpgd", "[]", "must hold one JSON object"),
    ("hpgd", {"values": [[1.0]] * 8}, "values must be 9 rows"),
    ("hpgd", {"values": [[1.0, None]] * 9}, "values must be 9 rows"),
    ("hpgd", {"values": [[1.0, 2.0]] * 8 + [[1.0]]}, "values must be 9 rows"),
    ("hpgd", {"chosen": [3] * 9}, "chosen must be 9 whole numbers below 3"),
    ("hpgd", {"chosen": [0.5] * 9}, "chosen must be 9 whole numbers below 3"),
    ("hpgd", {"trials": [[0.0]] * 9}, "trials must be 9 rows of 3 scores"),
    ("hpgd", {"grid": [[1.0]]}, "grid must be rows of (step, heat)"),
    ("hpgd", {"transitions": "many"}, "transitions must be 9 numbers, or 0"),
    ("hpgd", {"updates": True}, "updates must be a whole number above 0"),
    ("hpgd", {"seconds": -1}, "seconds must be a number"),
    ("ascent", {"values": [0.5] * 8}, "values must be 9 numbers"),
    ("published", {"cells": []}, "cells must be rows of (τ, cost)"),
    ("published", {"known": [0.5]}, "known must be 9 numbers"),
    ("published", {"published": {"hpgd": [[0.5]] * 9}}, "published must be method → 9 pairs"),
    ("published", {"arms": ["../hpgd"]}, "arms must be a list of different names"),
]


@pytest.mark.parametrize(("name", "damage", "wanted"), DAMAGE)
def test_a_damaged_part_is_one_line_and_writes_nothing(tmp_path, capsys, name, damage, wanted):
    out = folder(tmp_path / "out")
    path = out / "parts" / f"{name}.json"
    path.write_text(damage if isinstance(damage, str) else json.dumps(part(out, name) | damage))
    with pytest.raises(ValueError, match=re.escape(wanted)) as caught:
        write(out)
    line = str(caught.value)
    assert "\n" not in line and str(path) in line and "delete it" in line and f"`upperhand resume {out}`" in line
    assert main(["report", str(out)]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and wanted in complaint
    assert {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()} == {f"{one}.json" for one in FILES}
