"""mirror_steps, small: gaps against NumPy, what counts as reached, and an answer that can be no."""

import numpy as np

from upperhand.experiments import mirror_steps
from upperhand.experiments.mirror_steps import ARMS, Config, measured, reached, told

SMALL = Config(draws=2, steps=40, numbers=5, loops=6)


def by_hand(seed, size, floor):
    """The gaps of bio_bred on scaled_lasso: y is x up to a share .5^loops of where it was, coordinate by coordinate."""
    s, l1, c = np.geomspace(1e-3, 1, 5), 1e-4, 2.5 * np.random.default_rng(seed).normal(size=5)
    soft = lambda v, t: np.sign(v) * np.maximum(np.abs(v) - t, 0)  # noqa: E731
    value = lambda x: (s * (x - c) ** 2).sum() / 2 + l1 * np.abs(x).sum()  # noqa: E731
    x, y, v, gaps = np.zeros(5), np.zeros(5), np.zeros(5), []
    for t in range(SMALL.steps + 1):
        gaps.append(value(x) - value(soft(c, l1 / s)))
        y = x + 0.5**SMALL.loops * (y - x)
        d = (1 - 0.5**SMALL.loops) * s * (y - c)
        v = 0.99 * v + 0.01 * d * d
        h = np.sqrt(v / (1 - 0.99 ** (t + 1))) + floor if floor else 1.0
        x = soft(x - size * d / h, size * l1 / h)
    return gaps


def test_gaps_are_those_of_the_recursion():
    for name, size, floor in (("Euclidean, step 1.9", 1.9, 0), ("adaptive, step 0.05, floor 0.001", 0.05, 1e-3)):
        found = measured(SMALL, *ARMS[name])
        np.testing.assert_allclose(found, [by_hand(seed, size, floor) for seed in (0, 1)], rtol=1e-8)


def test_adaptive_steps_are_slower_at_first_faster_then_and_do_not_stay():
    """The study's draws: twice as fast to 1e-4 by the median, slower to 1e-2; the gap rises again, as theory lets it
    where the size is constant and the floor small."""
    plain, own = (measured(Config(), *ARMS[name]) for name in list(ARMS)[:2])
    ratio = {level: np.median(reached(plain, level) / reached(own, level)) for level in (1e-2, 1e-4)}
    assert ratio[1e-4] >= 2 and ratio[1e-2] < 1
    assert np.median(own.min(1)) < 1e-6 and np.median(own[:, -1]) > 1e-4 > 10 * np.median(plain[:, -1])


def test_the_answer_says_what_came_out():
    """Made-up gaps: reached at 4 against 2 is twice; the other way round it is no; never is never."""
    falls = lambda at: np.where(np.arange(11) >= at, 1e-5, 1.0)[None]  # noqa: E731
    np.testing.assert_array_equal(reached(np.concatenate([falls(3), falls(20)]), 1e-4), [3, np.inf])
    names = list(ARMS)

    def answer(first, second):
        gaps = dict.fromkeys(names, falls(5)) | {names[0]: falls(first), names[1]: falls(second)}
        return told(Config(draws=1, steps=10), gaps, 1.0)

    assert answer(8, 2).answer.startswith("Yes: to a gap of 1e-4 Euclidean steps take 4.0 times")
    assert (
        answer(2, 8).answer.startswith("Not by the factor of 2")
        and "adaptive ones are slower (8 against 2)" in answer(2, 8).answer
    )
    assert "they stay there: after 10 updates the median gap is 1.0e-05" in answer(8, 2).answer
    assert answer(20, 2).answer.startswith("Not all draws came to")
    assert answer(20, 2).tables[0].rows[0][1:] == ["never [never, never]"] * 3
    assert mirror_steps.__doc__.count("Takes: ") == 1
