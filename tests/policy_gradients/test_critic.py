"""Critics against linear solves in NumPy, from transitions whose frequencies are those of a kernel in eighths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import random_world
from upperhand.mdps import MDP, sparse
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.critic import Gains, following, learn, optimistic, soft_logits, step_sizes
from upperhand.policy_gradients.rollout import chains, rollout
from upperhand.types import Trajectory

S, A, GAMMA, TAU = 4, 3, 0.8, 0.3


def test_following_is_a_mean_over_what_was_seen():
    rng = np.random.default_rng(0)
    draw = lambda high: rng.integers(0, high, (7, 5))  # noqa: E731
    seen = Trajectory(draw(S), draw(A), draw(S), rng.integers(0, 2, (7, 5)).astype(float))
    columns, sums, counts = rng.normal(size=(S, 2)), np.zeros((S, A, 2)), np.zeros((S, A))
    for t, b in np.ndindex(7, 5):
        s, a = seen.state[t, b], seen.action[t, b]
        counts[s, a] += 1
        if seen.alive[t, b]:
            sums[s, a] += columns[seen.successor[t, b]]
    assert (counts == 0).any() and (counts > 2).any()
    means, n = following(jax.tree.map(jnp.asarray, seen), jnp.asarray(columns), A)
    np.testing.assert_array_equal(n, counts)
    np.testing.assert_allclose(means, sums / np.maximum(counts, 1)[..., None], atol=1e-14)


@pytest.mark.parametrize("size", [0.05, 0.5, 1.0])
def test_a_step_of_n_samples_is_n_steps(size):
    """Towards one target, one after another; none where nothing was seen."""
    counts, start, target = np.array([[0, 1, 2, 17]]), 3.0, -1.0
    after = []
    for n in counts[0]:
        q = start
        for _ in range(n):
            q += size * (target - q)
        after.append(q)
    found = start + np.asarray(step_sizes(jnp.asarray(counts, float), size)) * (target - start)
    np.testing.assert_allclose(found[0], after, rtol=1e-13, atol=1e-13)


def counted(rng, ends: bool) -> tuple[Trajectory, np.ndarray, np.ndarray]:
    """Transitions [1, T], eight or sixteen for each (s, a) at odds with any policy; their kernel [S, A, S] and ends."""
    rows, P, ending = [], np.zeros((S, A, S)), np.zeros((S, A))
    for s, a in np.ndindex(S, A):
        after = rng.integers(0, S, 8)
        alive = (rng.random(8) > 0.3) if ends else np.ones(8, bool)
        np.add.at(P[s, a], after[alive], 1 / 8)
        ending[s, a] = 1 - alive.mean()
        rows += [(s, a, to, float(on)) for to, on in zip(after, alive, strict=True)] * (1 + (s + a) % 2)
    columns = [np.array(column)[None] for column in zip(*rows, strict=True)]
    return Trajectory(*map(jnp.asarray, columns)), P, ending


def action_values(P, pi, gain, discount=GAMMA):
    """Q = gain + γ P Σ_a π Q, one dense solve in NumPy; gain [S, A, C]."""
    step = np.einsum("sat,tb->satb", P, pi).reshape(S * A, S * A)
    return np.linalg.solve(np.eye(S * A) - discount * step, gain.reshape(S * A, -1)).reshape(gain.shape)


def centred_entropy(pi):
    """Expected gain of entropy at s', over uniform: −τ Σ π log(A π)."""
    return -TAU * np.sum(pi * np.log(A * pi), -1)


def exact_q(P, pi, r, discount=GAMMA):
    """The fixed point of a critic: r and the centred entropy of the states to come."""
    return action_values(P, pi, (r + discount * P @ centred_entropy(pi))[..., None], discount)[..., 0]


def taught(seen, pi, gains, critics, size, times):
    teach = lambda _, critics: learn(critics, seen, pi, jnp.log(pi), gains, size)[0]  # noqa: E731
    return jax.jit(lambda critics: jax.lax.fori_loop(0, times, teach, critics))(critics)


taught_once = jax.jit(
    lambda critics, seen, pi, gains, size: learn(critics, seen, pi, jnp.log(pi), gains, size), static_argnums=4
)


@pytest.fixture(scope="module")
def tables():
    rng = np.random.default_rng(5)
    pi = rng.dirichlet(np.ones(A), size=(2, S))
    return pi, rng.normal(size=(2, S, A)), rng.normal(size=(S, A, 2))


@pytest.mark.parametrize("streams", [1, 2])
@pytest.mark.parametrize("ends", [False, True])
def test_critics_converge_to_linear_solves(ends, streams, tables):
    """Q of both policies, lifetimes and Q_x, though the stream follows neither: its (s, a) are met at other odds.

    Two streams of different kernels, the second one π_w's: each critic must learn from its own.
    """
    pi, r, gradients = tables
    told = [counted(np.random.default_rng(seed), ends) for seed in (1, 2)[:streams]]
    seen = jax.tree.map(lambda *parts: jnp.stack(parts), *(each[0] for each in told))
    told = [told[0], told[-1]]
    gains = Gains(jnp.asarray(r), jnp.asarray(gradients), jnp.asarray(TAU), GAMMA)
    critics = taught(
        seen, jnp.asarray(pi), gains, optimistic(jnp.stack([gains.rewards[0]] * 2), 2, GAMMA, ends), 0.1, 600
    )
    for i, (_, P, _) in enumerate(told):
        np.testing.assert_allclose(critics.q[i, ..., 0], exact_q(P, pi[i], r[i]), atol=1e-9)
        if ends:
            lifetime = action_values(P, pi[i], np.ones((S, A, 1)))
            np.testing.assert_allclose(critics.q[i, ..., 1], lifetime[..., 0], atol=1e-9)
            assert np.ptp(lifetime) > 0.1
    assert critics.q.shape[-1] == 1 + ends
    np.testing.assert_allclose(critics.q_x, action_values(told[-1][1], pi[0], gradients), atol=1e-9)
    assert np.abs(action_values(told[-1][1], pi[1], gradients) - critics.q_x).max() > 0.1  # π's, not π_w's


def frequencies(seen) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and endings of what was seen; every (s, a) must have been."""
    P, ending, counts = np.zeros((S, A, S)), np.zeros((S, A)), np.zeros((S, A))
    parts = (np.asarray(part).ravel() for part in seen)
    for s, a, after, alive in zip(*parts, strict=True):
        counts[s, a] += 1
        P[s, a, after] += alive
        ending[s, a] += 1 - alive
    assert counts.min() > 0
    return P / counts[..., None], ending / counts


@pytest.mark.parametrize("ends", [False, True])
def test_what_is_centred_out_comes_back_as_the_soft_action_value(ends, tables):
    """Q_c + τ log A · lifetime = Q_soft + τ log A, with Q_soft of the entropy −τ log π of the states to come."""
    pi, r, _ = tables
    _, P, _ = counted(np.random.default_rng(3), ends)
    soft = action_values(P, pi[0], (r[0] - GAMMA * TAU * P @ np.sum(pi[0] * np.log(pi[0]), -1))[..., None])[..., 0]
    lifetime = action_values(P, pi[0], np.ones((S, A, 1)))
    centred = exact_q(P, pi[0], r[0])[..., None]
    q = np.concatenate([centred, lifetime], -1) if ends else centred
    logits = np.asarray(soft_logits(jnp.asarray(q), jnp.asarray(TAU)))
    shift = np.log(A) if ends else np.log(A) * (1 - 1 / (1 - GAMMA))
    np.testing.assert_allclose(logits, soft / TAU + shift, rtol=1e-10)


def test_frequencies_are_those_of_each_stream(tables):
    pi, r, gradients = tables
    seen, _, _ = counted(np.random.default_rng(1), True)
    gains = Gains(jnp.asarray(r), jnp.asarray(gradients), jnp.asarray(TAU), GAMMA)
    other = jax.tree.map(lambda part: part[:, ::-1].at[:, 0].set(part[:, 0]), seen)
    both = jax.tree.map(lambda *parts: jnp.stack(parts), seen, other)
    _, visits = taught_once(
        optimistic(jnp.stack([gains.rewards[0]] * 2), 2, GAMMA, True), both, jnp.asarray(pi), gains, 0.1
    )
    for i, stream in enumerate((seen, other)):
        pairs = np.asarray(stream.state * A + stream.action).ravel()
        np.testing.assert_allclose(visits[i].ravel(), np.bincount(pairs, minlength=S * A) / pairs.size, rtol=1e-12)


def test_unseen_critics_keep_their_optimism(tables):
    """At the most that the reward allows, r_max/(1 − γ), and untouched until they are met."""
    pi, r, gradients = tables
    gains = Gains(jnp.asarray(r), jnp.asarray(gradients), jnp.asarray(TAU), GAMMA)
    start = optimistic(jnp.stack([gains.rewards[0]] * 2), 2, GAMMA, True)
    np.testing.assert_allclose(start.q[..., 0], r[0].max() / (1 - GAMMA), rtol=1e-12)
    np.testing.assert_allclose(start.q[..., 1], 1 / (1 - GAMMA), rtol=1e-12)
    seen = Trajectory(*(jnp.full((1, 1, 1), n) for n in (2, 1, 0)), jnp.ones((1, 1, 1)))
    after, _ = taught_once(start, seen, jnp.asarray(pi), gains, 0.25)
    moved = np.asarray(after.q != start.q).any((0, 3))
    assert moved[2, 1] and moved.sum() == 1
    moved = np.asarray(after.q_x != start.q_x).any(-1)
    assert moved[2, 1] and moved.sum() == 1


def test_off_policy_from_a_real_stream():
    """π's critic from 10⁵ transitions of π_w: the value in the world as met, and within 5 errors of the truth.

    The error is that of the mean of V(s') of each (s, a), carried through the resolvent; 12 entries: false alarm 7e-6.
    A critic with the targets of the policy that is followed (SARSA) would be off by the last line's distance.
    """
    rng = np.random.default_rng(8)
    mdp: MDP = random_world(rng, S, A, 3, ends=True, repeats=True, discount=GAMMA)
    P, pi, r = np.zeros((S, A, S)), rng.dirichlet(np.ones(A), size=(2, S)), rng.normal(size=(S, A))
    for s, a, k in np.ndindex(S, A, 3):
        P[s, a, mdp.successor[s, a, k]] += mdp.probability[s, a, k]
    world = law(sparse(mdp.successor, mdp.probability, start=mdp.start, ending=mdp.ending, discount=GAMMA))
    _, seen = rollout(world, jax.random.key(0), jnp.asarray(pi[1]), chains(world, 1000), 100)
    gains = Gains(jnp.asarray([r, r]), jnp.zeros((S, A, 1)), jnp.asarray(TAU), GAMMA)
    critics = optimistic(jnp.stack([gains.rewards[0]] * 2), 1, GAMMA, True)
    q = np.asarray(taught(jax.tree.map(lambda part: part[None], seen), jnp.asarray(pi), gains, critics, 0.5, 200).q)
    met, _ = frequencies(seen)
    np.testing.assert_allclose(q[0, ..., 0], exact_q(met, pi[0], r), atol=1e-9)
    truth = exact_q(P, pi[0], r)
    v = np.sum(pi[0] * truth, -1) + centred_entropy(pi[0])
    counts = np.bincount(np.asarray(seen.state * A + seen.action).ravel(), minlength=S * A)
    variance = (P @ v**2 - (P @ v) ** 2).ravel() / counts
    step = np.einsum("sat,tb->satb", P, pi[0]).reshape(S * A, S * A)
    spread = GAMMA * np.linalg.inv(np.eye(S * A) - GAMMA * step)
    error = np.sqrt(spread**2 @ variance).reshape(S, A)
    assert (np.abs(q[0, ..., 0] - truth) < 5 * error).all()
    assert np.abs(exact_q(P, pi[1], r) - truth).max() > 20 * error.max()
