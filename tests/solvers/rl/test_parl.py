"""Sampled PARL: with a policy of a few features it finds the ridged optimum and, at a held x, its hypergradient."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from test_expected_actor_critic import corner, light
from test_hpgd import downhill

from probes import one_state
from upperhand.forms import BilevelRL, Return
from upperhand.policies.softmax import Policy
from upperhand.solvers.rl import parl

TAU, RIDGE, KEYS = 0.8, 0.1, 16
RNG = np.random.default_rng(5)
FEATURES, SLOPE, C = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 2)), RNG.normal(size=5)
X = np.array([0.3, -0.2])


def features():
    """One state, five actions, π = softmax(features w), θ = {"w": [3]}; the designer gains C(a) and pays ‖x‖²/10."""
    log_prob = lambda theta, s: jax.nn.log_softmax(jnp.asarray(FEATURES) @ theta["w"])  # noqa: E731
    upper = Return(lambda x, s, a: jnp.asarray(C)[a], lambda x: jnp.sum(x**2) / 10)
    policy = Policy(lambda key: {"w": jnp.zeros(3)}, log_prob)
    init = lambda key: (jnp.asarray(X), policy.init(key))  # noqa: E731
    return BilevelRL(one_state(5, discount=0.0), lambda x, s, a: jnp.asarray(SLOPE)[a] @ x, policy, upper, init)


@light
def truth(x):
    """θ* of the ridged lower level by Newton, and Φ there, from the bandit's formulas alone."""

    def lower(w):
        log_pi = jax.nn.log_softmax(jnp.asarray(FEATURES) @ w)
        return jnp.exp(log_pi) @ (jnp.asarray(SLOPE) @ x - TAU * log_pi) - RIDGE / 2 * w @ w

    newton = lambda _, w: w - jnp.linalg.solve(jax.hessian(lower)(w), jax.grad(lower)(w))  # noqa: E731
    w = jax.lax.fori_loop(0, 30, newton, jnp.zeros(3))
    return w, x @ x / 10 - jax.nn.softmax(jnp.asarray(FEATURES) @ w) @ jnp.asarray(C)


def test_at_a_held_x_its_mean_is_the_derivative_of_the_ridged_problem():
    """16 runs, means of 100 updates after 50 others, 2000 episodes of one step each: θ and dx.

    θ within 0.02. dx within 0.02 of the central difference of Φ: what is left are noise and the inverse's bias, 1/2000.
    Its direct part x/5, which is what is left without the response, is more than 0.1 away.
    """
    problem = features()
    settings = {"batch": (2000, 1), "x_step": optax.set_to_zero(), "policy_step": 1.0, "loops": 2}
    solver = parl(problem, temperature=TAU, ridge=RIDGE, solves=3, **settings)

    def one(key):
        def advance(i, carry):
            state, info = solver.update(jax.random.fold_in(key, i), carry[0])
            kept = jnp.where(i < 50, 0.0, 0.01)
            return state, carry[1] + kept * state.y["w"], carry[2] + kept * info.hypergradient

        return jax.lax.fori_loop(0, 150, advance, (solver.init(*problem.init(key)), jnp.zeros(3), jnp.zeros(2)))[1:]

    w, dx = map(np.asarray, jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), KEYS)))
    wanted = [(truth(jnp.asarray(X + e))[1] - truth(jnp.asarray(X - e))[1]) / 2e-5 for e in 1e-5 * np.eye(2)]
    np.testing.assert_allclose(w.mean(0), truth(jnp.asarray(X))[0], atol=0.02)
    np.testing.assert_allclose(dx.mean(0), wanted, atol=0.02)
    assert np.abs(X / 5 - np.array(wanted)).max() > 0.1


def test_it_ends_near_the_best_goal():
    """By its defaults, 500 updates of 4·64·60 transitions, from two starts more than 0.5 above the best: within 0.05.

    Without baselines in the Hessian its noise would leave no direction of downward curvature, and x at the centre.
    """
    found, before = downhill(parl(corner()), 500)
    assert (before > 0.5).all() and (found < 0.05).all(), found
