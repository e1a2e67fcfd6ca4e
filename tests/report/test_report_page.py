"""The page: honest words, nothing from outside, nothing of the folder taken for HTML."""

import ast
import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_up_run import write_run

import upperhand
from upperhand.report import tables, words, writing
from upperhand.report.folder import read
from upperhand.report.page import write

HOUSE = Path(upperhand.__file__).parent / "report"


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.text, self.raw = [], "", Path(path).read_text(encoding="utf-8")
        self.feed(self.raw)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] != "style":
            self.text += data

    def images(self):
        return [attrs["src"] for tag, attrs in self.tags if tag == "img"]


def end_with(out, gaps):
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    last = max(row["step"] for row in rows)
    for row in rows:
        if row["step"] == last:
            row["gap"] = gaps[row["seed"]]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return out


def test_page_is_self_contained_and_has_every_figure(tmp_path):
    out = write_run(tmp_path / "run", seeds=4, steps=600, every=100)
    path = write(out)
    assert path == out / "report.html"
    page = Page(path)
    drawn = {png.stem: png.read_bytes() for png in (out / "figures").iterdir()}
    assert set(drawn) == {"landscape", "grid", "value", "gap", "schedules", "hypergradient", "seeds"}
    inlined = [base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True) for image in page.images()]
    assert sorted(inlined) == sorted(drawn.values())
    for png in drawn.values():
        assert png[:8] == b"\x89PNG\r\n\x1a\n" and int.from_bytes(png[16:20]) >= 5 * 150
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.tags}
    for _, attrs in page.tags:
        assert not any(name.startswith("on") or name in ("href", "srcset", "action") for name in attrs)
    written = re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.raw)  # an image may spell anything
    assert "url(" not in written and "@import" not in written and "http" not in written
    assert all(attrs.get("alt") for tag, attrs in page.tags if tag == "img")


def test_everything_of_the_folder_is_escaped(tmp_path):
    evil = {
        "problem": "<script>alert(1)</script>",
        "solver": "<b>bold</b>",
        "command": 'upperhand run "><img src=x onerror=alert(2)>',
        "solver_settings": {"<i>name</i>": "<iframe></iframe>", "list": ["<u>"]},
        "versions": {"<em>": "&amp;"},
    }
    out = write_run(tmp_path / "<run>&", seeds=2, steps=400, every=100, stop=200, maps=False, config=evil)
    rows = [json.loads(line) | {"<h6>figure": 1.0} for line in (out / "rows.jsonl").read_text().splitlines()]
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = Page(write(out))
    assert not {"script", "b", "i", "iframe", "u", "em", "h6", "run"} & {tag for tag, _ in page.tags}
    assert all(image.startswith("data:image/png;base64,") for image in page.images())
    for text in (
        "<script>alert(1)</script>",
        evil["command"],
        "<i>name</i>",
        "<iframe></iframe>",
        "&amp;",
        "<h6>figure",
    ):
        assert text in page.text


def test_the_same_folder_gives_the_same_page_also_from_threads(tmp_path):
    runs = [write_run(tmp_path / f"run{seeds}", seeds=seeds, steps=300, every=100) for seeds in (2, 3)]
    alone = [write(out).read_bytes() for out in runs]
    with ThreadPoolExecutor(2) as pool:
        together = [path.read_bytes() for path in pool.map(write, runs)]
    assert alone == together
    assert not list(tmp_path.rglob("*.part"))


def test_figures_that_no_longer_apply_are_removed(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100)
    write(out)
    (out / "figures" / "mine.png").write_bytes(b"kept")
    (out / "maps.npz").unlink()
    write(out)
    assert {png.stem for png in (out / "figures").iterdir()} == {"value", "gap", "schedules", "hypergradient", "mine"}


def test_a_damaged_folder_writes_nothing(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100)
    (out / "rows.jsonl").write_text('{"seed": 0')
    with pytest.raises(ValueError, match="line 1"):
        write(out)
    assert not (out / "figures").exists() and not (out / "report.html").exists()


@pytest.mark.parametrize(
    ("gaps", "said"),
    [
        ([0.0, 0.02, 0.0201, 0.5], "2 of 4 starts end within 0.02 of the best known value"),
        ([0.0, 0.01, -0.3, 0.02], "4 of 4 starts end within 0.02 of the best known value"),
        ([0.3, 0.01, 0.3, 0.3], "1 of 4 starts ends within 0.02 of the best known value"),
        ([0.3, 0.03, float("nan"), 0.3], "None of 4 starts ends within 0.02 of the best known value"),
        ([0.01], "The one start ends within 0.02 of the best known value"),
        ([0.25], "The one start ends 0.25 above the best known value"),
    ],
)
def test_the_headline_counts(tmp_path, gaps, said):
    out = end_with(write_run(tmp_path / "run", seeds=len(gaps), steps=200, every=100, maps=False), gaps)
    assert words.headline(read(out)) == said
    told = " ".join(words.notices(read(out)))
    assert ("not a finite number" in told) == any(np.isnan(gaps))
    assert ("below the best known" in told) == (min(gaps) < -1e-4)


def test_an_interrupted_run_says_so(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=2000, every=100, stop=700)
    end_with(out, [0.0, 1.0])
    page = Page(write(out))
    assert "After 700 of 2,000 updates, 1 of 2 starts is within 0.02 of the best known value" in page.text
    assert f"upperhand resume {out}" in page.text and "not finished" in page.text
    whole = write_run(tmp_path / "whole", seeds=1, steps=250, every=100, maps=False)  # 250 is no multiple of 100
    assert words.stopped(read(whole)) is None


def test_without_an_oracle_the_page_speaks_of_the_own_estimate(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=300, every=100, exact=False, maps=False)
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    for row in rows:
        row["upper"] = 2.0 - row["step"] / 200 + row["seed"] - 1
    (out / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = Page(write(out))
    assert (
        "The method’s own estimate of the upper loss falls from 2 to 0.5, interquartile mean of 3 starts" in page.text
    )
    assert "best known" not in page.text and "oracle" not in page.text
    assert {png.stem for png in (out / "figures").iterdir()} == {"value", "schedules"}


def test_without_a_best_known_value_phi_is_told(tmp_path):
    out = write_run(tmp_path / "run", seeds=3, steps=300, every=100, gap=False, maps=False)
    assert words.headline(read(out)).startswith("Φ falls from ")
    page = Page(write(out))
    assert "best known" not in page.text and "gap" not in page.text.lower()


def test_a_long_x_is_counted_not_printed(tmp_path):
    out = write_run(tmp_path / "run", seeds=2, steps=300, every=100, dx=100, config={"problem": "goal_weights"})
    page = Page(write(out))
    assert "x has 100 numbers" in page.text and "found x" not in page.text
    assert "softmax(x)" in page.text
    short = Page(write(write_run(tmp_path / "short", seeds=2, steps=300, every=100)))
    assert "found x" in short.text and "numbers; they" not in short.text


def test_the_tables_hold_the_folders_numbers(tmp_path):
    out = end_with(write_run(tmp_path / "run", seeds=3, steps=300, every=100), [0.1234, 0.0071, 3.2e-6])
    folder = read(out)
    page = Page(write(out))
    x = folder.rows["x"]
    for text in ("0.1234", "0.0071", "3.2 × 10⁻⁶", "19.2k", f"({x[1, -1, 0]:.2f}, {x[1, -1, 1]:.2f})"):
        assert text in page.text
    assert "Each start took 19.2k samples" in page.text and "samples" not in tables.seeds(folder)[0]
    near = [attrs for tag, attrs in page.tags if tag == "tr" and attrs.get("class") == "near"]
    assert len(near) == 2
    assert folder.config["command"] in page.text and "0.10.2" in page.text


def test_bare_rows_still_make_a_page(tmp_path):
    out = tmp_path / "run"
    out.mkdir()
    (out / "config.json").write_text('{"problem": "p", "solver": "s", "steps": 0, "seeds": [0]}')
    (out / "rows.jsonl").write_text('{"seed": 0, "step": 0}\n')
    page = Page(write(out))
    assert "S on p" in page.text and page.images() == []


def test_numbers_as_a_person_reads_them():
    assert [writing.number(n) for n in (0.0, -0.4953, 128000, 2.5e-7, float("nan"), -float("inf"))] == [
        "0",
        "−0.495",
        "128,000",
        "2.5 × 10⁻⁷",
        "–",
        "−∞",
    ]
    assert [writing.count(n) for n in (950, 12_000, 2_560_000)] == ["950", "12k", "2.56M"]
    assert writing.number(0.0059, 2) == "0.0059" and writing.fixed(-0.5) == "−0.500"
    assert writing.place([7, 1.896]) == "(7.00, 1.90)"


def test_no_jax_in_the_report():
    files = sorted(HOUSE.glob("*.py"))
    assert len(files) >= 8
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                root = name.split(".")[0]
                assert root not in {"jax", "jaxlib", "jaxtyping", "optax"}, f"{file.name} imports {name}"
                assert root != "upperhand" or name.startswith("upperhand.report"), f"{file.name} imports {name}"
                assert "pyplot" not in name, f"{file.name} imports {name}"


def test_the_template_travels_with_the_package():
    assert (HOUSE / "page.html.jinja").is_file()
