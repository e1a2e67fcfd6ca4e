"""Episodes against a replay in NumPy, word by word; their starts, and the sums over their steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import random_world
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.episodes import backward, episodes, forward, starts, visited, visits


def drawn(p, u: float) -> int:
    """The index that u in [0, 1) picks from the law p; len(p) where the law leaves it out."""
    return int(np.searchsorted(np.cumsum(p), u, side="right"))


@pytest.mark.parametrize("ends, length", [(False, 1), (False, 12), (True, 12)])
def test_episodes_are_their_replay(ends, length):
    """Same words, same states and actions until an end; nothing runs after it."""
    rng, B = np.random.default_rng(length), 40
    mdp = random_world(rng, 5, 3, 3, ends=ends, repeats=True)
    pi, key = rng.dirichlet(np.ones(3), size=5), jax.random.key(length)
    seen = jax.tree.map(np.asarray, jax.jit(lambda key: episodes(law(mdp), key, jnp.asarray(pi), B, length))(key))
    words = np.asarray(jax.random.bits(jax.random.split(key)[1], (length, 2, B), jnp.uint32)) / 2.0**32
    lengths = []
    for b in range(B):
        s, runs = int(seen.state[0, b]), True
        for t in range(length):
            assert seen.is_running[t, b] == runs
            if runs:
                a = drawn(pi[s], words[t, 0, b])
                assert (s, a) == (seen.state[t, b], seen.action[t, b])
                k = drawn(mdp.probability[s, a], words[t, 1, b])
                runs = k < 3 or mdp.ending[s, a] == 0  # rows sum to one only up to rounding
                s = int(mdp.successor[s, a, min(k, 2)])
        assert seen.ended[b] == 1 - runs
        lengths.append(seen.is_running[:, b].sum())
    assert seen.state.shape == (length, B)
    assert (np.min(lengths) < length) == ends and np.max(lengths) == length


def test_starts_follow_the_start_law():
    """Every episode's own start law, averaged over 2000 shifts, is the world's; so is that of all, for one shift."""
    mdp = random_world(np.random.default_rng(4), 6, 2, 2)
    shifts = (jnp.arange(2000) + 0.5) / 2000
    drawn = np.asarray(jax.vmap(lambda shift: starts(law(mdp), shift, 5))(shifts))
    np.testing.assert_allclose(np.bincount(drawn.ravel(), minlength=6) / drawn.size, mdp.start, atol=12 / drawn.size)
    many = np.asarray(starts(law(mdp), jnp.asarray(0.3), 20_000))
    np.testing.assert_allclose(np.bincount(many, minlength=6) / 20_000, mdp.start, atol=12 / 20_000)


def test_the_same_key_drives_two_policies_by_the_same_words():
    """Policies that differ in one state: from equal keys the same episodes, until that state is met."""
    mdp = random_world(np.random.default_rng(0), 5, 3, 3)
    one = np.random.default_rng(1).dirichlet(np.ones(3), size=5)
    other = one.copy()
    other[4] = one[4][::-1]
    go = jax.jit(lambda key, pi: episodes(law(mdp), key, pi, 200, 10))
    here, there, elsewhere = (go(jax.random.key(key), jnp.asarray(pi)) for key, pi in ((0, one), (0, other), (1, one)))
    before = np.cumsum(np.asarray(here.state) == 4, 0) == 0
    assert 0.05 < before.mean() < 0.95
    assert (np.asarray(here.action == there.action) | ~before).all()
    assert np.mean(np.asarray(here.action == elsewhere.action)[before]) < 0.6


def test_sums_over_steps_are_those_of_loops():
    """backward, forward (its transpose), visits and visited, by loops; what no longer runs is in no table."""
    rng = np.random.default_rng(0)
    mdp = random_world(rng, 5, 3, 3, ends=True)
    seen = episodes(law(mdp), jax.random.key(0), jnp.full((5, 3), 1 / 3), 7, 9)
    gains, marks = rng.normal(size=(2, 9, 7))
    to_come, come = np.zeros((2, 9, 7))
    for t in range(9):
        for k in range(9):
            to_come[t] += 0.8 ** (k - t) * gains[k] if k >= t else 0
            come[t] += 0.8 ** (t - k) * marks[k] if k <= t else 0
    np.testing.assert_allclose(backward(jnp.asarray(gains), 0.8), to_come, rtol=1e-12)
    np.testing.assert_allclose(forward(jnp.asarray(marks), 0.8), come, rtol=1e-12)
    table, mu, (s, a, runs) = np.zeros((5, 3)), np.zeros((5, 3)), map(np.asarray, seen[:3])
    for t, b in np.ndindex(9, 7):
        table[s[t, b], a[t, b]] += gains[t, b] if runs[t, b] else 0
        mu[s[t, b], a[t, b]] += 0.8**t / 7 if runs[t, b] else 0
    np.testing.assert_allclose(visits(seen, jnp.asarray(gains), 5, 3), table, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(visited(seen, 0.8, 5, 3), mu, rtol=1e-12, atol=1e-14)
    assert runs.min() == 0
