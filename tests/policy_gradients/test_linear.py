"""Values and occupancies of a fixed policy against NumPy solves and flow equations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel, random_world
from upperhand.mdps import gridworld
from upperhand.policy_gradients.linear import dense, evaluate, occupancy, sweeps

S, A, GAMMA = 7, 3, 0.95
RESOLVENTS = {"dense": dense, "sweeps": sweeps(1e-12)}


@pytest.fixture(params=[False, True], ids=["endless", "ends"], scope="module")
def world(request):
    rng = np.random.default_rng(11)
    mdp = random_world(rng, S, A, 4, ends=request.param, repeats=True, discount=GAMMA)
    return mdp, kernel(mdp), rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), size=S)


@pytest.mark.parametrize("name", RESOLVENTS)
def test_evaluate_equals_a_numpy_solve(world, name):
    mdp, P, r, pi = world
    v, q = evaluate(mdp, jnp.asarray(pi), jnp.asarray(r), RESOLVENTS[name])
    wanted = np.linalg.solve(np.eye(S) - GAMMA * np.einsum("sa,sat->st", pi, P), (pi * r).sum(-1))
    np.testing.assert_allclose(v, wanted, rtol=1e-9)
    np.testing.assert_allclose(q, r + GAMMA * P @ wanted, rtol=1e-9)


@pytest.mark.parametrize("name", RESOLVENTS)
def test_occupancy_satisfies_the_flow(world, name):
    """d(s') = start(s') + γ Σ_{s,a} μ(s,a) P(s'|s,a), μ = d π, and its sum is 1/(1−γ) where nothing ends."""
    mdp, P, _, pi = world
    mu = np.asarray(occupancy(mdp, jnp.asarray(pi), RESOLVENTS[name]))
    np.testing.assert_allclose(mu.sum(-1), mdp.start + GAMMA * np.einsum("sa,sat->t", mu, P), rtol=1e-9)
    np.testing.assert_allclose(mu, mu.sum(-1, keepdims=True) * pi, rtol=1e-12)
    total, ended = mu.sum() * (1 - GAMMA), GAMMA * (mu * mdp.ending).sum()
    assert total + ended == pytest.approx(1, rel=1e-10)
    assert (ended > 0.1) == bool(mdp.ending.any())


def test_occupancy_equals_simulated_chains(world):
    """Discounted counts of 20,000 chains over 150 steps in NumPy, to four standard errors of a share."""
    mdp, P, _, pi = world
    rng, n = np.random.default_rng(12), 20_000
    law = np.concatenate([P, mdp.ending[..., None]], -1).cumsum(-1)
    counts, state = np.zeros((S + 1, A)), rng.choice(S, n, p=mdp.start)
    pi_all, law = np.vstack([pi, np.ones((1, A)) / A]), np.concatenate([law, np.ones((1, A, S + 1))])
    law[S, :, :S] = 0  # state S: ended
    for t in range(150):
        action = (rng.random((n, 1)) > pi_all[state].cumsum(-1)[:, :-1]).sum(-1)
        np.add.at(counts, (state, action), GAMMA**t / n)
        state = (rng.random((n, 1)) > law[state, action][:, :-1]).sum(-1)
    np.testing.assert_allclose(occupancy(mdp, jnp.asarray(pi)), counts[:S], atol=4 * 20 * 0.5 / np.sqrt(n))


def test_duality(world):
    """start·V = Σ μ r."""
    mdp, _, r, pi = world
    v, _ = evaluate(mdp, jnp.asarray(pi), jnp.asarray(r))
    assert float(mdp.start @ v) == pytest.approx(float(np.sum(occupancy(mdp, jnp.asarray(pi)) * r)), rel=1e-12)


@pytest.mark.parametrize("tolerance", [1e-2, 1e-6])
def test_sweeps_keep_their_tolerance(world, tolerance):
    mdp, P, r, pi = world
    matrix = np.eye(S) - GAMMA * np.einsum("sa,sat->st", pi, P)
    found, b = sweeps(tolerance), jnp.asarray((pi * r).sum(-1))
    v, d = np.linalg.solve(matrix, b), np.linalg.solve(matrix.T, b)
    assert np.abs(found.values(mdp, jnp.asarray(pi), b) - v).max() <= 1.1 * tolerance * np.abs(v).max()
    assert np.abs(found.visits(mdp, jnp.asarray(pi), b) - d).sum() <= 1.1 * tolerance * np.abs(d).sum()


def test_sweeps_stop_at_the_number_asked_for(world):
    mdp, P, r, pi = world
    b = (pi * r).sum(-1)
    wanted = b + GAMMA * np.einsum("sa,sat->st", pi, P) @ b
    np.testing.assert_allclose(sweeps(1e-12, most=1).values(mdp, jnp.asarray(pi), jnp.asarray(b)), wanted, rtol=1e-12)


def test_sweeps_in_float32_on_a_grid():
    """A tolerance below float32's rounding still ends, with all of the mass: 1/(1 − γ)."""
    mdp = gridworld(30, discount=0.99)
    mu = jax.jit(lambda pi: occupancy(mdp, pi, sweeps()))(jnp.full((mdp.states, 4), 0.25, jnp.float32))
    assert mu.dtype == jnp.float32 and float(mu.sum()) == pytest.approx(100, rel=1e-4)
