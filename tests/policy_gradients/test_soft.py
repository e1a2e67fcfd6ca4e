"""The exact soft lower level against NumPy and against the identities of regularised control."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel, random_world
from upperhand.policy_gradients import policy_iteration, value_iteration
from upperhand.policy_gradients.linear import occupancy
from upperhand.policy_gradients.soft import backup

S, A = 6, 3
STATIC = ("tolerance", "most")
SOLVERS = {
    "value": jax.jit(value_iteration, static_argnames=STATIC),
    "policy": jax.jit(policy_iteration, static_argnames=STATIC),
}
TAUS = [1.0, 0.3, 0.1]


def lse(q, tau):
    top = q.max(-1)
    return top + tau * np.log(np.exp((q - top[..., None]) / tau).sum(-1))


def soft(P, r, gamma, tau):
    """Soft value iteration in NumPy, to rounding: V, Q, π."""
    v = np.zeros(len(r))
    for _ in range(2000):
        v = lse(r + gamma * P @ v, tau)
    q = r + gamma * P @ v
    return v, q, np.exp((q - v[:, None]) / tau)


def regularised(P, r, gamma, tau, pi):
    """V and state occupancy-free value of a fixed policy with entropy: (I − γ P_π) V = Σ_a π (r − τ log π)."""
    P_pi = np.einsum("sa,sat->st", pi, P)
    return np.linalg.solve(np.eye(len(r)) - gamma * P_pi, (pi * (r - tau * np.log(pi))).sum(-1))


def visits(P, start, gamma, pi):
    return np.linalg.solve(np.eye(len(start)) - gamma * np.einsum("sa,sat->st", pi, P).T, start)


@pytest.fixture(params=[(0, False), (1, True)], ids=["endless", "ends"], scope="module")
def world(request):
    seed, ends = request.param
    rng = np.random.default_rng(seed)
    mdp = random_world(rng, S, A, 4, ends=ends, repeats=True, discount=0.9)
    return mdp, kernel(mdp), rng.normal(size=(S, A)), rng.dirichlet(np.ones(A), size=S)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("tau", TAUS)
def test_solution_equals_numpy(world, solver, tau):
    mdp, P, r, _ = world
    found = SOLVERS[solver](mdp, r, tau)
    for got, wanted in zip(found[:3], soft(P, r, 0.9, tau), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("tau", TAUS)
def test_value_gap_is_a_divergence(world, tau):
    """J(π*) − J(π) = τ Σ_s d_π(s) KL(π ‖ π*), the best policy from the package."""
    mdp, P, r, pi = world
    best = SOLVERS["policy"](mdp, r, tau)
    gap = mdp.start @ (np.asarray(best.v) - regularised(P, r, 0.9, tau, pi))
    divergence = (pi * np.log(pi / best.pi)).sum(-1)
    assert gap == pytest.approx(tau * visits(P, mdp.start, 0.9, pi) @ divergence, rel=1e-11)


@pytest.mark.parametrize("tau", TAUS)
def test_bellman_gap_is_a_divergence(world, tau):
    """Σ ρ(s)[ V* − Σ_a π Q* + τ Σ_a π log π ] = τ Σ ρ(s) KL(π ‖ π*)."""
    mdp, _, r, pi = world
    best = SOLVERS["policy"](mdp, r, tau)
    gap = mdp.start @ (best.v - (pi * best.q).sum(-1) + tau * (pi * np.log(pi)).sum(-1))
    assert gap == pytest.approx(tau * mdp.start @ (pi * np.log(pi / best.pi)).sum(-1), rel=1e-11)


@pytest.mark.parametrize("tau", TAUS)
def test_envelope(world, tau):
    """∂J_τ(π*)/∂x = Σ μ_{π*} ∂r: the entropy term drops. Differences of start·V*, along a random direction."""
    mdp, _, r, _ = world
    dr = np.random.default_rng(5).normal(size=(S, A))
    value = lambda h: mdp.start @ SOLVERS["policy"](mdp, r + h * dr, tau).v  # noqa: E731
    mu = occupancy(mdp, SOLVERS["policy"](mdp, r, tau).pi)
    assert (value(1e-5) - value(-1e-5)) / 2e-5 == pytest.approx(float(np.sum(mu * dr)), rel=1e-7)


@pytest.mark.parametrize("tau", TAUS)
def test_response(world, tau):
    """∂π*/∂x = (π*/τ)(dQ − dV), dV = (I − γ P_π*)⁻¹ Σ_a π* dr, dQ = dr + γ P dV, against differences of π*."""
    mdp, P, r, _ = world
    dr = np.random.default_rng(6).normal(size=(S, A))
    pi = np.asarray(SOLVERS["policy"](mdp, r, tau).pi)
    dv = np.linalg.solve(np.eye(S) - 0.9 * np.einsum("sa,sat->st", pi, P), (pi * dr).sum(-1))
    response = pi / tau * (dr + 0.9 * P @ dv - dv[:, None])
    ahead, behind = (SOLVERS["policy"](mdp, r + h * dr, tau).pi for h in (1e-6, -1e-6))
    np.testing.assert_allclose((ahead - behind) / 2e-6, response, atol=1e-6 * np.abs(response).max())


@pytest.mark.parametrize("tau", [1.0, 0.1, 0.01])
def test_temperature_bias_is_bounded(world, tau):
    """0 ≤ max J_0 − J_0(π*_τ) ≤ τ log A Σ d, the greedy optimum by NumPy value iteration."""
    mdp, P, r, _ = world
    v = np.zeros(S)
    for _ in range(1000):
        v = (r + 0.9 * P @ v).max(-1)
    pi = np.asarray(SOLVERS["policy"](mdp, r, tau).pi)
    d = visits(P, mdp.start, 0.9, pi)
    loss = mdp.start @ v - d @ (pi * r).sum(-1)
    assert -1e-12 < loss < tau * np.log(A) * d.sum()


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("tolerance", [1.0, 1e-2, 1e-5])
def test_error_bounds_the_error(world, solver, tolerance):
    """It stops at the tolerance, and the bound that it tells is a bound, and not one that is far too large."""
    mdp, P, r, _ = world
    found = SOLVERS[solver](mdp, r, 0.3, tolerance=tolerance)
    actual = np.abs(found.v - soft(P, r, 0.9, 0.3)[0]).max()
    assert actual <= found.error * (1 + 1e-9) + 1e-13
    assert found.error <= tolerance
    if solver == "value":
        shorter = SOLVERS[solver](mdp, r, 0.3, most=int(found.sweeps) - 1)
        assert shorter.error > tolerance, "it went on after the bound was met"


def test_one_backup_contracts(world):
    mdp, P, r, _ = world
    rng = np.random.default_rng(8)
    for tau in (1.0, 1e-3):
        v, other = 5 * rng.normal(size=(2, S))
        moved, stayed = (backup(mdp, jnp.asarray(r), tau, jnp.asarray(start)) for start in (v, other))
        np.testing.assert_allclose(moved, lse(r + 0.9 * P @ v, tau), rtol=1e-12)
        assert np.abs(moved - stayed).max() <= 0.9 * np.abs(v - other).max()


@pytest.mark.parametrize("solver", SOLVERS)
def test_no_overflow_when_cold(world, solver):
    """r/τ in the thousands: finite, a proper policy, and the greedy one up to the temperature bias of V."""
    mdp, P, r, _ = world
    r = 10 * r
    found = SOLVERS[solver](mdp, r, 1e-3)
    assert all(np.isfinite(part).all() for part in found)
    np.testing.assert_allclose(found.pi.sum(-1), 1, rtol=1e-12)
    v = np.zeros(S)
    for _ in range(1000):
        v = (r + 0.9 * P @ v).max(-1)
    np.testing.assert_array_equal(found.pi.argmax(-1), (r + 0.9 * P @ v).argmax(-1))
    assert (np.asarray(found.v) >= v - 1e-9).all() and (found.v <= v + 1e-3 * np.log(A) / 0.1 + 1e-9).all()


@pytest.mark.parametrize("solver", SOLVERS)
def test_warm_start_saves_work(world, solver):
    mdp, _, r, _ = world
    cold = SOLVERS[solver](mdp, r, 0.3)
    warm = SOLVERS[solver](mdp, r, 0.3, v=cold.v)
    assert warm.sweeps < cold.sweeps and warm.sweeps <= 2
    np.testing.assert_allclose(warm.v, cold.v, atol=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_float32_stops_at_rounding(world, solver):
    """A tolerance below float32's rounding is no endless loop, and the answer is right to float32."""
    mdp, P, r, _ = world
    found = SOLVERS[solver](mdp, jnp.asarray(r, jnp.float32), jnp.float32(0.3))
    assert found.v.dtype == jnp.float32 and found.sweeps < 1000
    np.testing.assert_allclose(found.v, soft(P, r, 0.9, 0.3)[0], rtol=1e-5)


def test_discount_zero_is_a_bandit(world):
    mdp, _, r, _ = world
    for solver in SOLVERS.values():
        found = solver(mdp._replace(discount=0.0), r, 0.3)
        np.testing.assert_allclose(found.v, lse(r, 0.3), rtol=1e-12)
        np.testing.assert_allclose(found.q, r)
