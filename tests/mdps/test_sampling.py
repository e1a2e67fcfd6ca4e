"""Drawing from a finite world: even sweeps of the random words where they decide, chi-square where they mix."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from probes import kernel, random_world
from upperhand.mdps import MDP, sparse
from upperhand.mdps.sampling import first, law, transition
from upperhand.policy_gradients.rollout import chains, rollout

RANDOM = np.random.default_rng(0)
STARTS = {
    "random": RANDOM.dirichlet(np.ones(7)),
    "skewed": RANDOM.dirichlet(np.full(1000, 0.05)),
    "with zeros": np.array([0.0, 0.3, 0.0, 0.0, 0.7, 0.0]),
    "a point": np.eye(5)[3],
    "one state": np.ones(1),
    "uniform": np.full(9, 1 / 9),
}


def spread(n: int, low: int = 0, high: int = 2**32) -> np.ndarray:
    """Words in [low, high), evenly spaced: what they decide happens with its probability, to about 1/n."""
    return (low + (np.arange(n) + 0.5) * (high - low) / n).astype(np.uint32)


def world_from(start: np.ndarray, discount: float) -> MDP:
    """Every step from every state ends the episode."""
    S = len(start)
    shape = (S, 1, 1)
    return sparse(np.zeros(shape, int), np.zeros(shape), start=start, ending=np.ones(shape[:2]), discount=discount)


def frequencies(states, S: int) -> np.ndarray:
    return np.bincount(np.asarray(states), minlength=S) / np.size(states)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_the_alias_table_holds_the_start_law(start):
    """p(s) = ( keep(s) + Σ over the t that lend from s of (1 − keep(t)) )/S."""
    world = law(world_from(start, 0.9))
    assert world.keep.min() >= 0 and world.keep.max() <= 1
    held = (world.keep + np.bincount(world.alias, 1 - world.keep, minlength=len(start))) / len(start)
    np.testing.assert_allclose(held, start, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_chains_start_evenly(start):
    """A state is drawn by its own and its borrowers' intervals of [0, 1): each is off by less than one of B places."""
    world, B = law(world_from(start, 0.9)), 4096
    intervals = 1 + np.bincount(world.alias, minlength=len(start))
    counts = B * frequencies(chains(world, B), len(start))
    assert (np.abs(counts - B * start) <= intervals + 0.01).all()


@pytest.mark.parametrize("discount, dtype", [(0.0, jnp.float32), (0.001, jnp.float64), (0.95, jnp.float32)])
def test_a_fresh_start_after_an_end_follows_the_start_law(discount, dtype):
    """Every step ends; the third word both restarts (below the threshold) and, above it, only picks the state."""
    start, n = STARTS["random"], 200_000
    world, S = law(world_from(start, discount)), len(start)
    draw = jax.jit(lambda s, words: transition(world, jnp.ones((S, 1), dtype), s, words))
    last = np.full(n, 2**32 - 1, np.uint32)
    parts = [(0, world.threshold), (world.threshold, 2**32)] if discount else [(0, 2**32)]
    for low, high in parts:
        words = jnp.asarray(np.stack([last, last, spread(n, low, high)]))
        a, _, alive, after = draw(jnp.zeros(n, jnp.int32), words)
        assert not alive.any() and not a.any() and alive.dtype == dtype
        np.testing.assert_allclose(frequencies(after, S), start, atol=20 / n + 4 / world.threshold)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_ends_of_the_random_words(dtype):
    """Word 0 and the last word choose no leading zero, and end no episode that cannot end there though another can."""
    mdp = sparse([[[0, 1]] * 2] * 2, [[[0.0, 1.0]] * 2, [[0.0, 0.0]] * 2], ending=[[0, 0], [1, 1]], discount=0.9)
    draw = jax.jit(lambda words: transition(law(mdp), jnp.asarray([[0, 1], [0.5, 1]], dtype), jnp.arange(2), words))
    for word in (0, 2**32 - 1):
        words = jnp.full((3, 2), word, jnp.uint32)
        a, after, alive, _ = draw(words)
        assert a[0] == 1 and after[0] == 1 and alive.tolist() == [1, 0]


MIXES = [(False, 0.0, jnp.float32), (False, 0.999, jnp.float32), (False, 0.8, jnp.float64)]
MIXES += [(True, 0.0, jnp.float64), (True, 0.999, jnp.float64), (True, 0.8, jnp.float32)]


def outcomes(mdp: MDP, pi: np.ndarray, s: int, restart: float) -> np.ndarray:
    """The law of (a, s', the chain's next state) [A, S + 1, S] from state s; s' = S is the end. Entry by entry."""
    A, S = pi.shape[1], mdp.states
    P, table = kernel(mdp), np.zeros((A, S + 1, S))
    for a in range(A):
        table[a, S] += pi[s, a] * mdp.ending[s, a] * mdp.start
        for after in range(S):
            table[a, after] += pi[s, a] * P[s, a, after] * restart * mdp.start
            table[a, after, after] += pi[s, a] * P[s, a, after] * (1 - restart)
    return table


def chi_square(counts: np.ndarray, p: np.ndarray) -> float:
    """Pearson's statistic over its threshold at a false alarm of 1e-6; rare outcomes are put together."""
    n, counts, p = counts.sum(), counts.ravel(), p.ravel()
    if counts[p == 0].any():
        return np.inf
    common = n * p > 10
    pool = lambda table: np.append(table[common], table[~common].sum())  # noqa: E731
    seen, wanted = pool(counts), n * pool(p)
    kept = wanted > 0
    return float(np.sum((seen - wanted)[kept] ** 2 / wanted[kept]) / chi2.isf(1e-6, max(kept.sum() - 1, 1)))


@pytest.mark.parametrize("ends, discount, dtype", MIXES)
def test_transitions_follow_policy_kernel_endings_and_restarts(ends, discount, dtype):
    """The joint law of action, successor or end, and next state, from every state; false alarm 1e-6 a case.

    The same counts refuse, as the test checks, a policy without its zero, a kernel that forgets a repeated successor
    and a restart probability that is 5% off (half as much again where restarts are as rare as 0.001).
    """
    rng, n = np.random.default_rng(1), 2**18
    mdp = random_world(rng, 4, 3, 3, ends=ends, repeats=True, discount=discount)
    pi = rng.dirichlet(np.ones(3), size=4)
    pi[0] = [0.0, 0.4, 0.6]
    pi[1] = [0.7, 0.0, 0.3]
    assert any(len(set(row)) < 3 for row in mdp.successor.reshape(-1, 3))
    world, seen = law(mdp), []
    step = jax.jit(lambda s, words: transition(world, jnp.cumsum(jnp.asarray(pi, dtype), -1), s, words))
    for s in range(4):
        words = jax.random.bits(jax.random.key(s), (3, n), jnp.uint32)
        a, after, alive, following = map(np.asarray, step(jnp.full(n, s), words))
        counts = np.zeros((3, 5, 4))
        np.add.at(counts, (a, np.where(alive > 0, after, 4), following), 1)
        seen.append(counts)

    def worst(mdp, pi, restart):
        return max(chi_square(counts, outcomes(mdp, pi, s, restart)) for s, counts in enumerate(seen))

    assert worst(mdp, pi, 1 - discount) < 1
    forgetful = mdp.probability.copy()
    forgetful[..., 0] = 0
    forgetful *= ((1 - mdp.ending) / np.maximum(forgetful.sum(-1), 1e-12))[..., None]
    assert worst(mdp, 0.99 * pi + 0.01 / 3, 1 - discount) > 1
    if discount:  # at γ = 0 nobody sees where the chain would have gone, but s' itself
        assert worst(mdp, pi, (1 - discount) * (1.5 if discount > 0.9 else 1.05)) > 1
    assert worst(mdp._replace(probability=forgetful), pi, 1 - discount) > 1


def occupancy(mdp: MDP, pi: np.ndarray) -> np.ndarray:
    """The normalised discounted occupancy [S, A], by a dense NumPy solve."""
    flow = np.einsum("sa,sat->st", pi, kernel(mdp))
    d = np.linalg.solve(np.eye(mdp.states) - mdp.discount * flow.T, mdp.start)
    return d[:, None] / d.sum() * pi


@pytest.mark.parametrize("ends", [False, True])
def test_long_chains_visit_by_the_normalised_occupancy(ends):
    """4000 independent chains, γ = 0.8: 0.8⁶⁰ of the start is left after the 60 steps that are not counted.

    The standard error is that of the mean of the chains; 18 frequencies within 5.5 of them: false alarm 7e-7.
    The same frequencies refuse the law without restarts, and that of chains which go on after an end as if γ were 1.
    """
    rng, B, T = np.random.default_rng(2), 4000, 100
    mdp = random_world(rng, 6, 3, 3, ends=ends, repeats=True, discount=0.8)
    mdp = mdp._replace(start=np.array([0.7, 0.3, 0.0, 0.0, 0.0, 0.0]))
    pi, world = rng.dirichlet(np.ones(3), size=6), law(mdp)
    roll = jax.jit(lambda key, s: rollout(world, key, jnp.asarray(pi, jnp.float32), s, 60 + T))
    _, seen = roll(jax.random.key(3), chains(world, B))
    pairs = np.asarray(seen.state[60:] * 3 + seen.action[60:])
    met = np.stack([np.mean(pairs == pair, 0) for pair in range(18)])  # [18, B]
    mean, error = met.mean(1), met.std(1, ddof=1) / np.sqrt(B)
    away = lambda mu: np.max(np.abs(mean - mu.ravel()) / error)  # noqa: E731
    assert away(occupancy(mdp, pi)) < 5.5
    assert away(occupancy(mdp._replace(discount=0.75), pi)) > 8
    assert away(occupancy(mdp._replace(discount=0.9999), pi)) > 30
    fresh = 1 - 0.8 * np.asarray(seen.alive[60:])  # its mean is 1/Σ occupancy
    flow = np.einsum("sa,sat->st", pi, kernel(mdp))
    total = np.linalg.solve(np.eye(6) - 0.8 * flow.T, mdp.start).sum()
    error = fresh.mean(0).std(ddof=1) / np.sqrt(B)
    assert abs(fresh.mean() - 1 / total) <= 5 * error + 1e-7


def test_drawing_takes_the_precision_it_is_given():
    world = law(world_from(STARTS["random"], 0.9))
    assert first(world, jnp.asarray([0.5], jnp.float32)).dtype == first(world, jnp.asarray([0.5])).dtype == jnp.int32
