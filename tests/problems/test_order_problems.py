"""Two-time-scale problems and finite quadratics: their oracles against sums over examples, autodiff and Riccati."""

import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from general_probes import chain
from upperhand.mdps.random_world import random_world
from upperhand.problems import (
    absolute,
    conditional_quadratics,
    example_quadratics,
    gradient_td,
    regulator,
    soft_control,
)


def jitted(function, *args):
    return jax.jit(function)(*args)


def test_the_scalar_problem_by_hand():
    problem = absolute(noise=0.5)
    none = jnp.zeros(2)
    assert float(problem.slow(jnp.asarray(1.0), jnp.asarray(3.0), none)) == 3.0
    assert float(problem.fast(jnp.asarray(1.0), jnp.asarray(3.0), none)) == 2.0
    assert problem.exact.best() == (0.0, 0.0) and float(problem.exact.lower_solution(jnp.asarray(-1.5))) == -1.5
    for x in map(jnp.asarray, (-1.5, 2.0)):
        assert float(problem.fast(x, problem.exact.lower_solution(x), none)) == 0.0
        assert (
            float(problem.slow(x, x, none))
            == float(jax.grad(problem.exact.value)(x))
            == float(problem.exact.hypergradient(x))
        )
    drawn = jax.vmap(lambda key: problem.draw(key, jnp.asarray(0.0), jnp.asarray(0.0)))(
        jax.random.split(jax.random.key(0), 20_000)
    )
    assert np.asarray(drawn.std(0)) == pytest.approx([0.5, 0.5], abs=5 * 0.5 / np.sqrt(40_000))


def test_gradient_td_against_the_mean_over_its_transitions():
    """Means over 20,000 transitions within 5 standard errors: fast is 0 at y*, slow is ∇Φ."""
    problem, x = gradient_td(), jnp.asarray([0.3, -0.2, 0.5, 1.0])
    y = problem.exact.lower_solution(x)

    def sampled(key):
        batch = problem.draw(key, x, y)
        return problem.slow(x, y, batch), problem.fast(x, y, batch)

    slow, fast = map(np.asarray, jitted(jax.vmap(sampled), jax.random.split(jax.random.key(0), 20_000)))
    for seen, wanted in ((slow, jax.grad(problem.exact.value)(x)), (fast, np.zeros(4))):
        assert (np.abs(seen.mean(0) - np.asarray(wanted)) < 5 * seen.std(0) / np.sqrt(20_000)).all()
        assert seen.std() > 0.3
    np.testing.assert_allclose(problem.exact.hypergradient(x), jax.grad(problem.exact.value)(x), rtol=1e-10)
    best, value = problem.exact.best()
    assert value == 0 == float(problem.exact.value(jnp.asarray(best)).round(20))
    assert np.linalg.norm(problem.exact.hypergradient(jnp.asarray(best))) < 1e-12 < np.linalg.norm(best)
    least = np.linalg.eigvalsh(jax.hessian(problem.exact.value)(x))[0]
    assert least > 0.5  # so that a step of 2/k is more than 1/(2µ k)


def test_gradient_td_against_the_exact_mean_over_all_transitions():
    """y*(x) = C⁻¹(b − M x) and x* = M⁻¹b, of sums over all transitions; E fast = 0 and E slow = ∇Φ at y*."""
    problem, (here, there, reward, chance) = gradient_td(), chain()
    C, M = (here.T * chance) @ here, (here.T * chance) @ (here - 0.8 * there)
    b = here.T @ (chance * reward)
    x = jnp.asarray([0.3, -0.2, 0.5, 1.0])

    def means(x, y):
        each = jax.vmap(lambda *batch: (problem.slow(x, y, batch), problem.fast(x, y, batch)))(here, there, reward)
        return *(chance @ part for part in each), y, problem.exact.hypergradient(x)

    slow, fast, y, slope = jitted(lambda x: means(x, problem.exact.lower_solution(x)), x)
    np.testing.assert_allclose(fast, 0, atol=1e-12)
    np.testing.assert_allclose(slow, slope, atol=1e-12)
    np.testing.assert_allclose(y, np.linalg.solve(C, b - M @ np.asarray(x)), atol=1e-12)
    np.testing.assert_allclose(problem.exact.best()[0], np.linalg.solve(M, b), atol=1e-12)
    place, after, paid = map(np.asarray, problem.draw(jax.random.key(0), x, y))
    assert np.isclose(np.abs(here - place).sum(1) + np.abs(there - after).sum(1) + np.abs(reward - paid), 0).any()


def test_the_scalar_regulator_against_the_riccati_equation_written_out():
    """p = q + a²p − (abp)²/(r + b²p), k* = abp/(r + b²p), with q = r = 1; a², ab, b² read off the fast equation."""
    problem = regulator(states=1)
    only = jnp.zeros((2, 2)).at[0, 0].set(1.0)
    nothing = (jnp.zeros((1, 1)), jnp.zeros((2, 2)))
    products = np.asarray(only - jnp.eye(2) - problem.fast(jnp.zeros((1, 1)), only, nothing))  # [A B]ᵀ[A B]
    aa, ab, bb = products[0, 0], products[0, 1], products[1, 1]
    assert aa == pytest.approx(0.49, rel=1e-12) and aa * bb == pytest.approx(ab**2, rel=1e-12)
    p = 1.0
    for _ in range(200):
        p = 1 + aa * p - (ab * p) ** 2 / (1 + bb * p)
    best, value = problem.exact.best()
    assert best == pytest.approx(np.array([[ab * p / (1 + bb * p)]]), rel=1e-10) and value == pytest.approx(
        p, rel=1e-10
    )


def test_the_regulator_at_any_feedback():
    """fast is 0 at y*(x); the cost is Σ ‖(s, a)‖² from every unit state by rollout; slow is 0 at the best x alone."""
    problem = regulator(states=3, actions=2, seed=1)
    best, value = problem.exact.best()
    x = jnp.asarray(best + 0.1 * np.random.default_rng(0).normal(size=(2, 3)))
    zero = (jnp.zeros((2, 3)), jnp.zeros((5, 5)))
    y = problem.exact.lower_solution(x)
    np.testing.assert_allclose(problem.fast(x, y, zero), np.zeros((5, 5)), atol=1e-10)
    basis = np.eye(5)[:3]
    read = lambda i, j: jnp.zeros((5, 5)).at[i, j].set(1.0)  # noqa: E731
    rows = {}
    for i in range(3):  # [A B]ᵢᵀ[A B]ⱼ, from which the system is known up to a sign that costs do not see
        rows[i] = np.asarray(read(0, i) - jnp.eye(5) - problem.fast(jnp.zeros((2, 3)), read(0, i), zero))
    first = np.sqrt(rows[0][0, 0])
    top = rows[0][0] / first
    system = np.stack([rows[i][0] / top[0] for i in range(3)])
    state, total = basis[:, :3], 0.0
    for _ in range(400):
        both = np.hstack([state, -state @ np.asarray(x).T])
        total, state = total + (both**2).sum(), both @ system.T
    assert float(problem.exact.value(x)) == pytest.approx(total, rel=1e-8) and total > value
    assert float(problem.exact.value(jnp.asarray(best))) == pytest.approx(value, rel=1e-9)
    np.testing.assert_allclose(problem.exact.hypergradient(x), problem.slow(x, y, zero), rtol=1e-10)
    assert (
        np.linalg.norm(problem.exact.hypergradient(jnp.asarray(best)))
        < 1e-9
        < 1e-3
        < np.linalg.norm(problem.exact.hypergradient(x))
    )


def test_example_quadratics_against_means_over_their_examples():
    """5.6: y* is where the mean gradient of lower is 0, value is the mean upper there, ∇Φ its derivative, 0 at best."""
    problem = example_quadratics(examples=6, numbers=3, seed=1)
    every, x = jnp.arange(6), jnp.asarray([1.0, -0.5, 0.2])
    below, above = problem.examples.take_lower(every), problem.examples.take_upper(every)
    y = problem.exact.lower_solution(x)
    np.testing.assert_allclose(jax.grad(problem.lower, 1)(x, y, below), np.zeros(3), atol=1e-12)
    assert float(problem.exact.value(x)) == pytest.approx(float(problem.upper(x, y, above)), rel=1e-12)
    np.testing.assert_allclose(problem.exact.hypergradient(x), jax.grad(problem.exact.value)(x), rtol=1e-11)
    best, value = problem.exact.best()
    assert np.linalg.norm(problem.exact.hypergradient(jnp.asarray(best))) < 1e-13
    assert value == pytest.approx(float(problem.exact.value(jnp.asarray(best))), rel=1e-12)
    curvatures = np.linalg.eigvalsh(np.asarray(example_quadratics().examples.take_lower(jnp.arange(100))[0]))
    assert 0.3 < curvatures.min() < 1 and 4 < curvatures.max() < 4.8
    batches = [problem.draw_upper(key, x, y)[0] for key in jax.random.split(jax.random.key(0), 3)]
    assert batches[0].shape == (1, 3) and not np.array_equal(batches[0], batches[1])


def test_conditional_quadratics_against_means_over_their_examples():
    """6: each y*ᵢ, value and ∇Φ likewise; ∇Φ = ½x + mean of B̄ᵢᵀuᵢ by the losses' own second derivatives."""
    problem, x = conditional_quadratics(examples=4, conditions=3, numbers=2, seed=1), jnp.asarray([1.0, -0.5])
    answers, lower = (
        problem.exact.lower_solution(x),
        lambda x, y, i: sum(problem.lower(x, y, i, j) for j in range(3)) / 3,
    )
    slopes, values, pulls = [], [], []
    for i, y in enumerate(answers):
        slopes.append(jax.grad(lower, 1)(x, y, i))
        values.append(problem.upper(x, y, i))
        u = np.linalg.solve(jax.hessian(lower, 1)(x, y, i), jax.grad(problem.upper, 1)(x, y, i))
        pulls.append(-np.asarray(jax.jacobian(jax.grad(lower, 1))(x, y, i)).T @ u)
    np.testing.assert_allclose(slopes, np.zeros((4, 2)), atol=1e-12)
    assert float(problem.exact.value(x)) == pytest.approx(float(np.mean(values)), rel=1e-12)
    np.testing.assert_allclose(problem.exact.hypergradient(x), x / 2 + np.mean(pulls, 0), rtol=1e-11)
    best, value = problem.exact.best()
    assert np.linalg.norm(problem.exact.hypergradient(jnp.asarray(best))) < 1e-13
    assert value == pytest.approx(float(problem.exact.value(jnp.asarray(best))), rel=1e-12)


@pytest.mark.parametrize("make", [absolute, gradient_td, regulator, example_quadratics, conditional_quadratics])
def test_oracles_and_starts_follow_the_width_of_numbers(make):
    with jax.enable_x64(False), warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = make()
        x, y = problem.init(jax.random.key(0))
        oracle = problem.exact
        told = jitted(lambda x: (oracle.lower_solution(x), oracle.value(x), oracle.hypergradient(x)), x)
        assert {leaf.dtype for leaf in (x, y, *told)} == {jnp.dtype("float32")}
        assert isinstance(oracle.best()[1], float) and told[2].shape == x.shape


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (partial(absolute, noise=0.0), "noise"), (partial(gradient_td, states=4), "states"),
        (partial(gradient_td, discount=1.0), "discount"), (partial(regulator, noise=-1.0), "noise"),
        (partial(example_quadratics, examples=0), "examples"),
        (partial(conditional_quadratics, conditions=0), "conditions"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(make, named):
    with pytest.raises(ValueError, match=f"^{named} must be"):
        make()


def test_soft_control_in_numpy():
    """Q_π and J by sums over time, E slow over all (s, a) = ∇Φ, E fast = 0; y's equation is strongly monotone."""
    S, A, gamma, tau = 4, 3, 0.5, 0.3
    problem = soft_control(states=S, actions=A, discount=gamma, temperature=tau, seed=2)
    world = random_world(S, A, discount=gamma, seed=2)
    kernel = np.zeros((S, A, S))
    for s, a in np.ndindex(S, A):
        np.add.at(kernel[s, a], world.successor[s, a], world.probability[s, a])
    r = np.random.default_rng([2, 1]).random((S, A))
    x = np.random.default_rng(0).normal(size=(S, A))
    pi = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    step, law, d, q = np.einsum("sat,sa->st", kernel, pi), np.full(S, 1 / S), np.zeros(S), np.zeros((S, A))
    for t in range(80):
        d, law = d + gamma**t * law, law @ step
        q = r + gamma * kernel @ (pi * (q - tau * np.log(pi))).sum(1)
    y, J = problem.exact.lower_solution(jnp.asarray(x)), np.mean((pi * (q - tau * np.log(pi))).sum(1))
    np.testing.assert_allclose(y, q, rtol=1e-12)
    np.testing.assert_allclose(problem.exact.value(jnp.asarray(x)), -J, rtol=1e-12)
    slow = jax.jit(lambda s, a: problem.slow(jnp.asarray(x), y, (s, a, None)))
    mean = sum((1 - gamma) * d[s] * pi[s, a] * np.asarray(slow(s, a)) for s, a in np.ndindex(S, A))
    np.testing.assert_allclose(mean, problem.exact.hypergradient(jnp.asarray(x)), atol=1e-14)
    fast = [problem.fast(jnp.asarray(x), y, (0, 0, jnp.full((S, A), s))) for s in range(S)]
    np.testing.assert_allclose(sum(kernel[..., s] * np.asarray(fast[s]) for s in range(S)), 0, atol=1e-14)
    ahead = np.einsum("sat,tb->satb", kernel, pi).reshape(S * A, S * A)
    assert np.linalg.eigvalsh(2 * np.eye(S * A) - gamma * (ahead + ahead.T))[0] > 0.2
    best, least = problem.exact.best()
    np.testing.assert_allclose(problem.exact.hypergradient(jnp.asarray(best)), 0, atol=1e-12)
    assert float(problem.exact.value(jnp.asarray(best))) == pytest.approx(least, abs=1e-12) and least < -J - 0.01


def test_soft_control_draws_from_the_laws_it_tells():
    """20,000 draws: states by their visits, actions by π, successors by the kernel, each share within 5 deviations."""
    problem, world = soft_control(states=3, actions=2, seed=1), random_world(3, 2, discount=0.5, seed=1)
    x, N = jnp.asarray([[1.0, 0.0], [0.0, 0.5], [-1.0, 0.0]]), 20_000
    drawn = jax.jit(jax.vmap(lambda key: problem.draw(key, x, x)))(jax.random.split(jax.random.key(0), N))
    states, actions, after = map(np.asarray, drawn)
    pi = np.asarray(jax.nn.softmax(x))
    kernel = np.zeros((3, 2, 3))
    for s, a in np.ndindex(3, 2):
        np.add.at(kernel[s, a], world.successor[s, a], world.probability[s, a])
    visits = 0.5 * np.linalg.solve(np.eye(3) - 0.5 * np.einsum("sat,sa->ts", kernel, pi), np.full(3, 1 / 3))
    pairs = np.stack([np.mean((states == s) & (actions == a)) for s, a in np.ndindex(3, 2)])
    shares = np.stack([(after == s).mean(0) for s in range(3)], -1)
    for seen, wanted in ((pairs, (visits[:, None] * pi).ravel()), (shares, kernel)):
        assert (np.abs(seen - wanted) <= 5 * np.sqrt(wanted * (1 - wanted) / N) + 1e-12).all()
