"""The ring of compared pairs, against a list that forgets."""

from collections import deque

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from text_probes import Toy, light
from upperhand.hypergradients.gibbs import totals
from upperhand.hypergradients.pairs import Pairs, counts, draw, put, ring


def batch(rng, size, start):
    """Pairs that can be told apart, a third of them skipped."""
    label = np.where(rng.random(size) < 1 / 3, np.nan, rng.random(size))
    first = np.arange(start, start + size)[:, None] * np.ones((1, 3), int)
    return Pairs(*map(jnp.asarray, (first.astype(np.int32), -first.astype(np.int32), label)))


def test_it_holds_the_newest_that_were_not_skipped():
    rng, held, kept = np.random.default_rng(0), ring(7, 3), deque(maxlen=7)
    join = jax.jit(put)
    for step in range(12):
        new = batch(rng, 4, 10 * step)
        held = join(held, new)
        kept.extend(
            (int(a[0]), int(b[0]), float(label)) for a, b, label in zip(*new, strict=True) if not np.isnan(label)
        )
        is_full = ~np.isnan(held.pairs.label)
        found = [
            (int(a[0]), int(b[0]), float(label)) for a, b, label, full in zip(*held.pairs, is_full, strict=True) if full
        ]
        assert sorted(found) == sorted(kept)
    assert len(kept) == 7 and int(held.count) > 14
    assert held.pairs.first.dtype == jnp.int32


def test_it_is_drawn_from_evenly():
    """3 pairs in 10 places, 6000 draws: each 2000, give or take 4 deviations; an empty ring gives skipped pairs."""
    held = ring(10, 3)
    drawn = light(draw, static_argnums=2)
    assert np.isnan(drawn(held, jax.random.key(0), 5).label).all()
    three = Pairs(jnp.ones((3, 3), jnp.int32), jnp.ones((3, 3), jnp.int32), jnp.asarray([0.1, 0.2, 0.3]))
    found = np.asarray(drawn(light(put)(held, three), jax.random.key(1), 6000).label)
    times = [(found == label).sum() for label in (0.1, 0.2, 0.3)]
    assert sum(times) == 6000 and np.abs(np.array(times) - 2000).max() < 4 * np.sqrt(6000 * 2 / 9)


def test_counts_are_the_features_of_a_lexicon():
    toy = Toy()
    found = counts(toy.reading, 6)
    np.testing.assert_array_equal(found, toy.counts)
    x = jnp.asarray(toy.x)
    np.testing.assert_allclose(found @ x, totals(toy.tokens, x, toy.reading), rtol=1e-12)


def test_more_than_it_holds_is_refused():
    with pytest.raises(ValueError, match="places"):
        put(ring(3, 3), batch(np.random.default_rng(1), 4, 0))
    with pytest.raises(ValueError, match="at least 1"):
        ring(0, 3)
