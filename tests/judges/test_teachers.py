"""Simulated people: frequencies against the Bradley–Terry law, and each way of being wrong by itself."""

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.judges import Teacher, labels

N = 20_000


def person(texts):
    """The sum of the numbers that a text is made of."""
    return [sum(map(float, text.split())) for text in texts]


def share(teacher, first="0.7", second="0.4", seed=0):
    return labels(teacher, person, [first] * N, [second] * N, seed)


def near(found, wanted):
    """Within 4.5 standard errors of a frequency."""
    assert abs(np.mean(found) - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted) / N) + 1e-12


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("mistaken", [0.0, 0.2])
def test_the_law(temperature, mistaken):
    right = 1 / (1 + np.exp(-0.3 / temperature))
    found = share(Teacher(temperature=temperature, mistaken=mistaken))
    assert set(np.unique(found)) == {0.0, 1.0}
    near(found, right * (1 - mistaken) + (1 - right) * mistaken)


def test_the_rational_are_always_right_and_toss_a_coin_between_equals():
    found = labels(Teacher(), person, ["1", "2", "-1"], ["2", "1", "-1.001"], 0)
    assert found.tolist() == [0.0, 1.0, 1.0]
    near(share(Teacher(), "1", "1"), 0.5)


def test_small_temperatures_do_not_overflow():
    with np.errstate(all="raise"):
        assert labels(Teacher(temperature=1e-9), person, ["9", "-9"], ["0", "0"], 0).tolist() == [1.0, 0.0]


def test_the_myopic_read_the_end():
    first, second = "9 9 1 1", "0 0 2 2"
    assert labels(Teacher(), person, [first], [second], 0).tolist() == [1.0]
    assert labels(Teacher(words=2), person, [first], [second], 0).tolist() == [0.0]
    assert labels(Teacher(words=3), person, [first], [second], 0).tolist() == [1.0]


def test_ties_and_skips():
    first, second = ["1", "1", "-1", "-1", "-5"], ["1.05", "1.2", "-1.01", "3", "-7"]
    found = labels(Teacher(equal=0.1, skip=0.0), person, first, second, 0)
    np.testing.assert_array_equal(found, [0.5, 0.0, np.nan, 0.0, np.nan])
    found = labels(Teacher(equal=0.1, mistaken=1.0), person, first, second, 0)
    np.testing.assert_array_equal(found, [0.5, 1.0, 0.5, 1.0, 0.0])


def test_the_seed_decides_and_skipping_moves_no_draw():
    teacher = Teacher(temperature=1.0)
    one, same, other = (share(teacher, seed=seed) for seed in (1, 1, 2))
    assert (one == same).all() and (one != other).any()
    u = [str(value) for value in np.random.default_rng(0).normal(size=200)]
    plain, skipping = (labels(t, person, u, u[::-1], 3) for t in (teacher, teacher._replace(skip=0.0)))
    kept = ~np.isnan(skipping)
    assert 0 < kept.sum() < 200
    np.testing.assert_array_equal(plain[kept], skipping[kept])


def test_bad_input():
    for setting in ({"temperature": -1.0}, {"mistaken": 1.5}, {"words": -1}, {"equal": -0.1}, {"skip": np.nan}):
        with pytest.raises(BadInput, match=f"teacher.{next(iter(setting))} must be"):
            labels(Teacher(**setting), person, ["1"], ["2"], 0)
    with pytest.raises(BadInput, match="got 2 and 1"):
        labels(Teacher(), person, ["1", "2"], ["2"], 0)
    with pytest.raises(BadInput, match="the person gave nan for 'nan'"):
        labels(Teacher(), person, ["nan"], ["2"], 0)
