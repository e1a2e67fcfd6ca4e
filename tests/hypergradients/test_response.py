"""The implicit hypergradient by conjugate gradients: bellman's at the soft optimum, finite differences with a ridge."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import light
from probes import one_state, random_world, rmdp6
from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients import bellman
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.response import conjugate_gradients, policy_table, sampled_response, through_response
from upperhand.mdps.sampling import law
from upperhand.policies import softmax
from upperhand.policies.softmax import Policy
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.policy_gradients.surrogate import soft_return
from upperhand.rewards.table import reward_table


def size(problem):
    return problem.mdp.states, problem.mdp.actions


def soft(problem, tau):
    """(x, θ) → J_τ, exactly."""
    table = lambda x: reward_table(problem.reward, x, *size(problem))  # noqa: E731
    return lambda x, theta: soft_return(problem.mdp, table(x), policy_table(problem, theta), tau)


def response(problem, x, theta, tau, ridge, solves):
    """The whole hypergradient, in expectation."""
    log_pi, pull = jax.vjp(lambda theta: policy_table(problem, theta), theta)
    upper = upper_derivatives(problem, x, jnp.exp(log_pi))
    (dtheta,) = pull(upper.dpi * jnp.exp(log_pi))
    return upper.dx + through_response(soft(problem, tau), x, theta, dtheta, ridge, solves)


def with_ends():
    """A random world whose episodes may end, both rewards knowing x."""
    rng = np.random.default_rng(2)
    mdp = random_world(rng, 4, 3, 3, ends=True, repeats=True)
    r, u = (
        (lambda x, s, a, t=(rng.normal(size=(4, 3)), rng.normal(size=(4, 3, 2))): jnp.asarray(t[0])[s, a]
         + jnp.asarray(t[1])[s, a] @ x) for _ in range(2)
    )  # fmt: skip
    return BilevelRL(mdp, r, softmax(4, 3), Return(u, lambda x: jnp.sum(x**2)), None), np.array([0.4, -0.7])


@pytest.mark.parametrize("world, tau", [(rmdp6, 0.5), (rmdp6, 1.0), (with_ends, 0.3)])
def test_at_the_soft_optimum_it_is_bellman(world, tau):
    """θ = Q/τ + a shift a state, ridge 0: least squares through the zero eigenvalue of each state. To 1e-6."""
    problem, x = world()
    x = jnp.asarray(x)
    found = light(lambda x: policy_iteration(problem.mdp, reward_table(problem.reward, x, *size(problem)), tau))(x)
    theta = found.q / tau + jnp.arange(problem.mdp.states, dtype=float)[:, None]
    dx = light(lambda x, theta: response(problem, x, theta, tau, 0.0, 60))(x, theta)
    wanted = light(lambda x, pi: bellman(problem, x, pi, tau)[1])(x, found.pi)
    np.testing.assert_allclose(dx, wanted, rtol=1e-6, atol=1e-7)


def test_with_a_ridge_it_is_the_derivative_of_the_ridged_problem():
    """Lower: J − (0.3/2) ‖θ‖², solved by Newton to 1e-12; Φ by central differences of it; ridge 0 is refused."""
    problem, x = with_ends()
    tau, ridge = 0.3, 0.3
    lower = lambda x, theta: soft(problem, tau)(x, theta.reshape(4, 3)) - ridge / 2 * jnp.sum(theta**2)  # noqa: E731

    @light
    def solved(x):
        def body(_, theta):
            step = jnp.linalg.solve(jax.hessian(lower, 1)(x, theta), jax.grad(lower, 1)(x, theta))
            return theta - step * jnp.minimum(1.0, 1.0 / jnp.linalg.norm(step))

        theta = jax.lax.fori_loop(0, 60, body, jnp.zeros(12))
        table = policy_table(problem, theta.reshape(4, 3))
        return theta, upper_derivatives(problem, x, jnp.exp(table)).loss, jax.grad(lower, 1)(x, theta)

    theta, _, rest = solved(jnp.asarray(x))
    assert np.abs(rest).max() < 1e-12
    ends = [[float(solved(jnp.asarray(x + sign * 1e-5 * e))[1]) for sign in (1, -1)] for e in np.eye(2)]
    wanted = np.array([(up - down) / 2e-5 for up, down in ends])
    go = light(lambda ridge: response(problem, jnp.asarray(x), theta.reshape(4, 3), tau, ridge, 40))
    np.testing.assert_allclose(go(ridge), wanted, rtol=1e-6, atol=1e-8)
    assert np.abs(go(0.0) - wanted).max() > 0.01


def test_conjugate_gradients_are_least_squares_and_stop_where_it_curves_upwards():
    """A singular matrix of rank 4 of 6: the shortest solution. diag(2, −1): the first step only."""
    rng = np.random.default_rng(0)
    half = rng.normal(size=(6, 4))
    M, b = half @ half.T, half @ rng.normal(size=4)
    found = jax.jit(lambda b: conjugate_gradients(lambda z: jnp.asarray(M) @ z, b, 50))(jnp.asarray(b))
    np.testing.assert_allclose(found, np.linalg.pinv(M) @ b, rtol=1e-6)
    tree = conjugate_gradients(lambda z: {"a": 2 * z["a"], "b": 4 * z["b"]}, {"a": jnp.ones(2), "b": jnp.ones(())}, 3)
    np.testing.assert_allclose(tree["a"], [0.5, 0.5])
    np.testing.assert_allclose(tree["b"], 0.25)
    b = jnp.asarray([1.0, 0.1])
    found = conjugate_gradients(lambda z: jnp.asarray([2.0, -1.0]) * z, b, 9)
    np.testing.assert_allclose(found, b * 1.01 / (2 - 0.01), rtol=1e-12)
    np.testing.assert_array_equal(conjugate_gradients(lambda z: -z, b, 9), 0)
    np.testing.assert_array_equal(conjugate_gradients(lambda z: z, 0 * b, 9), 0)


def test_from_episodes_it_approaches_the_exact_one():
    """At θ*, ridge 0.05, 8 estimates of 4000 episodes of at most 40 steps: their mean within 5%, cosine above 0.995."""
    problem, x = with_ends()
    problem = problem._replace(mdp=problem.mdp._replace(discount=0.7))
    x, tau, ridge = jnp.asarray(x), 1.0, 0.05
    found = light(lambda x: policy_iteration(problem.mdp, reward_table(problem.reward, x, 4, 3), tau))(x)
    theta = found.q / tau
    wanted = np.asarray(light(lambda theta: response(problem, x, theta, tau, ridge, 40))(theta))
    direct = np.asarray(light(lambda pi: upper_derivatives(problem, x, pi).dx)(found.pi))
    one = lambda key: sampled_response(problem, law(problem.mdp), key, x, theta, tau, (4000, 40), ridge, 12)[:2]  # noqa: E731
    loss, dx = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(0), 8))
    mean = np.asarray(dx).mean(0)
    assert np.linalg.norm(direct - wanted) > 0.2 * np.linalg.norm(wanted)
    assert mean @ wanted > 0.995 * np.linalg.norm(mean) * np.linalg.norm(wanted)
    assert abs(np.linalg.norm(mean) / np.linalg.norm(wanted) - 1) < 0.05
    value = float(light(lambda pi: upper_derivatives(problem, x, pi).loss)(found.pi))
    assert abs(np.mean(loss) - value) < 5 * np.std(loss, ddof=1) / np.sqrt(8) + 1e-3


def test_a_policy_of_features_is_taken():
    """π = softmax(features θ) of three numbers, a pytree: the Hessian has full rank, and differences agree."""
    mdp, rng = one_state(5, discount=0.0), np.random.default_rng(5)
    features, slope, c = jnp.asarray(rng.normal(size=(5, 3))), jnp.asarray(rng.normal(size=(5, 2))), rng.normal(size=5)
    policy = Policy(lambda key: {"w": jnp.zeros(3)}, lambda theta, s: jax.nn.log_softmax(features @ theta["w"]))
    u = lambda x, s, a: jnp.asarray(c)[a]  # noqa: E731
    problem = BilevelRL(mdp, lambda x, s, a: slope[a] @ x, policy, Return(u, lambda x: jnp.zeros(())), None)
    lower = lambda x, w: soft(problem, 0.8)(x, {"w": w}) - 0.05 * jnp.sum(w**2)  # noqa: E731

    @light
    def solved(x):
        newton = lambda _, w: w - jnp.linalg.solve(jax.hessian(lower, 1)(x, w), jax.grad(lower, 1)(x, w))  # noqa: E731
        w = jax.lax.fori_loop(0, 30, newton, jnp.zeros(3))
        return w, -jnp.asarray(c) @ jnp.exp(policy.log_prob({"w": w}, 0)), jax.grad(lower, 1)(x, w)

    x = np.array([0.3, -0.2])
    wanted = [(solved(jnp.asarray(x + e))[1] - solved(jnp.asarray(x - e))[1]) / 2e-5 for e in 1e-5 * np.eye(2)]
    w, _, rest = solved(jnp.asarray(x))
    assert np.abs(rest).max() < 1e-10
    found = light(lambda w: response(problem, jnp.asarray(x), {"w": w}, 0.8, 0.1, 6))(w)
    np.testing.assert_allclose(found, np.array(wanted), rtol=1e-6, atol=1e-9)


def test_the_smallest_experiment_of_utility():
    """One state, 8 actions, a misspecified reward Φx, true reward r°; 4000 steps of 0.2 on −E r° + 0.005 ‖x‖².

    Returns 1.74, 4.15, 1.56, 3.86, 2.95 of seeds 0 to 4 (measured once elsewhere, to 0.01); without the implicit part
    x does not move, and the returns are those of the uniform policy, −0.53, −0.94, −0.52, 0.40, −0.68.
    """
    draws = [np.random.default_rng(seed) for seed in range(5)]
    features, truth = zip(*((rng.normal(size=(8, 3)), 2 * rng.normal(size=8)) for rng in draws), strict=True)
    mdp, tau = one_state(8, discount=0.0), 0.5

    def run(features, truth):
        u = lambda x, s, a: truth[a]  # noqa: E731
        upper = Return(u, lambda x: 0.005 * jnp.sum(x**2))
        problem = BilevelRL(mdp, lambda x, s, a: features[a] @ x, softmax(1, 8), upper, None)

        def step(_, both):
            x, dropped = both
            theta = (features @ x)[None] / tau
            direct = upper_derivatives(problem, dropped, jax.nn.softmax(features @ dropped / tau)[None]).dx
            return x - 0.2 * response(problem, x, theta, tau, 0.0, 8), dropped - 0.2 * direct

        both = jax.lax.fori_loop(0, 4000, step, (jnp.zeros(3), jnp.zeros(3)))
        return tuple(jax.nn.softmax(features @ x / tau) @ truth for x in both)

    full, dropped = jax.jit(jax.vmap(run))(jnp.asarray(features), jnp.asarray(truth))
    np.testing.assert_allclose(full, [1.74, 4.15, 1.56, 3.86, 2.95], atol=0.01)
    np.testing.assert_allclose(dropped, [-0.53, -0.94, -0.52, 0.40, -0.68], atol=0.006)
