"""Both two-time-scale methods against a NumPy re-expression, on equations and on a bilevel problem."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import general_probes as probes
from contract import light
from general_probes import CURVATURE, PULL, chain
from upperhand.forms import Equations
from upperhand.problems import absolute, gradient_td, regulator
from upperhand.schedule import Power
from upperhand.solvers import fast_two_time_scale, two_time_scale

UPDATES = 25


def followed(solver, problem):
    """States and Infos after each update, stacked, and the keys."""
    keys = jax.random.split(jax.random.key(4), UPDATES)
    body = lambda state, key: (lambda out: (out[0], out))(solver.update(key, state))  # noqa: E731
    first = solver.init(*problem.init(jax.random.key(0)))
    return *jax.jit(lambda state: jax.lax.scan(body, state, keys)[1])(first), keys


def by_hand(slow, fast, x, y, averaged):
    """The rules of 4.2 in NumPy, schedules (2, 8, 16)/(k + 50) or the standard ones: slow, fast (k, x, y) → arrays."""
    told, hA, hB = [], 0.0, 0.0
    for k in range(UPDATES):
        A, B = slow(k, x, y), fast(k, x, y)
        if averaged:
            weight = 1.0 if k == 0 else min(1.0, 16 / (k + 50))
            hA, hB = hA + weight * (A - hA), hB + weight * (B - hB)
            x, y = x - 2 / (k + 50) * hA, y - 8 / (k + 50) * hB
        else:
            x, y = x - 2 / (k + 50) * A, y - (k + 50) ** (-2 / 3) * B
        told.append((x, y))
    return told


BOTH = pytest.mark.parametrize(("method", "averaged"), [(two_time_scale, False), (fast_two_time_scale, True)])


@BOTH
def test_on_equations_it_is_the_rule_written_in_numpy(method, averaged):
    problem = absolute(noise=0.7)
    states, infos, keys = followed(method(problem), problem)
    noise = np.asarray(jax.vmap(lambda key: problem.draw(key, jnp.asarray(0.0), jnp.asarray(0.0)))(keys))
    slow = lambda k, x, y: x + abs(y - x) + noise[k, 0]  # noqa: E731
    fast = lambda k, x, y: y - x + noise[k, 1]  # noqa: E731
    wanted = np.array(by_hand(slow, fast, 2.0, 0.0, averaged))
    np.testing.assert_allclose(np.stack([states.x, states.y], 1), wanted, rtol=1e-11)
    assert states.z == () and float(infos.cost.samples[0]) == 1 and float(infos.cost.gradients[0]) == 2
    A = slow(0, 2.0, 0.0)
    assert float(infos.upper[0]) == pytest.approx(A**2 / 2, rel=1e-12)
    assert float(infos.hypergradient[0]) == pytest.approx(A, rel=1e-12)


@BOTH
def test_on_a_bilevel_problem_y_and_z_are_the_fast_variable(method, averaged):
    """`follows`: fast = ( H(y − PULL x), Hz − (y − c) ), slow = x/2 + PULLᵀH z."""
    problem, c, H = probes.follows().problem, np.array([1.0, 2.0]), CURVATURE
    states, _, _ = followed(method(problem), problem)
    slow = lambda k, x, yz: x / 2 + PULL.T @ H @ yz[1]  # noqa: E731
    fast = lambda k, x, yz: np.stack([H @ (yz[0] - PULL @ x), H @ yz[1] - (yz[0] - c)])  # noqa: E731
    wanted = by_hand(slow, fast, np.array([-1.0, 0.0]), np.zeros((2, 2)), averaged)
    np.testing.assert_allclose(states.x, [x for x, _ in wanted], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(np.stack([states.y, states.z], 1), [yz for _, yz in wanted], rtol=1e-10, atol=1e-13)


@BOTH
@pytest.mark.parametrize("name", ["gradient_td", "regulator"])
def test_without_noise_it_ends_at_the_known_answer(method, averaged, name):
    """The mean equations, 5,000 updates with constant steps: M⁻¹b, and the Riccati equation's feedback by iteration."""
    if name == "gradient_td":
        problem, (*table, chance) = gradient_td(), chain()
        mean = lambda each: lambda x, y, _: chance @ jax.vmap(lambda *batch: each(x, y, batch))(*table)  # noqa: E731
        problem = problem._replace(slow=mean(problem.slow), fast=mean(problem.fast))
        here, there, reward, _ = *table, chance
        x_star = np.linalg.solve((here.T * chance) @ (here - 0.8 * there), here.T @ (chance * reward))
    else:
        problem, random = regulator(), np.random.default_rng(0)
        A = random.normal(size=(2, 2))
        A, B, P = A * 0.7 / np.abs(np.linalg.eigvals(A)).max(), random.normal(size=(2, 1)) / 2**0.5, np.eye(2)
        for _ in range(300):
            x_star = np.linalg.solve(np.eye(1) + B.T @ P @ B, B.T @ P @ A)
            P = np.eye(2) + A.T @ P @ (A - B @ x_star)
        problem = problem._replace(draw=lambda key, x, y: jax.tree.map(jnp.zeros_like, (x, y)))
    solver = method(problem, x_step=0.1, y_step=0.3, **({"average": 0.8} if averaged else {}))
    body = lambda _, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
    state = light(lambda state: jax.lax.fori_loop(0, 5000, body, state))(solver.init(*problem.init(jax.random.key(0))))
    np.testing.assert_allclose(state.x, x_star, atol=1e-10)
    np.testing.assert_allclose(state.y, problem.exact.lower_solution(jnp.asarray(x_star)), atol=1e-10)
    assert np.abs(x_star).max() > 0.1


@BOTH
def test_x_stays_where_it_may_be(method, averaged):
    problem = absolute()._replace(project_x=lambda x: jnp.clip(x, 1.5, 3.0))
    states, _, _ = followed(method(problem, x_step=Power(20.0, -1.0, 50.0)), problem)
    assert float(states.x.min()) == 1.5 and isinstance(problem, Equations)
