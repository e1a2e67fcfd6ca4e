"""Chains of transitions against a replay in NumPy, word by word."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import random_world
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.rollout import chains, rollout


def drawn(p, u: float) -> int:
    """The index that u in [0, 1) picks from the law p; len(p) where the law leaves it out."""
    return int(np.searchsorted(np.cumsum(p), u, side="right"))


def replay(mdp, words, pi, s):
    """One chain: (s, a, s' or −1 after an end, whether the next state must be a fresh start), step by step."""
    for action, successor, third in words / 2.0**32:
        a = drawn(pi[s], action)
        k = drawn(mdp.probability[s, a], successor)
        ended, fresh = k == mdp.successor.shape[-1], third < 1 - mdp.discount
        after = -1 if ended else int(mdp.successor[s, a, k])
        s = yield s, a, after, ended or fresh


@pytest.mark.parametrize("ends, length", [(False, 1), (True, 5), (False, 40), (True, 40)])
def test_a_rollout_is_its_replay(ends, length):
    """Same words, same states, actions, successors and ends; fresh starts only where due, and only at start states."""
    rng, B = np.random.default_rng(length), 16
    mdp = random_world(rng, 5, 3, 3, ends=ends, repeats=True, discount=0.8)
    mdp = mdp._replace(start=np.array([0.0, 0.5, 0.0, 0.5, 0.0]))
    pi, key = rng.dirichlet(np.ones(3), size=5), jax.random.key(length)
    roll = jax.jit(lambda key: rollout(law(mdp), key, jnp.asarray(pi), chains(law(mdp), B), length))
    last, seen = roll(key)
    words = np.asarray(jax.random.bits(key, (length, 3, B), jnp.uint32), np.float64)
    states = np.append(np.asarray(seen.state), np.asarray(last)[None], 0)
    assert seen.state.shape == seen.alive.shape == (length, B) and last.shape == (B,)
    freshly = 0
    for b in range(B):
        chain = replay(mdp, words[:, :, b], pi, int(states[0, b]))
        told = next(chain)
        for t in range(length):
            s, a, after, is_fresh = told
            assert (s, a) == (seen.state[t, b], seen.action[t, b])
            assert (after == -1) == (seen.alive[t, b] == 0)
            assert after == -1 or after == seen.successor[t, b]
            following = int(states[t + 1, b])
            assert following in (1, 3) if is_fresh else following == after
            freshly += is_fresh
            told = chain.send(following) if t + 1 < length else None
    assert length < 40 or freshly > 0.1 * length * B  # else fresh starts were hardly looked at
    assert length < 40 or bool((np.asarray(seen.alive) == 0).any()) == ends


def test_same_key_same_chains_and_another_key_others():
    mdp = random_world(np.random.default_rng(0), 5, 3, 3)
    world, pi = law(mdp), jnp.full((5, 3), 1 / 3)
    roll = jax.jit(lambda key: rollout(world, key, pi, chains(world, 8), 6))
    one, again, other = (roll(jax.random.key(seed)) for seed in (0, 0, 1))
    assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(again), strict=True))
    assert not np.array_equal(one[1].action, other[1].action)
    columns = np.asarray(one[1].action).T
    assert len({tuple(column) for column in columns}) > 4  # chains do not share their words


def test_one_chain_and_many_start_as_the_start_law_says():
    mdp = random_world(np.random.default_rng(4), 6, 2, 2)
    counts = np.bincount(chains(law(mdp), 60_000), minlength=6)
    np.testing.assert_allclose(counts / 60_000, mdp.start, atol=1e-3)
    assert chains(law(mdp), 1).shape == (1,)
