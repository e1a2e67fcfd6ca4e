"""The interquartile mean and its interval, against numbers by hand and a second bootstrap."""

import numpy as np
import pytest
from scipy import stats

from upperhand.report.statistics import aggregate, improvement, interval, iqm


def test_iqm_by_hand():
    assert iqm([8, 1, 7, 2, 6, 3, 5, 4]) == 4.5  # of 3, 4, 5, 6
    assert iqm([1000, 1, 7, 2, 6, 3, 5, 4]) == 4.5
    assert iqm([0, 0, 9]) == 3.0  # a quarter of three is no seed
    assert iqm([5.0]) == 5.0
    scores = np.arange(24.0).reshape(3, 8)
    assert iqm(scores, axis=1).tolist() == [3.5, 11.5, 19.5]
    assert iqm(scores, axis=0).tolist() == (scores[1]).tolist()
    with pytest.raises(ValueError, match=r"at least one seed: got shape \(0, 3\)"):
        iqm(np.empty((0, 3)))


def test_two_seeds_have_the_interval_that_can_be_counted():
    # the mean of two draws is 0, ½, 1 with probability ¼, ½, ¼: both tails hold more than 2.5%
    middle, low, high = interval([0.0, 1.0])
    assert (float(middle), float(low), float(high)) == (0.5, 0.0, 1.0)


def test_one_seed_is_its_own_interval():
    middle, low, high = interval([[3.0, -1.0, np.nan]])
    for end in (middle, low, high):
        np.testing.assert_array_equal(end, [3.0, -1.0, np.nan])


def test_interval_agrees_with_a_second_bootstrap():
    rng = np.random.default_rng(7)
    scores = rng.lognormal(size=(13, 5))
    found = interval(scores, resamples=4000)
    picks = rng.integers(0, 13, (4000, 13))
    drawn = np.sort(scores[picks], axis=1)[:, 3:10].mean(1)  # ⌊13/4⌋ = 3 off each end
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    spread = high - low
    assert (np.abs(found.low - low) < 0.1 * spread).all() and (np.abs(found.high - high) < 0.1 * spread).all()
    assert ((found.low < found.iqm) & (found.iqm < found.high)).all()
    np.testing.assert_allclose(found.iqm, np.sort(scores, 0)[3:10].mean(0))


def test_interval_covers_the_truth_about_as_often_as_it_says():
    scores = np.random.default_rng(3).normal(size=(25, 400))
    found = interval(scores, resamples=500)
    assert 0.88 < ((found.low <= 0) & (found.high >= 0)).mean() < 0.98
    narrow = interval(scores, resamples=500, confidence=0.5)
    assert 0.38 < ((narrow.low <= 0) & (narrow.high >= 0)).mean() < 0.58


def test_interval_repeats_and_keeps_the_shape_and_the_holes():
    scores = np.random.default_rng(0).normal(size=(6, 2, 3))
    scores[4, 1, 2] = np.nan
    first, again = interval(scores), interval(scores)
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, two)
        assert one.shape == (2, 3) and np.isnan(one[1, 2]) and np.isfinite(one).sum() == 5
    alone = interval(scores[:, 0, 1])
    assert float(alone.low) == first.low[0, 1] and float(alone.high) == first.high[0, 1]


def test_aggregate_takes_every_figure_that_each_row_has():
    rows = [
        {"seed": 10 * n, "step": 5, "gap": float(n), "x": [1.0], "done": True, "word": "a", "odd": np.nan if n else 1.0}
        for n in range(8)
    ]
    rows[3]["extra"] = 1.0
    found = aggregate(rows)
    assert list(found) == ["step", "gap"]
    assert found["step"] == {"iqm": 5.0, "low": 5.0, "high": 5.0}
    assert found["gap"]["iqm"] == 3.5 and 0 <= found["gap"]["low"] < 3.5 < found["gap"]["high"] <= 7
    assert aggregate([]) == {}
    assert aggregate(rows[2:3])["gap"] == {"iqm": 2.0, "low": 2.0, "high": 2.0}


def test_improvement_by_hand():
    # of 4 · 3 pairs: 1 beats 2, 2, 4; 2 beats 4 and ties twice; 3 beats 4; 9 beats none
    assert improvement([1, 2, 3, 9], [2, 2, 4]).probability == pytest.approx((3 + 2 + 1 + 0) / 12)
    assert improvement([5.0], [5.0]) == (0.5, 0.0, 1.0)
    assert improvement([0, 0, 0, 0], [1, 1, 1, 1]) == (1.0, 1.0, 1.0)
    assert improvement([1, 1, 1, 1], [0, 0, 0, 0]) == (0.0, 0.0, 0.0)
    lost = improvement([np.nan, 1, 2, 3], [np.inf, np.inf, 0, 7])  # what is no number is worst, as infinity is
    assert lost.probability == pytest.approx((2 * 0.5 + 3 * (1 + 1 + 0 + 1)) / 16)
    with pytest.raises(ValueError, match="at least one seed: got 0 and 2"):
        improvement([], [1, 2])


@pytest.mark.parametrize("few", [(1, 1), (3, 3), (2, 5), (1, 30)])
def test_too_few_seeds_tell_nothing(few):
    # fully apart, yet by chance as often as 2 in C(N + M, N): 2/2, 2/20, 2/21, 2/31, each above 5%
    found = improvement(np.zeros(few[0]), np.ones(few[1]))
    assert found == (1.0, 0.0, 1.0)
    assert improvement(np.zeros(4), np.ones(4)).low == 1.0  # 2/70
    assert improvement(np.zeros(4), np.ones(4), confidence=0.99).low == 0.0


def test_improvement_agrees_with_mann_whitney_and_a_second_bootstrap():
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=11).round(1), rng.normal(0.6, 1, size=17).round(1)  # rounding makes ties
    found = improvement(a, b, resamples=4000)
    u = stats.mannwhitneyu(b, a).statistic  # pairs where b is greater, ties half
    assert found.probability == pytest.approx(u / (11 * 17))
    drawn = [
        stats.mannwhitneyu(rng.choice(b, 17), rng.choice(a, 11), method="asymptotic").statistic / (11 * 17)
        for _ in range(1500)
    ]
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert abs(found.low - low) < 0.03 and abs(found.high - high) < 0.03
    assert found == improvement(a, b, resamples=4000)


def test_equal_arms_are_told_apart_about_as_seldom_as_the_interval_says():
    rng = np.random.default_rng(11)
    found = [improvement(*rng.normal(size=(2, 12)), resamples=300) for _ in range(300)]
    assert 0.0 < np.mean([one.low > 0.5 or one.high < 0.5 for one in found]) < 0.11
