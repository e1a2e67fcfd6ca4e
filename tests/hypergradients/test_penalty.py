"""The parts that the hypergradients are made of: derivatives of upper, and what the penalties refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import bandit, kernel, random_world, rmdp6
from upperhand.forms import Return, Tabular
from upperhand.hypergradients import bellman, exact, penalty, two_sided
from upperhand.hypergradients.bellman import upper_derivatives


def visits(P, start, gamma, pi):
    d = np.linalg.solve(np.eye(len(start)) - gamma * np.einsum("sa,sat->st", pi, P).T, start)
    return d[:, None] * pi


@pytest.mark.parametrize("ends", [False, True])
def test_upper_derivatives_equal_differences_in_pi(ends):
    """A loss of x, π and μ, with μ(π) from a NumPy solve; every entry of π moved on its own, off the simplex too."""
    rng = np.random.default_rng(0)
    mdp = random_world(rng, 5, 3, 3, ends=ends, repeats=True, discount=0.8)
    P, x, C = kernel(mdp), rng.normal(size=2), rng.normal(size=(5, 3))
    pi = rng.dirichlet(np.ones(3), size=5)

    def by_hand(x, pi):
        mu = visits(P, mdp.start, 0.8, pi)
        return x @ x / 2 + np.sum(C * pi**2) * x[0] + np.sum(np.sin(C) * mu**2) + x[1] * np.sum(mu * pi)

    def loss(x, pi, mu):
        return x @ x / 2 + jnp.sum(C * pi**2) * x[0] + jnp.sum(jnp.sin(C) * mu**2) + x[1] * jnp.sum(mu * pi)

    problem = bandit().problem._replace(mdp=mdp, upper=Tabular(loss))
    found = jax.jit(lambda x, pi: upper_derivatives(problem, x, pi))(jnp.asarray(x), jnp.asarray(pi))
    assert float(found.loss) == pytest.approx(by_hand(x, pi), rel=1e-12)
    h = 1e-6
    slope = [(by_hand(x, pi + e) - by_hand(x, pi - e)) / (2 * h) for e in h * np.eye(15).reshape(15, 5, 3)]
    np.testing.assert_allclose(np.ravel(found.dpi), slope, rtol=1e-6, atol=1e-7)
    slope = [(by_hand(x + e, pi) - by_hand(x - e, pi)) / (2 * h) for e in h * np.eye(2)]
    np.testing.assert_allclose(found.dx, slope, rtol=1e-6)


def test_a_return_is_the_same_as_its_tabular_form():
    """upper = cost − Σ μ u, told in both kinds: one value and one hypergradient."""
    problem, x = rmdp6()
    u = np.array([[float(problem.upper.reward(x, s, a)) for a in range(3)] for s in range(6)])
    told = problem._replace(upper=Tabular(lambda x, pi, mu: problem.upper.cost(x) - jnp.sum(mu * u)))
    pi = jnp.asarray(np.random.default_rng(1).dirichlet(np.ones(3), size=6))
    both = jax.jit(lambda x: [bellman(p, x, pi, 0.5) for p in (problem, told)])
    (value, dx), (other, dother) = both(jnp.asarray(x))
    assert float(value) == pytest.approx(float(other), rel=1e-12)
    np.testing.assert_allclose(dx, dother, rtol=1e-10)


@pytest.mark.parametrize("method", [penalty, two_sided])
def test_penalties_refuse_a_tabular_objective(method):
    problem = bandit().problem._replace(upper=Tabular(lambda x, pi, mu: jnp.sum(pi)))
    with pytest.raises(ValueError, match="linear in the occupancy.*Tabular") as caught:
        method(problem, jnp.zeros(3), 0.5, 0.1)
    assert method.__name__ in str(caught.value)


@pytest.mark.parametrize("method", [penalty, two_sided])
def test_penalties_in_float32_stay_float32(method):
    probe = bandit()
    with jax.enable_x64(False):
        x = jnp.asarray([0.1, -0.2, 0.3], jnp.float32)
        dx = jax.jit(lambda x: method(probe.problem, x, 1.0, 0.05))(x)
    assert dx.dtype == jnp.float32
    np.testing.assert_allclose(dx, probe.hypergradient(np.array([0.1, -0.2, 0.3])), atol=0.02)


def test_no_reward_for_the_designer_leaves_the_cost_alone():
    """u = 0: ∇Φ is the cost's gradient, to the last bit."""
    problem = bandit().problem
    problem = problem._replace(upper=Return(lambda x, s, a: jnp.zeros(()), lambda x: jnp.sum(x**3)))
    x = jnp.asarray([0.5, -1.0, 2.0])
    both = jax.jit(lambda x: (exact(problem, temperature=0.3).hypergradient(x), penalty(problem, x, 0.3, 0.1)))
    for dx in both(x):
        np.testing.assert_allclose(dx, 3 * np.asarray(x) ** 2, rtol=1e-14)
