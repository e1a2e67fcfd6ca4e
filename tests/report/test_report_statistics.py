"""The interquartile mean and its interval, against numbers by hand and a second bootstrap."""

import numpy as np
import pytest

from upperhand.report.statistics import aggregate, interval, iqm


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
