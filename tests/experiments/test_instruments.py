"""The experiment on instruments, small: known errors of its baselines, the confounding, and the answer it computes."""

import json

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import instruments
from upperhand.problems.npiv import stages

CONFIG = instruments.Config(seeds=2, steps=200, rows=(400, 40), strengths=(0.1, 1.0), particles=20)


def test_errors_of_the_step():
    """2,000 rows, 3 seeds: polynomials .0437 (known); .0239 and 4.8 times as much were measured after 2,000 updates."""
    found = instruments.measured(instruments.Config(seeds=3, steps=300), "step", 2000, (1.0,))["error"]
    assert np.mean(found["polynomial"]) == pytest.approx(0.0437, abs=5e-5)
    ours, direct = np.mean(found["f2bmld"]), np.mean(found["direct"])
    assert np.shape(found["f2bmld"]) == (1, 3) and 0.01 < ours < 0.035 and 3.5 < direct / ours < 12


def test_polynomials_by_hand():
    """Both stages as regressions of their own, with powers of z and a as they are."""
    first, second = stages("abs", 300, 0.1, 5)
    of_z = lambda sample: sample.z ** np.arange(8)  # noqa: E731
    predicted = of_z(second) @ np.linalg.pinv(of_z(first)) @ first.a ** np.arange(6)
    weights = np.linalg.pinv(predicted) @ second.y
    wanted = instruments.GRID[:, None] ** np.arange(6) @ weights
    np.testing.assert_allclose(instruments.polynomial(first, second), wanted, rtol=1e-6, atol=1e-8)


def test_it_is_told_and_nothing_is_done_twice(tmp_path, monkeypatch):
    """With figures made up: five pictures, the table of means, the page."""

    def measured(config, target, rows, strengths):
        ours = [[strength * rows, strength + rows] for strength in strengths]
        found = dict.fromkeys(("f2bmld", *instruments.BASELINES), list(np.linspace(0, 1, 400)))
        return {"error": {"f2bmld": ours, "direct": [1.0, 3.0], "polynomial": [4.0, 6.0]}, "found": found, "shown": 0.1}

    monkeypatch.setattr(instruments, "measured", measured)
    said = []
    assert instruments.carry_out(CONFIG, tmp_path, said.append).exists() and len(said) == 3
    instruments.carry_out(CONFIG, tmp_path, lambda text: pytest.fail(text))
    told = json.loads((tmp_path / "parts" / "study.json").read_text())
    names = ["errors-400", "errors-40", "functions-step-400", "functions-step-40", "functions-abs-400"]
    assert [figure["name"] for figure in told["figures"]] == names
    assert all((tmp_path / "figures" / f"{name}.png").exists() for name in names)
    assert told["tables"][0]["rows"] == [
        ["step", 400, (40 + 400.1) / 2, (400 + 401) / 2, 2, 5],
        ["step", 40, (4 + 40.1) / 2, (40 + 41) / 2, 2, 5],
        ["abs", 400, None, (400 + 401) / 2, 2, 5],
    ]


def test_the_answer_is_what_came_out():
    row = np.array([0.0, 0.001])
    case = lambda *means: {  # noqa: E731
        "f2bmld": np.array(means)[:, None] + row, "direct": 0.5 + row, "polynomial": 0.25 + row
    }  # fmt: skip
    told = lambda many, few, absolute: instruments.answered(  # noqa: E731
        CONFIG, dict(zip(instruments.cases(CONFIG), (many, few, absolute), strict=True))
    )
    text = told(case(0.2, 0.1), case(0.1, 0.3), case(0.4))
    assert text.startswith(
        "Yes: the error is least at lambda_pen = 1 with 400 rows (0.2005, 0.1005) and at 0.1 with 40"
    )
    assert "direct regression has 0.5005 and polynomial 2SLS has 0.2505, against 0.1005" in text
    assert "the polynomials win: 0.251 against 0.401" in text and "0.200 (0.200 to 0.200) more" in text
    assert told(case(0.1, 0.2), case(0.1, 0.3), case(0.2)).startswith("It did NOT come out")
    assert "do NOT win" in told(case(0.1, 0.2), case(0.1, 0.3), case(0.2))
    unsure = case(0.1, 0.3)
    unsure["f2bmld"] = np.array([[0.1, 0.3], [0.4, 0.1]])
    assert told(case(0.2, 0.1), unsure, case(0.4)).startswith("Only in the means")


@pytest.mark.parametrize(
    "bad",
    [{"seeds": 1}, {"steps": 0}, {"particles": 0}, {"rows": (200, 2000)}, {"rows": (200, 5)}, {"strengths": (1.0,)},
     {"strengths": (1.0, 0.1)}, {"strengths": (0.0, 1.0)}],
)  # fmt: skip
def test_a_bad_setting_is_named(bad):
    with pytest.raises(BadInput, match=f"--{next(iter(bad))} must be"):
        instruments.Config(**bad)
