"""Writing texts: frequencies against enumerated probabilities, ends and pads, common random numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from upperhand.mdps.tokens import Tokens, alive, every_text, inverse, write

TOY = Tokens(vocabulary=6, length=3)
TABLE = np.random.default_rng(0).normal(size=(6, 6))  # logits of the next token, by the last


def markov(table, memory=None):
    """A policy that looks at the last token only."""
    return lambda memory, token, position: (jnp.asarray(table)[token], memory)


def law(world: Tokens, table: np.ndarray) -> np.ndarray:
    """P(text) of every text under a Markov policy, in plain Python."""
    writable = [a for a in range(world.vocabulary) if a not in (world.pad, world.begin)]
    found = []
    for text in every_text(world):
        last, probability = world.begin, 1.0
        for a in text:
            weights = {b: np.exp(table[last][b]) for b in writable}
            probability *= weights[a] / sum(weights.values())
            last = a
            if a == world.end:
                break
        found.append(probability)
    return np.array(found)


def counts(world: Tokens, tokens) -> np.ndarray:
    """How often each text was written; every one must be a text."""
    place = {tuple(text): i for i, text in enumerate(every_text(world).tolist())}
    return np.bincount([place[tuple(text)] for text in np.asarray(tokens).tolist()], minlength=len(place))


def drawn(world, table, batch, seed=0):
    return jax.jit(lambda key: write(world, key, markov(table), (), batch))(jax.random.key(seed))


@pytest.mark.parametrize("letters, length", [(1, 1), (3, 3), (2, 5), (4, 4)])
def test_every_text_is_there_once(letters, length):
    world = Tokens(letters + 3, length)
    texts = every_text(world)
    assert texts.shape == (sum(letters**n for n in range(length + 1)), length)
    assert len({tuple(text) for text in texts.tolist()}) == len(texts)
    table = np.random.default_rng(1).normal(size=(letters + 3,) * 2)
    assert law(world, table).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("marks", [(0, 1, 2), (5, 0, 3)])
def test_texts_are_drawn_with_their_probabilities(marks):
    """Pearson's statistic of 40,000 texts over all 40 of them."""
    world = Tokens(6, 3, *marks)
    found, wanted = counts(world, drawn(world, TABLE, 40_000)), 40_000 * law(world, TABLE)
    assert wanted.min() > 5
    assert np.sum((found - wanted) ** 2 / wanted) < chi2.ppf(0.999, len(wanted) - 1)


def test_a_large_vocabulary_is_drawn_with_its_probabilities():
    """Several blocks, of unequal weight, the last one not full."""
    world, N = Tokens(300, 1), 200_000
    table = np.tile(np.random.default_rng(2).normal(size=300), (300, 1))
    weights = np.exp(table[0]) * (np.arange(300) > 1)
    wanted = N * weights / weights.sum()
    found = np.bincount(np.asarray(drawn(world, table, N))[:, 0], minlength=300)
    assert not found[:2].any() and wanted[2:].min() > 5
    assert np.sum((found - wanted)[2:] ** 2 / wanted[2:]) < chi2.ppf(0.999, 297)


def test_pad_and_begin_are_never_drawn_and_the_end_is_the_end():
    table = TABLE.copy()
    table[:, :2] = 50
    texts = np.asarray(drawn(TOY, table, 5000))
    assert texts.dtype == np.int32 and texts.shape == (5000, 3)
    for text in texts.tolist():
        length = text.index(2) if 2 in text else 3
        assert all(a > 2 for a in text[:length]) and not any(text[length + 1 :])


def test_alive_up_to_the_end_token():
    tokens = jnp.asarray([[3, 2, 0, 0], [2, 0, 0, 0], [3, 4, 5, 3], [3, 4, 5, 2], [3, 0, 0, 0]])
    wanted = [[1, 1, 0, 0], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1], [1, 0, 0, 0]]
    found = alive(Tokens(6, 4), tokens)
    assert found.dtype == float
    np.testing.assert_array_equal(found, wanted)


def test_two_policies_write_from_the_same_random_numbers():
    """They differ after letter 3 alone: texts without a letter 3 before their last place are the same."""
    other = TABLE.copy()
    other[3] = other[3][::-1]
    one, two = np.asarray(drawn(TOY, TABLE, 4000)), np.asarray(drawn(TOY, other, 4000))
    same = (one[:, :2] != 3).all(1)
    assert 500 < same.sum() < 3500
    np.testing.assert_array_equal(one[same], two[same])
    assert (one[~same] != two[~same]).any(1).mean() > 0.2
    assert (one != np.asarray(drawn(TOY, TABLE, 4000, seed=1))).any(1).mean() > 0.5


def test_a_policy_is_told_the_position_and_keeps_its_memory():
    """The next token is 3 + the position + the square of the calls before."""

    def step(memory, token, position):
        one = jax.nn.one_hot(3 + position + memory**2, 30) * 100
        return jnp.broadcast_to(one[None], (2, 30)), memory + 1

    texts = write(Tokens(30, 5), jax.random.key(0), step, jnp.int32(0), 2)
    np.testing.assert_array_equal(texts, [[3, 5, 9, 15, 23]] * 2)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("size", [5, 64, 200])
def test_the_ends_of_the_uniform_numbers(dtype, size):
    """0 gives the first possible token, the largest number below 1 the last; impossible ones are never given."""
    possible = np.random.default_rng(size).random(size) < 0.3
    possible[[0, size - 1]], possible[[1, 2]] = False, True
    logits = jnp.where(jnp.asarray(possible), 0, -jnp.inf).astype(dtype)[None]
    last = np.nextafter(dtype(1), dtype(0))
    words = [0, last] + [dtype(k / 997) for k in range(997)]
    found = [int(inverse(logits, jnp.asarray([word], dtype))[0]) for word in words[:2]]
    assert found == [np.flatnonzero(possible)[0], np.flatnonzero(possible)[-1]]
    many = inverse(jnp.broadcast_to(logits, (len(words), size)), jnp.asarray(words, dtype))
    assert possible[np.asarray(many)].all()
