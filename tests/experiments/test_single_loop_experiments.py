"""averaging, worst_task, singular_lower, small: figures against theory, settings, the answers they compute."""

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import averaging, singular_lower, worst_task

QUIET = lambda text: None  # noqa: E731


def test_averaging_makes_the_direction_as_good_as_its_weight():
    """A quarter of the steps halves the error of MA-SOBA's direction; SOBA's is σ²(1 + z²) = 0.29 and more, by hand."""
    config = averaging.Config(kinked_seeds=16, lengths=(500, 4000))
    _, (name, problem, seeds) = averaging.problems(config)
    found = {(name, method): averaging.measured(config, problem, method, seeds) for method in averaging.METHODS}
    ours, soba = (np.mean(found[name, method]["direction"], 1) for method in averaging.METHODS)
    rate = {
        (m, kind): averaging.slope(config.lengths, each)
        for (_, m), part in found.items()
        for kind, each in part.items()
    }
    assert -0.65 < rate["MA-SOBA", "direction"] < -0.35 and rate["SOBA", "direction"] > -0.15
    assert all(-0.65 < rate[method, "gradient"] < -0.4 for method in averaging.METHODS)
    assert (soba > 0.29).all() and soba[1] < 0.36 and ours[1] < 0.15 * soba[1]
    told = averaging.study(config, found, 1.0)
    assert "does fall with the length" in told.answer and "NOT" not in told.answer
    swapped = dict(zip(found, reversed(found.values()), strict=True))
    assert "does NOT fall with the length" in averaging.study(config, swapped, 1.0).answer


@pytest.mark.long
def test_averaging_on_vectors():
    """`quadratic` with noise 1: the specification's bounds on slopes, which hold for the mean of 8 seeds."""
    config = averaging.Config(seeds=8, lengths=(500, 4000))
    name, problem, seeds = averaging.problems(config)[0]
    for method, (least, most) in {"MA-SOBA": (-0.7, -0.35), "SOBA": (-0.15, 0.0)}.items():
        part = averaging.measured(config, problem, method, seeds)
        assert -0.65 < averaging.slope(config.lengths, part["gradient"]) < -0.4
        assert least < averaging.slope(config.lengths, part["direction"]) < most


def test_the_slope_is_that_of_a_power():
    assert averaging.slope((10, 100, 1000), [[2.0, 4.0], [0.2, 0.4], [0.02, 0.04]]) == pytest.approx(-1)


def test_the_worst_task_is_better_off_than_with_equal_weights():
    config = worst_task.Config(seeds=2, pulls=(2.0, 6.0), updates=3000, noisy_updates=3000)
    found = worst_task.measured(config)
    assert found["still"][0, -1, 0] == pytest.approx(2, abs=2e-3) and found["equal"][-1, 0] == pytest.approx(5 / 3)
    assert found["still"][1, -1] == pytest.approx([1.931818, 0.397727, 0.159091, 0.443182], abs=2e-3)
    answer = worst_task.study(config, found, 1.0).answer
    assert answer.startswith("Yes: at pull 2") and "equal weights with 2.7222" in answer
    found["still"] = found["still"] + 2.0
    assert worst_task.study(config, found, 1.0).answer.startswith("NO")


def test_the_saddle_by_bisection_is_the_closed_form():
    for pull, x, p in ((1.0, 2.0, [0.5, 0, 0.5]), (6.0, 1.931818, [0.397727, 0.159091, 0.443182])):
        found, weights = worst_task.saddle(pull)
        assert found == pytest.approx(x, abs=1e-6) and weights == pytest.approx(p, abs=1e-6)


def test_a_singular_lower_level_small(monkeypatch):
    """Warm starts reach ½, cold ones the biased point, a ridge its own and none ½; a run that diverged is counted; the
    residuals' sum no longer grows after 100 updates, so their mean falls as 1/K."""
    monkeypatch.setattr(singular_lower, "GALETS", ((0.1, 1, 1.0, 0.2, 1), (0.1, 1, 0.0, 0.1, 1)))
    monkeypatch.setattr(singular_lower, "RIDGES", (0.0, 0.1))
    monkeypatch.setattr(singular_lower, "LENGTHS", (100, 400))
    config = singular_lower.Config(starts=5, updates=800)
    found = singular_lower.measured(config, QUIET)
    warm, cold = found["galet"] = [end.copy() for end in found["galet"]]
    assert singular_lower.judged(warm)[0] < 1e-15 and 0.3 < singular_lower.judged(cold)[0] < 0.46
    np.testing.assert_allclose(cold[:, 0], 0.05 * (1 + np.cos(cold[:, 2]) ** 2) ** 2, atol=1e-10)
    sums = np.cumsum(found["residuals"])
    assert sums.shape == (400,) and sums[99] > 1 and sums[399] == pytest.approx(sums[99], rel=1e-3)
    np.testing.assert_allclose(found["aid"][0][:, 0], 0.5, atol=1e-15)
    answer = singular_lower.study(config, found, 1.0).answer
    assert "does end at x = ½ to rounding from all 5 starts" in answer and "GALET does leave it" in answer
    warm[2] = np.nan
    answer = singular_lower.study(config, found, 1.0).answer
    assert "does NOT end" in answer and "1 of 10 runs did not come" in answer and "step of y an update" not in answer


def test_settings_that_differ_in_the_steps_of_y_alone_are_compared(monkeypatch):
    monkeypatch.setattr(
        singular_lower, "GALETS", ((0.2, 50, 1.0, 0.2, 1), (0.1, 1, 0.0, 0.1, 3), (0.2, 50, 1.0, 0.2, 10))
    )
    told = singular_lower.by_loops([(0.0, 7), (0.0, 5), (None, 2)], 20)
    assert told == "; at z_step 0.2, 50 solves, kept, 7 of 20 with one step of y an update, 2 with 10"


@pytest.mark.parametrize(
    ("config", "setting", "bad"),
    [
        (averaging.Config, "seeds", 1), (averaging.Config, "kinked_seeds", 0), (averaging.Config, "lengths", (10,)),
        (averaging.Config, "scale", 20.0), (worst_task.Config, "seeds", 0), (worst_task.Config, "pulls", (0.0,)),
        (worst_task.Config, "updates", 5), (worst_task.Config, "noisy_updates", 5), (worst_task.Config, "noise", -1.0),
        (singular_lower.Config, "starts", 1), (singular_lower.Config, "updates", 1),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(config, setting, bad):
    with pytest.raises(BadInput, match=f"^--{setting.replace('_', '-')} must .*got"):
        config(**{setting: bad})
