"""The random world: how many successors, which weights, and one world a seed."""

import inspect

import numpy as np
import pytest

from probes import kernel
from upperhand.mdps import random_world


def test_its_law():
    """2000 pairs: numbers of successors even on 1 … 9; of two weights, u/(u + v) is in (1/3, 2/3) every other time."""
    P = kernel(random_world(10, 200, seed=0)).reshape(-1, 10)
    np.testing.assert_allclose(P.sum(-1), 1)
    counts = np.bincount((P > 0).sum(-1), minlength=11)
    assert counts[0] == counts[10] == 0
    expected = 2000 / 9
    assert (((counts[1:10] - expected) ** 2) / expected).sum() < 26.1  # χ² of 8 degrees of freedom, 0.999
    pairs = P[(P > 0).sum(-1) == 2].max(-1)
    assert abs((pairs < 2 / 3).mean() - 0.5) < 3.3 * 0.5 / np.sqrt(len(pairs))
    assert abs((P > 0).mean(0) - 0.5).max() < 3.9 * 0.5 / np.sqrt(2000)  # every state alike: 5 of 10 on average


def test_one_world_a_seed():
    one, same, other = random_world(), random_world(), random_world(seed=4)
    np.testing.assert_array_equal(one.probability, same.probability)
    assert (one.states, one.actions, one.discount) == (10, 5, 0.5)
    assert not np.array_equal(kernel(one), kernel(other))
    np.testing.assert_allclose(one.start, 0.1)
    assert not one.ending.any()


@pytest.mark.parametrize(
    ("change", "told"), [({"states": 1}, "states"), ({"actions": 0}, "actions"), ({"discount": 1.0}, "discount")]
)
def test_it_refuses(change, told):
    with pytest.raises(ValueError, match=told):
        inspect.unwrap(random_world)(**change)
