"""The surrogate's derivatives, of first and second order, against an enumeration of every episode; the exact return."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel, random_world
from upperhand.actions import log_probabilities
from upperhand.mdps import sparse
from upperhand.policy_gradients.episodes import Episodes
from upperhand.policy_gradients.surrogate import soft_return, surrogate

H, GAMMA, TAU = 3, 0.8, 0.5


def world():
    """Two states, two actions; an episode ends with some probability at each step."""
    rng = np.random.default_rng(0)
    ending = rng.uniform(0.1, 0.4, (2, 2))
    probability = rng.dirichlet(np.ones(2), size=(2, 2)) * (1 - ending[..., None])
    successor = np.broadcast_to(np.arange(2), (2, 2, 2))
    return sparse(successor, probability, start=[0.3, 0.7], ending=ending, discount=GAMMA)


def every_episode(mdp):
    """All episodes of at most H steps: (the world's part of the probability, states, actions, whether it runs)."""
    found = []

    def go(p, steps, s):
        for a in range(2):
            past = [*steps, (s, a)]
            if len(past) == H:
                found.append((p, past))
                continue
            found.append((p * mdp.ending[s, a], past))
            for k in range(2):
                go(p * mdp.probability[s, a, k], past, k)

    for s in range(2):
        go(mdp.start[s], [], s)
    s, a, runs = np.zeros((3, len(found), H), int)
    for i, (_, steps) in enumerate(found):
        s[i, : len(steps)], a[i, : len(steps)], runs[i, : len(steps)] = *zip(*steps, strict=True), 1
    return np.array([p for p, _ in found]), s, a, runs.astype(float)


def setting():
    """Logits θ [4], the reward's x [2], and x → r [2, 2]."""
    rng = np.random.default_rng(1)
    base, slope = jnp.asarray(rng.normal(size=(2, 2))), jnp.asarray(rng.normal(size=(2, 2, 2)))
    return jnp.asarray(rng.normal(size=4)), jnp.asarray(rng.normal(size=2)), lambda x: base + slope @ x


def log_table(theta):
    return log_probabilities(theta.reshape(2, 2))


def by_enumeration(theta, x, reward, weights, s, a, runs):
    """E Σ γᵗ ( r − τ log π ), as a sum over all episodes."""
    log_pi = log_table(theta)[s, a] * runs
    gains = runs * (reward(x)[s, a] - TAU * log_pi)
    return jnp.sum(weights * jnp.exp(jnp.sum(log_pi, 1)) * (gains @ GAMMA ** jnp.arange(H)))


def derivatives(function, theta, x):
    """Gradient, Hessian and mixed derivative."""
    gradient = jax.grad(function)
    return gradient(theta, x), jax.jacfwd(gradient)(theta, x), jax.jacfwd(gradient, 1)(theta, x)


@pytest.mark.parametrize("together", [1, 2], ids=["alone", "a pair with its baselines"])
def test_its_derivatives_are_unbiased(together):
    """Exact expectations over every episode, or every pair of them: gradient, Hessian and mixed derivative, to 1e-12.

    The Hessian without its entropy part −τ q qᵀ, and that of the scores' own Hessians alone, are off by 0.05 or more.
    """
    weights, s, a, runs = every_episode(world())
    theta, x, reward = setting()
    p = weights * np.exp((np.asarray(log_table(theta))[s, a] * runs).sum(1))
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)
    sets = np.stack(np.meshgrid(*[np.arange(len(p))] * together, indexing="ij"), -1).reshape(-1, together)

    def one(theta, x, chosen):
        seen = Episodes(s_[chosen].T, a_[chosen].T, runs_[chosen].T, jnp.zeros(together))
        log_pi = log_table(theta)[seen.state, seen.action]
        return surrogate(seen, reward(x)[seen.state, seen.action] - TAU * log_pi, log_pi, GAMMA)

    s_, a_, runs_ = map(jnp.asarray, (s, a, runs))
    each = jax.jit(jax.vmap(lambda chosen: derivatives(lambda t, x: one(t, x, chosen), theta, x)))(jnp.asarray(sets))
    exact_return = lambda theta, x: by_enumeration(theta, x, reward, jnp.asarray(weights), s_, a_, runs_)  # noqa: E731
    wanted = jax.jit(lambda theta, x: derivatives(exact_return, theta, x))(theta, x)
    for found, exact in zip(each, wanted, strict=True):
        mean = np.tensordot(p[sets].prod(1), np.asarray(found), 1)
        np.testing.assert_allclose(mean, exact, rtol=1e-10, atol=1e-12)
    hessian, (entropy, scores) = np.asarray(wanted[1]), other_forms(theta, reward(x), p, s, a, runs)
    assert np.abs(hessian).max() > 0.1
    assert TAU * np.abs(entropy).max() > 0.05
    assert np.abs(hessian - scores).max() > 0.05


def other_forms(theta, r, p, s, a, runs):
    """E Σ γᵗ qₜqₜᵀ, and E Σ γᵗ ρₜ Σ_{j ≤ t} ∇² log πⱼ, by loops."""
    pi = np.exp(np.asarray(log_table(theta)))
    entropy, scores = np.zeros((2, 4, 4))
    for i, t in np.ndindex(s.shape):
        if runs[i, t]:
            q = np.zeros((2, 2))
            q[s[i, t]] = np.eye(2)[a[i, t]] - pi[s[i, t]]
            entropy += p[i] * GAMMA**t * np.outer(q, q)
            rho = np.asarray(r)[s[i, t], a[i, t]] - TAU * np.log(pi[s[i, t], a[i, t]])
            for j in range(t + 1):
                k = 2 * s[i, j]
                row = pi[s[i, j]]
                scores[k : k + 2, k : k + 2] -= p[i] * GAMMA**t * rho * (np.diag(row) - np.outer(row, row))
    return entropy, scores


def test_its_value_is_the_mean_return_whatever_the_policy():
    """The value of the part that has only derivatives is 0."""
    weights, s, a, runs = every_episode(world())
    gains = np.random.default_rng(3).normal(size=s.shape)
    seen = Episodes(*map(jnp.asarray, (s.T, a.T, runs.T)), jnp.zeros(len(weights)))
    found = surrogate(seen, jnp.asarray(gains.T), jnp.full(s.T.shape, -0.7), GAMMA)
    np.testing.assert_allclose(found, ((gains * runs) @ GAMMA ** np.arange(H)).mean(), rtol=1e-12)


def test_baselines_take_noise_away():
    """A gain of 100 at each of H steps, 400 draws of 8 episodes: a tenth of the variance that the scores alone have.

    Alone, the gradient is Σ_t γᵗ G_t ∇ log π_t with G_t known, over 8 episodes; its variance is computed from that.
    """
    rng, theta = np.random.default_rng(4), setting()[0]
    pi = np.exp(np.asarray(log_table(theta)))
    s = rng.integers(0, 2, (400, H, 8))
    a = (rng.random(s.shape) < pi[s, 1]).astype(int)

    def gradient(s, a):
        seen = Episodes(s, a, jnp.ones((H, 8)), jnp.zeros(8))
        return jax.grad(lambda theta: surrogate(seen, jnp.full((H, 8), 100.0), log_table(theta)[s, a], GAMMA))(theta)

    found = np.asarray(jax.jit(jax.vmap(gradient))(jnp.asarray(s), jnp.asarray(a)))
    scores = np.zeros((*s.shape, 2, 2))
    at = np.indices(s.shape)
    scores[(*at, s)] = np.eye(2)[a] - pi[s]
    to_come = [100 * sum(GAMMA**k for k in range(H - t)) for t in range(H)]
    alone = np.einsum("ntbij,t->nij", scores, GAMMA ** np.arange(H) * to_come).reshape(400, 4) / 8
    assert found.var(0).sum() < alone.var(0).sum() / 10 and alone.var(0).sum() > 100


def test_the_soft_return_is_that_of_a_dense_solve():
    mdp = random_world(np.random.default_rng(2), 5, 3, 3, ends=True, repeats=True)
    rng = np.random.default_rng(3)
    r, pi = rng.normal(size=(5, 3)), rng.dirichlet(np.ones(3), size=5)
    v = np.linalg.solve(
        np.eye(5) - 0.9 * np.einsum("sa,sat->st", pi, kernel(mdp)), (pi * (r - TAU * np.log(pi))).sum(1)
    )
    found = soft_return(mdp, jnp.asarray(r), jnp.asarray(np.log(pi)), TAU)
    np.testing.assert_allclose(found, mdp.start @ v, rtol=1e-12)
