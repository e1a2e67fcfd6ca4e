"""Estimators of a difference of returns: exact on exact tables, their slope in w, and their noise on sampled visits."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel, random_world
from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients import bellman, penalty, two_sided
from upperhand.hypergradients.streams import Seen, coupled, one_stream, two_sided_stream, two_stream
from upperhand.mdps.sampling import law
from upperhand.policies import softmax
from upperhand.policy_gradients.rollout import rollout
from upperhand.policy_gradients.soft import policy_iteration

ESTIMATORS = {"two": two_stream, "coupled": coupled, "one": one_stream, "two-sided": two_sided_stream}
S, A, TAU = 5, 3, 0.5


def every(names=ESTIMATORS):
    return pytest.mark.parametrize("estimator", [ESTIMATORS[name] for name in names], ids=list(names))


def occupancy(mdp, pi):
    """Discounted visits [S, A], not normalised, by a dense NumPy solve."""
    flow = np.einsum("sa,sat->st", pi, kernel(mdp))
    return np.linalg.solve(np.eye(S) - mdp.discount * flow.T, mdp.start)[:, None] * pi


def action_values(mdp, pi, gain):
    """Q of a gain [S, A, C] under π, by a dense NumPy solve."""
    step = np.einsum("sat,tb->satb", kernel(mdp), pi).reshape(S * A, S * A)
    return np.linalg.solve(np.eye(S * A) - mdp.discount * step, gain.reshape(S * A, -1)).reshape(gain.shape)


def seen(mdp, low, high, gradients, streams=2):
    """What an estimator would see with endless samples and learnt critics."""
    mu = [occupancy(mdp, low), occupancy(mdp, high)][-streams:]
    critic = action_values(mdp, low, gradients)
    return Seen(*map(jnp.asarray, (np.stack([low, high]), np.stack(mu), gradients, critic)))


@every()
@pytest.mark.parametrize("ends", [False, True])
def test_on_exact_tables_the_difference_is_exact(ends, estimator):
    """∂ₓJ(π_low) − ∂ₓJ(π_high) for any two policies, near or far: the performance difference lemma has no error."""
    rng = np.random.default_rng(0)
    mdp = random_world(rng, S, A, 3, ends=ends, repeats=True)
    low, high = rng.dirichlet(np.ones(A), size=(2, S))
    gradients = rng.normal(size=(S, A, 4))
    wanted = np.einsum("sa,sad->d", occupancy(mdp, low) - occupancy(mdp, high), gradients)
    assert np.abs(wanted).min() > 0.01
    found = estimator.difference(seen(mdp, low, high, gradients, estimator.streams))
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-10)


class Instance(NamedTuple):
    """A random problem whose reward and upper reward both know x, its tables in NumPy, and what solves it."""

    problem: BilevelRL
    tables: tuple  # r0, ∂ₓr, u0, ∂ₓu
    solve: Callable  # r → π*_τ
    penalties: Callable  # (x, w) → penalty, two_sided
    truth: Callable  # (x, π*_τ) → the hypergradient


@pytest.fixture(scope="module", params=[False, True], ids=["endless", "ends"])
def instance(request):
    return instance_of(request.param)


@lru_cache
def instance_of(ends):
    rng = np.random.default_rng(4)
    mdp = random_world(rng, S, A, 3, ends=ends, repeats=True)
    r0, u0 = rng.normal(size=(2, S, A))
    slope, slope_u = rng.normal(size=(2, S, A, 2))
    table = lambda a, b: lambda x, s, action: jnp.asarray(a)[s, action] + jnp.asarray(b)[s, action] @ x  # noqa: E731
    upper = Return(table(u0, slope_u), lambda x: jnp.sum(x**2) / 2)
    problem = BilevelRL(mdp, table(r0, slope), softmax(S, A), upper, None)
    light = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})  # half the time to compile
    solve = light(lambda r: policy_iteration(mdp, r, TAU).pi)
    penalties = light(lambda x, w: (penalty(problem, x, TAU, w), two_sided(problem, x, TAU, w)))
    truth = light(lambda x, pi: bellman(problem, x, pi, TAU)[1])
    return Instance(problem, (r0, slope, u0, slope_u), solve, penalties, truth)


@every()
def test_as_w_falls_it_leads_to_the_hypergradient_of_bellman(instance, estimator):
    """The error's slope in w is 1, and 2 for the two-sided penalty; at every w it is the exact penalty."""
    mdp, (r0, slope, u0, slope_u), x = instance.problem.mdp, instance.tables, np.array([0.3, -0.4])
    r, u, errors = r0 + slope @ x, u0 + slope_u @ x, []
    for w in (0.008, 0.004, 0.002):
        low, high = (np.asarray(instance.solve(r + weight * u)) for weight in (estimator.low * w, w))
        gradients = slope + estimator.low * w * slope_u  # of the reward that π_low is optimal for
        difference = estimator.difference(seen(mdp, low, high, gradients, estimator.streams))
        through_u = np.einsum("sa,sad->d", occupancy(mdp, high), slope_u)
        dx = x - through_u + np.asarray(difference) / (w * (1 - estimator.low))
        exact_penalty = instance.penalties(jnp.asarray(x), w)[int(estimator.low < 0)]
        np.testing.assert_allclose(dx, exact_penalty, rtol=1e-7, atol=1e-8)
        errors.append(np.linalg.norm(dx - instance.truth(jnp.asarray(x), instance.solve(r))))
    slopes = np.log2(np.array(errors[:-1]) / errors[1:])
    np.testing.assert_allclose(slopes, 2 if estimator.low else 1, atol=0.1)


N, B, T = 3000, 32, 1


@pytest.fixture(scope="module")
def sampled():
    """(estimator, ws) → for each w N estimates of the difference over w [N, dx], and the exact one.

    Each is from B·T transitions of stationary chains; the coupled chains start from the same uniform number.
    """
    problem, (r0, slope, u0, _), solve, *_ = instance_of(True)
    mdp, world = problem.mdp, law(problem.mdp)

    def one(estimator, key, pi, cumulative, totals, critic):
        place, *keys = jax.random.split(key, 3)
        places = jnp.broadcast_to(jax.random.uniform(place, (1 if estimator.shared else 2, B)), (2, B))
        visits = []
        for i in range(2 - estimator.streams, 2):
            s = jnp.sum(places[i][:, None] >= cumulative[i][None], -1, dtype=jnp.int32)
            _, roll = rollout(world, keys[0 if estimator.shared else i], pi[i], s, T)
            pairs = (roll.state * A + roll.action).ravel()[:, None] == jnp.arange(S * A)[None]
            visits.append(jnp.mean(pairs, 0).reshape(S, A) * totals[i])
        return estimator.difference(Seen(pi, jnp.stack(visits), jnp.asarray(slope), critic))

    def estimates(estimator, ws):
        draw = jax.jit(jax.vmap(lambda *args: one(estimator, *args), (0, None, None, None, None)))
        for w in ws:
            pi = np.stack([solve(r0 + weight * u0) for weight in (estimator.low * w, w)])
            mu = np.stack([occupancy(mdp, each) for each in pi])
            totals = mu.sum((1, 2))
            cumulative = np.cumsum(mu.sum(2), -1)[:, :-1] / totals[:, None]
            critic = action_values(mdp, pi[0], slope)
            found = draw(jax.random.split(jax.random.key(1), N), pi, cumulative, totals, critic)
            yield np.asarray(found) / w, np.einsum("sa,sad->d", mu[0] - mu[1], slope) / w

    return estimates


@pytest.mark.parametrize("name, growth", [("two", 10), ("coupled", None), ("one", 1), ("two-sided", 1)])
def test_sampled_estimates_are_unbiased_and_their_noise_is_as_told(name, growth, sampled):
    """Mean of 3000 estimates within 4.5 standard errors, two entries and two w: false alarm 3e-5 a case.

    The standard deviation at w/10 over that at w: 10 through occupancies, 1 through performance (within 40%: π_w moves
    with w). Through performance, an estimate that is wrong by a quarter would be off by more than 10 errors.
    """
    noise = []
    for found, wanted in sampled(ESTIMATORS[name], (0.2, 0.02)):
        error = found.std(0, ddof=1) / np.sqrt(N)
        assert (np.abs(found.mean(0) - wanted) < 4.5 * error).all()
        noise.append(found.std(0, ddof=1))
        if growth == 1:
            assert np.abs(wanted / error).max() > 40
    if growth:
        np.testing.assert_allclose(noise[1] / noise[0], growth, rtol=0.4)
