"""The paper form: its sampled steps are unbiased at exact critics, each on its own scale, and its powers are powers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from contract import light
from probes import bandit, kernel, random_world
from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients import penalty
from upperhand.policies import softmax
from upperhand.policy_gradients.soft import policy_iteration
from upperhand.schedule import Power
from upperhand.solvers.rl import actor_critic_paper

S, A, TAU, W, B, N = 6, 3, 0.5, 0.4, 1024, 400
LATE = 10**9  # updates done: the running mean of restarts no longer moves


def problem_of(ends):
    rng = np.random.default_rng(6)
    mdp = random_world(rng, S, A, 3, ends=ends, repeats=True)
    tables = [(rng.normal(size=(S, A)), rng.normal(size=(S, A, 2))) for _ in range(2)]
    r, u = ((lambda x, s, a, t=t: jnp.asarray(t[0])[s, a] + jnp.asarray(t[1])[s, a] @ x) for t in tables)
    problem = BilevelRL(mdp, r, softmax(S, A), Return(u, lambda x: jnp.sum(x**2)), None)
    x = np.array([0.4, -0.7])
    return problem, x, *(table + slope @ x for table, slope in tables)


def chain(mdp, pi):
    return np.einsum("sa,sat->st", pi, kernel(mdp))


def visits(mdp, pi):
    return np.linalg.solve(np.eye(S) - mdp.discount * chain(mdp, pi).T, mdp.start)


def values(mdp, pi, gain):
    return np.linalg.solve(np.eye(S) - mdp.discount * chain(mdp, pi), np.sum(pi * gain, -1))


class Means:
    """Mean and standard error of what one update does at exact critics, over N keys of B chains each."""

    def __init__(self, ends, optimal):
        self.problem, x, self.r, u = problem_of(ends)
        self.x, self.mdp, mdp = x, self.problem.mdp, self.problem.mdp
        solve = light(lambda reward: jax.nn.log_softmax(policy_iteration(mdp, reward, TAU).q / TAU))
        logits = lambda reward: np.asarray(solve(jnp.asarray(reward)))  # noqa: E731
        rng = np.random.default_rng(9)
        thetas = [logits(self.r), logits(self.r + W * u)] if optimal else list(rng.normal(size=(2, S, A)))
        self.pi = [np.exp(theta) / np.exp(theta).sum(-1, keepdims=True) for theta in thetas]
        self.u, (pi, pi_w) = u, self.pi
        gains = [(pi, self.r - TAU * np.log(pi)), (pi_w, self.r - TAU * np.log(pi_w)), (pi_w, u)]
        d = np.stack([visits(mdp, each) for each in self.pi])
        solver = actor_critic_paper(
            self.problem, batch=B, x_step=optax.sgd(1.0), policy_step=1.0, critic_step=1.0, penalty=W, temperature=TAU
        )
        state = solver.init(jnp.asarray(x), jnp.asarray(thetas[0]))._replace(
            theta_w=jnp.asarray(thetas[1]), v=jnp.asarray(np.stack([values(mdp, *gain) for gain in gains])),
            restart=jnp.asarray(1 / d.sum(1)), count=jnp.asarray(LATE, jnp.int32),
        )  # fmt: skip
        cumulative = np.cumsum(d, -1)[:, :-1] / d.sum(1, keepdims=True)

        def once(key):
            place, key = jax.random.split(key)
            places = jax.random.uniform(place, (2, B, 1))
            stationary = jnp.sum(places >= cumulative[:, None], -1, dtype=jnp.int32)
            new, info = solver.update(key, state._replace(chains=stationary))
            return info.hypergradient, new.y - state.y, new.theta_w - state.theta_w, new.v - state.v

        self.d, parts = d, jax.jit(lambda keys: jax.lax.map(once, keys))(jax.random.split(jax.random.key(0), N))
        self.means = [np.mean(part, 0) for part in parts]
        self.errors = [np.std(part, 0, ddof=1) / np.sqrt(N) for part in parts]

    def away(self, which, wanted):
        """The largest distance to what is wanted, in standard errors."""
        return np.max(np.abs(self.means[which] - wanted) / np.maximum(self.errors[which], 1e-12))

    def policy_gradient(self, i, reward):
        """∂_θ of the return of a gain, a function of π, under π_i: central differences of NumPy solves."""
        theta, h = np.log(self.pi[i]), 1e-5

        def total(theta):
            pi = np.exp(theta) / np.exp(theta).sum(-1, keepdims=True)
            return self.mdp.start @ values(self.mdp, pi, reward(pi))

        moves = h * np.eye(S * A).reshape(S * A, S, A)
        return np.array([(total(theta + e) - total(theta - e)) / (2 * h) for e in moves]).reshape(S, A)


@pytest.fixture(scope="module")
def means():
    """At the two policies that the method tracks, in a world whose episodes end."""
    return Means(True, optimal=True)


@pytest.fixture(scope="module", params=[False, True], ids=["endless", "ends"])
def elsewhere(request):
    """At two policies that are optimal for nothing."""
    return Means(request.param, optimal=False)


def test_the_mean_hypergradient_is_the_exact_penalty(means):
    """400,000 pairs of transitions, 4.5 standard errors, two entries: false alarm 1.4e-5.

    Refused: the penalty of 1.5 w, and the factor 1/(1 − γ) of endless episodes where they end.
    """
    penalised = light(lambda w: penalty(means.problem, jnp.asarray(means.x), TAU, w))
    exact = np.asarray(penalised(W))
    assert means.away(0, exact) < 4.5
    assert means.away(0, penalised(1.5 * W)) > 9
    assert means.away(0, 2 * means.x + (exact - 2 * means.x) * 10 / means.d.sum(1).mean()) > 9  # 1/(1 − γ) is 10


def test_the_policies_climb_on_the_scale_of_the_visitation(elsewhere):
    """E Δθ_w = f ( ∇J_τ(π_w) + w ∇ return of u ), f = 1/Σ occupancy, 1 − γ where no episode ends; E Δθ = f ∇J_τ(π).

    The right-hand sides by central differences in NumPy. 5 standard errors, 18 entries: false alarm 1e-5. Refused are
    the two ways into the trap of scales: u's part without the f that J's has (w too large), and with one f too many.
    """
    soft = lambda pi: elsewhere.r - TAU * np.log(pi)  # noqa: E731
    f, f_w = 1 / elsewhere.d.sum(1)
    assert elsewhere.away(1, f * elsewhere.policy_gradient(0, soft)) < 5
    lower, upper = elsewhere.policy_gradient(1, soft), elsewhere.policy_gradient(1, lambda pi: elsewhere.u)
    assert elsewhere.away(2, f_w * (lower + W * upper)) < 5
    assert elsewhere.away(2, f_w * lower + W * upper) > 20
    assert elsewhere.away(2, f_w * (lower + f_w * W * upper)) > 20
    assert elsewhere.away(2, lower + W * upper) > 20


def test_exact_critics_stay_where_they_are(elsewhere):
    """E δ = 0 in every state of every critic; 18 entries. A critic at π's values in place of π_w's would move."""
    assert elsewhere.away(3, np.zeros((3, S))) < 5
    other = values(elsewhere.mdp, elsewhere.pi[0], elsewhere.r - TAU * np.log(elsewhere.pi[0]))
    own = values(elsewhere.mdp, elsewhere.pi[1], elsewhere.r - TAU * np.log(elsewhere.pi[1]))
    assert np.max(np.abs(other - own) / elsewhere.errors[3][1]) > 20


def test_its_schedules_are_powers_of_the_count():
    """The exponents of the balance of errors for a temperature that decays: ζ −9/10, α −1/2, w −3/20, τ −1/20."""
    problem = bandit().problem
    solver = actor_critic_paper(problem)
    first, update = light(lambda key: solver.init(*problem.init(key)))(jax.random.key(0)), light(solver.update)
    told = {}
    for count in (0, 1, 9, 12_345):
        clock = lambda leaf, count=count: jnp.full_like(leaf, count) if leaf.dtype == jnp.int32 else leaf  # noqa: E731
        state = first._replace(count=jnp.asarray(count, jnp.int32), step=jax.tree.map(clock, first.step))
        after, info = update(jax.random.key(1), state)
        size = np.asarray(state.x - after.x) / np.asarray(info.hypergradient)
        np.testing.assert_allclose(size, size[0], rtol=1e-9)
        told[count] = np.array([info.scheduled["penalty"], info.scheduled["temperature"], size[0]])
        np.testing.assert_allclose(told[count], told[0] * (count + 1.0) ** np.array([-0.15, -0.05, -0.9]), rtol=1e-7)
        assert float(Power(2.5, -0.5)(jnp.asarray(count))) == pytest.approx(2.5 / np.sqrt(count + 1), rel=1e-12)


def test_critics_stay_within_what_the_rewards_allow():
    """|V| ≤ max|r|/(1 − γ) + τ₀ log A/(1 − γ), |V_u| ≤ max|u|/(1 − γ), however large the step."""
    problem = bandit().problem
    solver = actor_critic_paper(problem, critic_step=50.0, policy_step=0.1, temperature=0.5)
    state, update = light(lambda key: solver.init(*problem.init(key)))(jax.random.key(0)), light(solver.update)
    for seed in range(40):
        most = np.abs(state.x).max() / 0.5 + 0.5 * np.log(3) / 0.5
        state, _ = update(jax.random.key(seed), state)
        assert (np.abs(state.v[:2]) <= most + 1e-12).all() and np.abs(state.v[2]).max() <= 0.5 * 0.5 / 0.5 + 1e-12
