"""variance_reduction: where ‖G‖² starts, that it falls, equal cost, less noise with the reduction; the words."""

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments.variance_reduction import ARMS, FAIR, MEAN, Config, residuals, told

SMALL = Config(seeds=3, budget=10_000, sizes=(0.1,))


@pytest.mark.long
def test_the_reduction_lowers_what_stays_at_equal_cost():
    """From x = 0, ‖G‖² = ‖soft(c, l1)‖² by hand; after 75 updates of step .1 only noise is left, and less of it."""
    c = np.linspace(-2, 2, 10)
    start = (np.maximum(np.abs(c) - 0.3, 0) ** 2).sum()
    found = {name: residuals(name, SMALL, 150) for name in ARMS[:2]}
    for squares in found.values():
        assert squares.shape == (1, 3, 150)
        np.testing.assert_allclose(squares[..., 0], start, rtol=1e-6)
    late = {name: squares[..., 75:].mean() for name, squares in found.items()}
    assert late["asbio_bred"] < late["sbio_bred"] < start / 100
    large = residuals(ARMS[2], Config(seeds=2, sizes=(0.1,)), 60)[..., 50:].mean()
    assert large < late["asbio_bred"] / 5  # 60 of the 90 updates that a budget of 90,000 is for the large batches
    assert pytest.approx(39.6) == MEAN and FAIR == 40


def test_the_answer_says_what_came_out():
    """Made-up parts: three times as noisy, and large batches better or not; overlapping seeds are no yes."""

    def part(level, end):
        values = [[level * 0.9, level, level, level * 1.1]]
        return {"steps": 5, "late": values, "end": [[end] * 4], "spent": [1.0], "curve": [[level]], "seconds": 1.0}

    def answer(plain, reduced, large):
        parts = dict(zip(ARMS, (part(plain, plain), part(reduced, reduced), part(large, large)), strict=True))
        return told(SMALL, parts)

    study = answer(3.0, 1.0, 0.5)
    assert study.answer.startswith("Yes, at every step tried") and "times 3.0 at 0.1" in study.answer
    assert "batches of 1000 is better still" in study.answer and study.seconds == 3
    assert "is not better" in answer(3.0, 1.0, 2.0).answer
    assert answer(1.05, 1.0, 2.0).answer.startswith("Not clearly at every step tried")
    assert [row[:3] for row in study.tables[0].rows] == [[name, 0.1, 5] for name in ARMS]


@pytest.mark.parametrize(
    ("bad", "flag"), [({"seeds": 0}, "--seeds"), ({"budget": 1}, "--budget"), ({"sizes": ()}, "--sizes")]
)
def test_a_bad_setting_is_named(bad, flag):
    with pytest.raises(BadInput, match=flag):
        Config(**bad)
