"""F2BMLD: its update by hand on tanh neurons, the laws that its noise makes, and the closed forms of linear neurons."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from contract import counts, keeps, light
from penalty_probes import STEPS, WEIGHTS, weight
from upperhand.forms import Bilevel
from upperhand.hypergradients.langevin import langevin
from upperhand.problems import linear_iv, npiv, quadratic
from upperhand.problems.linear_iv import moments, penalised
from upperhand.problems.npiv import instrumental
from upperhand.solvers import f2bmld
from upperhand.types import Scaled

BOUND, RIDGE, N = 3.0, 0.02, 5


def followed(solver, x, y, steps, compiled=light):
    """The states of a run, every leaf [steps, ...]."""

    def body(state, count):
        state, _ = solver.update(jax.random.fold_in(jax.random.key(0), count), state)
        return state, state

    start = solver.init(jnp.asarray(x), jnp.asarray(y))
    return compiled(lambda start: jax.lax.scan(body, start, jnp.arange(steps))[1])(start)


def network(X, t):
    return BOUND * np.tanh(t @ X[:, :-2].T + X[:, -2]) @ np.tanh(X[:, -1]) / len(X)


def pulled(X, t, residual):
    """mean over i of residual_i ∇Ψ(t_i, X_j), for every particle: nothing is divided by N."""
    bend, tilt = np.tanh(t @ X[:, :-2].T + X[:, -2]), np.tanh(X[:, -1])
    through = residual[:, None] * BOUND * tilt * (1 - bend**2) / len(t)
    return np.column_stack([through.T @ t, through.sum(0), BOUND * (1 - tilt**2) * (residual @ bend) / len(t)])


def test_updates_are_those_by_hand():
    """25 updates without noise in NumPy, with the authors' gradients per particle; z has two numbers, a one."""
    random = np.random.default_rng(0)
    z, a, z_upper, wanted = (random.normal(size=shape) for shape in ((30, 2), (30, 1), (20, 2), 20))
    x, y = random.normal(size=(N, 3)), random.normal(size=(N, 4))
    problem = instrumental(z, a, wanted, z_upper=z_upper, particles=N, batch=0, ridge=RIDGE)
    solver = f2bmld(problem, loops=3, x_step=0.4, y_step=0.3, penalty=weight, entropy=(0.0, 0.0))
    found = followed(solver, x, y, STEPS)
    yw = y
    for at, w in enumerate(WEIGHTS):
        h_a = network(x, a)
        for _ in range(3):
            y = y - 0.3 * (pulled(y, z, network(y, z) - h_a) + RIDGE * y)
            t_step = 0.3 / (1 + 1 / w)
            first = pulled(yw, z, network(yw, z) - h_a) + RIDGE * yw
            yw = yw - t_step * (pulled(yw, z_upper, network(yw, z_upper) - wanted) + first / w)
        x = x - 0.4 * (pulled(x, a, network(y, z) - network(yw, z)) / w + RIDGE * x)
        for mine, its in ((x, found.x), (y, found.y), (yw, found.yw)):
            np.testing.assert_allclose(its[at], mine, rtol=1e-10, atol=1e-12)
    assert min(np.ptp(each, axis=0).min() for each in (found.x, found.y, found.yw)) > 0.005


def test_clouds_have_the_variance_of_their_noise():
    """σ/ridge/(1 − step·ridge/2), steps far too large for the limit σ/ridge; of yw with the step y_step/(1 + w)."""
    many, s, w, (of_x, of_y) = 100, 0.8, 0.25, (0.04, 0.01)
    problem = linear_iv(rows=50, particles=many, ridge=1.0)
    solver = f2bmld(problem, loops=2, x_step=s, y_step=s / 2, penalty=w, entropy=(of_x, of_y))
    found = followed(solver, *problem.init(jax.random.key(5)), 700)
    wanted = {"x": of_x / (1 - s / 2), "y": of_y / (1 - s / 4), "yw": of_y / (1 - s / 4 / (1 + w))}
    for which, variance in wanted.items():
        seen = np.var(getattr(found, which)[100:], axis=1, ddof=1).mean()
        assert seen == pytest.approx(variance, rel=0.02), which  # 120,000 numbers, little correlated: ± .6%


def test_without_noise_it_ends_at_the_closed_form():
    """Slopes 1.4630 and 1.5304 at lambda_pen = 1 and 10, to all digits; clouds have then come together."""
    problem, known = linear_iv(particles=4), moments()

    def ended(w):
        solver = f2bmld(problem, loops=10, x_step=0.8, y_step=0.8, penalty=Scaled(1.0, w), entropy=(0.0, 0.0))
        state = solver.init(*problem.init(jax.random.key(0)))
        return jax.lax.fori_loop(0, 600, lambda k, state: solver.update(jax.random.key(0), state)[0], state)

    x = light(jax.vmap(ended))(jnp.asarray([1.0, 0.1])).x
    for cloud, w, slope in zip(x, (1.0, 0.1), (1.4630, 1.5304), strict=True):
        np.testing.assert_allclose(cloud, np.broadcast_to(penalised(known, 0.05, w), (4, 2)), rtol=1e-7)
        assert cloud[0, 1] == pytest.approx(slope, abs=5e-5)


@pytest.mark.long
def test_noisy_particles_stay_around_the_closed_form():
    """N = 400, step .05, 20 loops, σ = 1e-3: slope 1.4630 (1.4636 was measured), variance .0200, from means at 0."""
    problem, many = linear_iv(particles=400), 600
    solver = f2bmld(problem, loops=20, x_step=0.05, y_step=0.05, penalty=1.0, entropy=(1e-3, 1e-3))
    x, y = 0.02**0.5 * jax.random.normal(jax.random.key(1), (2, 400, 2))  # the variance needs 1500 updates from 1
    found = followed(solver, x, y, many, compiled=jax.jit)
    assert abs(np.asarray(found.x[0]).mean(0)[1]) < 0.1
    means = np.asarray(found.x[300:]).mean((0, 1))
    # a mean of 400 particles wanders by √(σ/(400 · curvature)), about .002, and forgets in some 30 updates
    np.testing.assert_allclose(means, penalised(moments(), 0.05, 1.0), atol=0.003)
    assert means[1] == pytest.approx(1.4630, abs=0.003)
    assert np.var(found.x[-1], axis=0, ddof=1).mean() == pytest.approx(0.02 / (1 - 0.05 * 0.05 / 2), rel=0.15)  # 3 · 5%


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_with_noise_and_batches_types_are_kept_and_samples_counted(wide):
    with jax.enable_x64(wide):
        problem = npiv(rows=300, particles=7, batch=16)
        solver = f2bmld(problem, loops=2)
        state = solver.init(*problem.init(jax.random.key(0)))
        update = light(solver.update)
        keeps(solver, problem, {"penalty"})
        after, info = update(jax.random.key(1), state)
        counts(state, after, info)
        assert (float(info.cost.samples), float(info.cost.gradients)) == (16 + 2 * 16, 3 * 2 + 3)
        assert not np.array_equal(after.y, after.yw) and np.array_equal(state.y, state.yw)
        other = update(jax.random.key(2), state)[0]
        assert not np.array_equal(other.x, after.x)


def test_x_has_a_lower_batch_of_its_own():
    """One particle each, lower = ½(1 + v)(y − x)², v drawn: y's step tells the v that it saw, dx another one."""
    one = lambda array: jnp.sum(array)  # noqa: E731
    problem = Bilevel(
        lambda key: (jnp.ones(1), jnp.zeros(1)),
        lambda x, y, batch: one(y + 2) ** 2 / 2,
        lambda x, y, v: (1 + v) * one(y - x) ** 2 / 2,
        draw_lower=lambda key, x, y: jax.random.uniform(key),
        drawn=(0, 1),
        particles=(1, 1),
    )
    solver = f2bmld(problem, loops=1, y_step=0.5, penalty=1.0, entropy=(0.0, 0.0))
    after, info = light(solver.update)(jax.random.key(0), solver.init(jnp.ones(1), jnp.zeros(1)))
    v = 2 * after.y - 1
    np.testing.assert_allclose(after.yw, 0.25 * ((1 + v) - 2), rtol=1e-12)  # the same v
    fresh = info.hypergradient / (after.y - after.yw) - 1
    assert 0 < v < 1 and 0 < fresh < 1 and abs(v - fresh) > 0.01


def test_the_authors_adam_is_free_of_noise():
    """With transformations nothing is drawn: two keys, the same bits; with an entropy it is refused in one line."""
    problem = linear_iv(rows=30, particles=3)
    adam = optax.adam(1e-3, 0.5, 0.9)
    solver = f2bmld(problem, x_step=adam, y_step=adam, entropy=(0.0, 0.0), loops=2)
    start = solver.init(*problem.init(jax.random.key(0)))
    update = light(solver.update)
    first, second = (update(jax.random.key(seed), start)[0] for seed in (0, 1))
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_allclose(np.abs(first.x - start.x), 1e-3, rtol=1e-3)  # Adam's first step, whatever N is
    for steps in ({"x_step": adam}, {"y_step": adam}):
        with pytest.raises(ValueError, match="^entropy must be 0 where (x|y)_step is an optax") as told:
            f2bmld(problem, **steps)
        assert "\n" not in str(told.value)


def test_a_step_without_entropy_draws_nothing():
    def program(entropy):
        steps = langevin("x_step", 0.1, lambda x: x, steps=1, particles=3, entropy=entropy)
        moved = lambda x, key: steps.move(x, x, steps.start(x), key, jnp.asarray(0), 1.0)[0]  # noqa: E731
        return str(jax.make_jaxpr(moved)(jnp.ones((3, 2)), jax.random.key(0)))

    assert "random" not in program(0.0) and "random" in program(0.1)


def test_problems_without_clouds_are_refused():
    with pytest.raises(ValueError, match="^f2bmld moves clouds of particles, and this problem has none"):
        f2bmld(quadratic())
    with pytest.raises(ValueError, match=r"^f2bmld wants every leaf of y to be \[6, ...\]: got \(5, 2\)"):
        f2bmld(linear_iv(rows=9, particles=5)._replace(particles=(5, 6)))
