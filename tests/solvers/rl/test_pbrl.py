"""The penalties of PBRL by closed forms and differences; the published sizes of their biases."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from probes import random_world, rmdp6
from upperhand.forms import BilevelRL, Return, Tabular
from upperhand.hypergradients import exact
from upperhand.hypergradients.gaps import bellman_gap, value_gap
from upperhand.policies import softmax
from upperhand.policy_gradients.linear import evaluate, occupancy
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.rewards.table import reward_table
from upperhand.solvers.rl import expected_pbrl

TAU, KEY = 0.4, jax.random.key(0)
every_gap = pytest.mark.parametrize("gap", [value_gap, bellman_gap], ids=["value", "bellman"])


@pytest.fixture(scope="module")
def place():
    """A random world with endings, a reward that x bends, and a policy: (mdp, x ↦ r, x, θ)."""
    rng = np.random.default_rng(1)
    mdp = random_world(rng, 5, 3, 3, ends=True, repeats=True)
    r0, slope, theta = rng.normal(size=(5, 3)), rng.normal(size=(5, 3, 2)), rng.normal(size=(5, 3))
    table = lambda x: jnp.asarray(r0) + jnp.tanh(jnp.asarray(slope) @ x)  # noqa: E731
    return mdp, table, jnp.asarray([0.4, -0.2]), jnp.asarray(theta)


def penalty_of(gap, mdp, r, theta):
    """p by its definition, from solves of its own."""
    log_pi = jax.nn.log_softmax(theta)
    pi, best = jnp.exp(log_pi), policy_iteration(mdp, r, TAU)
    start = jnp.asarray(mdp.start)
    if gap is value_gap:
        return start @ (best.v - evaluate(mdp, pi, r - TAU * log_pi)[0])
    return start @ (best.v - jnp.sum(pi * (best.q - TAU * log_pi), -1))


@every_gap
def test_value_and_both_derivatives(place, gap):
    """By definition; the identity τ Σ weight KL; in x and θ against central differences, relative 1e-7."""
    mdp, table, x, theta = place
    log_pi = jax.nn.log_softmax(theta)
    pi, r = jnp.exp(log_pi), table(x)
    best = policy_iteration(mdp, r, TAU)
    met = gap.measure(mdp, r, best, pi, log_pi, TAU)
    np.testing.assert_allclose(met.value, penalty_of(gap, mdp, r, theta), rtol=1e-9)
    kl = jnp.sum(pi * (log_pi - jnp.log(best.pi)), -1)
    weights = jnp.sum(occupancy(mdp, pi), -1) if gap is value_gap else jnp.asarray(mdp.start)
    np.testing.assert_allclose(met.value, TAU * weights @ kl, rtol=1e-9)
    np.testing.assert_allclose(met.weight, weights, rtol=1e-12)

    of_x = jax.jit(lambda x: penalty_of(gap, mdp, table(x), theta))
    slope = [(of_x(x + e) - of_x(x - e)) / 2e-5 for e in 1e-5 * jnp.eye(2)]
    np.testing.assert_allclose(jax.vjp(table, x)[1](met.through_reward)[0], slope, rtol=1e-6)
    of_theta = jax.jit(lambda theta: penalty_of(gap, mdp, r, theta))
    by_chain = pi * (met.dpi - jnp.sum(pi * met.dpi, -1, keepdims=True))
    units = 1e-5 * np.eye(15).reshape(15, 5, 3)
    slope = np.array([(of_theta(theta + e) - of_theta(theta - e)) / 2e-5 for e in units]).reshape(5, 3)
    np.testing.assert_allclose(by_chain, slope, rtol=1e-5, atol=1e-8)


BIASES = {
    value_gap: {0.2: 0.0119, 0.1: 0.0062, 0.05: 0.0032, 0.02: 0.0013, 0.01: 0.00065},
    bellman_gap: {0.2: 0.077, 0.1: 0.044, 0.05: 0.024, 0.02: 0.0104, 0.01: 0.0054},
}


@every_gap
def test_its_bias_on_rmdp6_is_the_printed_one(gap):
    """τ = .5, f = ½‖x‖² + ½‖π‖², x held until π has settled; ‖∇Φ‖ = 3.895; to the printed digits."""
    problem, x = rmdp6()[0], jnp.asarray(rmdp6()[1])
    problem = problem._replace(upper=Tabular(lambda x, pi, mu: (jnp.sum(x**2) + jnp.sum(pi**2)) / 2))
    truth = exact(problem, temperature=0.5).hypergradient(x, 0.5)
    assert np.linalg.norm(truth) == pytest.approx(3.895, abs=5e-4)

    @jax.jit
    def bias(w):
        solver = expected_pbrl(problem, effort=4, temperature=0.5, penalty=lambda count: w, gap=gap,
                               policy_step=0.5, x_step=optax.set_to_zero())  # fmt: skip
        state = solver.init(x, jnp.zeros((6, 3)))
        state = jax.lax.fori_loop(0, 400, lambda i, s: solver.update(KEY, s)[0], state)
        return jnp.linalg.norm(solver.update(KEY, state)[1].hypergradient - truth)

    for w, printed in BIASES[gap].items():
        digits = len(str(printed).split(".")[1])
        assert abs(float(bias(w)) - printed) <= 0.51 * 10.0**-digits, (w, float(bias(w)), printed)


def test_the_bellman_gap_refuses_a_start_law_with_holes():
    mdp = random_world(np.random.default_rng(0), 4, 2, 2)._replace(start=np.array([0.5, 0.5, 0.0, 0.0]))
    flat = lambda x, s, a: x * 0.0  # noqa: E731
    problem = BilevelRL(mdp, flat, softmax(4, 2), Return(flat, lambda x: x**2), None)
    with pytest.raises(ValueError, match="gap must be value_gap here: bellman_gap leaves 2 states free"):
        expected_pbrl(problem, gap=bellman_gap)
    expected_pbrl(problem)
    assert reward_table(flat, jnp.asarray(1.0), 4, 2).shape == (4, 2)
