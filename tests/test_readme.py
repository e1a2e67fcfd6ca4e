"""What the README promises: its examples run as they stand, and their results are what it says."""

import re
from pathlib import Path

import jax
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


@pytest.fixture
def single_precision():
    with jax.enable_x64(False):
        yield


def lines(example):
    return [line for line in example.splitlines() if line.strip() and not line.startswith("import")]


def test_the_first_example_finds_the_goal(single_precision, capsys):
    assert len(lines(EXAMPLES[0])) <= 10
    names = {}
    exec(EXAMPLES[0], names)
    result = names["result"]
    assert result.x.shape == (4, 2) and (result.gap <= 0.03).all() and (result.gap > -1e-3).all()


def test_your_own_problem_improves_on_where_it_started(single_precision, capsys):
    assert len(lines(EXAMPLES[1])) <= 15
    names = {}
    exec(EXAMPLES[1], names)
    problem, result = names["problem"], names["result"]
    grid = np.stack(np.meshgrid(*[np.linspace(-4, 4, 17)] * 2), -1).reshape(-1, 2)
    from upperhand.hypergradients.enumeration import values

    best = values(problem.exact, grid).min()
    start = np.array([row["value"] for row in result.rows if row["step"] == 0])
    assert (result.value < start).all() and np.median(result.value) - best < 0.25 * (np.median(start) - best)


def test_the_language_model_learns_what_is_liked(single_precision, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("UPPERHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    assert len(lines(EXAMPLES[2])) <= 10
    names = {}
    exec(EXAMPLES[2], names)
    rows = names["result"].rows
    assert rows[-1]["score"] > rows[0]["score"] + 0.1 and rows[-1]["kl"] < 3
    assert (tmp_path / "runs" / "exclaiming" / "texts.json").is_file()


def test_files_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    named = re.findall(r"\((docs/[\w.]+)\)", text)
    assert named and all((ROOT / name).is_file() for name in named)
