"""heavy_tails, restarts, clipped_goal, small: ratios as claimed, counts of stages, the answers they compute."""

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import clipped_goal, heavy_tails, restarts

SMALL = heavy_tails.Config(runs=1000, gaussian_runs=1000)


@pytest.mark.parametrize("pair", ["sgd-1", "sstm-0"])
def test_clipping_cuts_the_far_quantile(pair):
    """q99.9/q50 of 1000 runs under t noise: below 5 clipped; unclipped above 8, as 95 of 100 samples of 1000 are (the
    ratio of the law is above 20, and the prototype's own 1000 runs had 71 and 61)."""
    ends = heavy_tails.measured(SMALL, heavy_tails.PAIRS[pair], "student")
    without, clipped = heavy_tails.ratio(ends)
    assert clipped < heavy_tails.SHORT and without > 8
    wanted = {"sgd-1": ((0.029, 0.25), (0.020, 0.042)), "sstm-0": ((0.405, 3.1), (0.315, 0.575))}[pair]
    np.testing.assert_allclose(np.quantile(ends, 0.5, axis=1), [each[0] for each in wanted], rtol=0.08)
    assert np.quantile(ends[1], 0.99) == pytest.approx(wanted[1][1], rel=0.08)


def test_under_gaussian_noise_clipped_sgd_is_worse():
    """ν = 0: .466/.812/.957 without clipping, 1.26/1.72/1.79 with it, as specified; both ratios below 4."""
    ends = heavy_tails.measured(SMALL, heavy_tails.PAIRS["sgd-0"], "gaussian")
    found = np.quantile(ends, heavy_tails.SHARES, axis=1).T
    np.testing.assert_allclose(found, [[0.466, 0.812, 0.957], [1.26, 1.72, 1.79]], rtol=0.06)
    assert (heavy_tails.ratio(ends) < heavy_tails.GAUSSIAN).all()


def test_the_answer_is_computed():
    """Made-up outputs: log-normal, of a spread that puts the ratio above 20 or below 4."""
    random, found = np.random.default_rng(0), {}
    for pair in heavy_tails.PAIRS:
        for noise in heavy_tails.NOISES:
            spreads = (1.2, 0.3) if noise in heavy_tails.HEAVY else (0.3, 0.3)
            drawn = random.normal(size=2001)
            found[pair, noise] = np.sort(np.exp(np.outer(spreads, drawn - np.median(drawn))), axis=1)
    answer = heavy_tails.study(SMALL, found, 1.0).answer
    assert "NOT " not in answer and "worse median in 0 of 12" in answer
    found["sgd-0", "pareto"] = found["sgd-0", "pareto"][::-1] * np.array([[1.0], [3.0]])
    answer = heavy_tails.study(SMALL, found, 1.0).answer
    assert answer.count("NOT ") == 2 and "worse median in 1 of 12: SGD, ν = 0, Pareto noise" in answer


def test_restarts_reach_their_accuracies():
    """Twelve stages; 300 runs: all clipped ones reach the last accuracy, and medians fall below it in every stage."""
    config = restarts.Config(runs=300)
    assert len(restarts.planned(config, "SSTM")) == 12
    ends = restarts.measured(config, "SSTM", "student")
    assert ends.shape == (2, 12, 300) and (np.median(ends, 2) < 1).all() and (ends[1, -1] <= 1).all()
    found = {("SSTM", noise): ends for noise in restarts.NOISES}
    worse = ends.copy()
    worse[0, -1] = 0.5
    worse[0, -1, :3] = 13.0
    found["SSTM", "student"] = found["SSTM", "pareto"] = worse
    answer = restarts.study(config, found, 1.0).answer
    assert "do reach the last accuracy more often" in answer and "100.00% against 99.00%" in answer
    found["SSTM", "student"] = worse[::-1]
    assert "do NOT reach" in restarts.study(config, found, 1.0).answer


@pytest.mark.long
def test_a_hypergradient_of_a_small_world_has_no_long_tails(monkeypatch):
    """One stream on 4 × 4 cells; and the answer tells another story of another study."""
    config = clipped_goal.Config(seeds=4, updates=300, weights=(0.02, 0.005), points=20)
    arms = clipped_goal.ARMS
    problem = clipped_goal.goal_placement(size=4, width=2.0, upper_bumps=((3, 1, 1, 1),))
    monkeypatch.setattr(clipped_goal, "ARMS", {"no clipping": arms["no clipping"]})
    part = clipped_goal.measured(config, problem, "one stream", 0.02)
    gaps = part["gaps"]["no clipping"]
    assert min(gaps) > -1e-3 and len(set(gaps)) == 4
    assert len(part["errors"]) == 80 and np.max(part["errors"]) < 2 * clipped_goal.NORMAL * np.median(part["errors"])
    monkeypatch.setattr(clipped_goal, "ARMS", {name: arms[name] for name in ("no clipping", "90 % pass")})
    part["gaps"]["90 % pass"] = gaps[::-1]
    found = {(name, w): part for name in clipped_goal.ESTIMATORS for w in config.weights}
    answer = clipped_goal.study(config, found, 1.0).answer
    assert answer.startswith("There is little to clip")
    other = part | {"gaps": part["gaps"] | {"90 % pass": (np.array(part["gaps"]["no clipping"]) - 0.1).tolist()}}
    other["errors"] = (np.array(part["errors"]) ** 6).tolist()
    answer = clipped_goal.study(config, found | {("two streams", 0.005): other}, 1.0).answer
    assert answer.startswith("There are long tails") and "two streams, w = 0.005, 90 % pass (-0.1000)" in answer


@pytest.mark.parametrize(
    ("config", "setting", "bad"),
    [
        (heavy_tails.Config, "runs", 1), (heavy_tails.Config, "gaussian_runs", 1), (heavy_tails.Config, "updates", 1),
        (heavy_tails.Config, "numbers", 0), (heavy_tails.Config, "sigma", 0.0), (restarts.Config, "runs", 1),
        (restarts.Config, "updates", 1), (clipped_goal.Config, "seeds", 1), (clipped_goal.Config, "updates", 1),
        (clipped_goal.Config, "points", 0), (clipped_goal.Config, "points", 1000),
        (clipped_goal.Config, "weights", (0.1, 0.1)), (clipped_goal.Config, "weights", ()),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(config, setting, bad):
    with pytest.raises(BadInput, match=f"^--{setting.replace('_', '-')} must .*got"):
        config(**{setting: bad})
