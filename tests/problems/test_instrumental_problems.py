"""Instruments: linear neurons against closed forms and plain 2SLS, made-up data, CartPole against Gymnasium."""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from contract import begun
from upperhand.cli.general_check import check_general, implicit, losses
from upperhand.policies.neurons import linear_neurons, tanh_neurons
from upperhand.problems import cart_pole_value, linear_iv, npiv
from upperhand.problems.cart_pole_value import leaning, returns, rolled
from upperhand.problems.linear_iv import moments, penalised, stages
from upperhand.problems.npiv import GRID, instrumental
from upperhand.run import chunk, seed_key
from upperhand.solvers import f2bmld


def test_neurons_by_hand():
    random = np.random.default_rng(0)
    cloud, t = random.normal(size=(6, 4)), random.normal(size=(9, 2))
    each = [[2.5 * np.tanh(c) * np.tanh(np.dot(omega, s) + b) for *omega, b, c in cloud] for s in t]
    np.testing.assert_allclose(tanh_neurons(2.5).network(jnp.asarray(cloud), jnp.asarray(t)), np.mean(each, 1))
    line = [np.mean([b + np.dot(omega, s) for b, *omega in cloud[:, :3]]) for s in t]
    np.testing.assert_allclose(linear_neurons().network(jnp.asarray(cloud[:, :3]), jnp.asarray(t)), line)
    for neurons, width in ((tanh_neurons(), 7), (linear_neurons(), 6)):
        assert neurons.start(jax.random.key(0), 3, 5).shape == (3, width)
    assert np.abs(tanh_neurons().network(100 * jnp.ones((2, 3)), jnp.ones((1, 1))))[0] == pytest.approx(3.0)


def test_the_oracle_of_linear_neurons_is_that_of_the_losses():
    """∂_y lower(x, y*) = 0; Φ, differences of Φ, and implicit differentiation of the losses over all rows; the best."""
    problem = linear_iv(rows=300, particles=5)
    exact, key = problem.exact, jax.random.key(0)
    above, below = problem.draw_upper(key, None, None), problem.draw_lower(key, None, None)
    assert [len(each) for each in (*above, *below)] == [300] * 4 and problem.drawn == (300, 300)
    x = problem.init(key)[0]
    y = exact.lower_solution(x)
    np.testing.assert_allclose(jax.grad(problem.lower, argnums=1)(x, y, below), 0, atol=1e-14)
    np.testing.assert_allclose(exact.value(x), problem.upper(x, y, above), rtol=1e-12)
    assert check_general(problem, weights=(), points=2)[0].error.max() < 1e-8
    by_products = jax.jit(lambda x, y: implicit(losses(problem, 0, x, y), x, y))(x, y)
    np.testing.assert_allclose(by_products, exact.hypergradient(x), rtol=1e-8)
    best, value = exact.best()
    best = jnp.asarray(best)
    np.testing.assert_allclose(exact.value(best), value, rtol=1e-12)
    np.testing.assert_allclose(exact.hypergradient(best), 0, atol=1e-14)
    with jax.enable_x64(False):
        narrow = linear_iv(rows=30, particles=3)
        x, y = narrow.init(jax.random.key(0))
        found = [x, y, narrow.exact.lower_solution(x), narrow.exact.value(x), narrow.exact.hypergradient(x)]
        found += jax.tree.leaves((narrow.draw_upper(key, x, y), narrow.draw_lower(key, x, y), narrow.metrics(x, y)))
        assert {leaf.dtype for leaf in found} == {np.dtype("float32")}


def test_penalised_optima_approach_the_bilevel_one():
    """Known: 1.5286, 1.5391, 1.5428, 1.5442, 1.5444 at lambda_pen = .1 … 100, to 1.54437; 2SLS 1.54434, OLS 1.958."""
    known, ridge = moments(), 1e-3
    slopes = [penalised(known, ridge, 1 / strong)[1] for strong in (0.1, 0.3, 1, 10, 100)]
    np.testing.assert_allclose(slopes, [1.5286, 1.5391, 1.5428, 1.5442, 1.5444], atol=6e-5)
    best = linear_iv(ridge=ridge).exact.best()[0]
    assert best[0, 1] == pytest.approx(1.54437, abs=5e-6)
    np.testing.assert_allclose(penalised(known, ridge, 1e-6), best[0], atol=1e-6)
    z, a, y, z_upper, _, outcome = stages(2000, 0)
    first = np.polynomial.Polynomial.fit(z, a, 1)
    assert np.polyfit(first(z_upper), outcome, 1)[0] == pytest.approx(1.54434, abs=5e-6)
    assert np.polyfit(a, y, 1)[0] == pytest.approx(1.958, abs=5e-4)


def test_a_penalised_optimum_is_stationary_for_the_losses():
    """x, y and yw of `penalised` have no gradient left, by autodiff of the two losses over all rows."""
    problem, ridge, w = linear_iv(rows=100, particles=3, seed=4), 0.05, 0.3
    known = moments(100, 4)
    m = penalised(known, ridge, w)
    m_y = np.linalg.solve(known.C + ridge * np.eye(2), known.D @ m)
    m_w = np.linalg.solve(w * known.C_upper + known.C + ridge * np.eye(2), w * known.e + known.D @ m)
    x, y, yw = (jnp.broadcast_to(jnp.asarray(mean), (3, 2)) for mean in (m, m_y, m_w))
    key = jax.random.key(0)
    above, below = problem.draw_upper(key, x, y), problem.draw_lower(key, x, y)
    bent = lambda x, yw: problem.upper(x, yw, above) + problem.lower(x, yw, below) / w  # noqa: E731
    np.testing.assert_allclose(jax.grad(problem.lower, argnums=1)(x, y, below), 0, atol=1e-14)
    np.testing.assert_allclose(jax.grad(bent, argnums=1)(x, yw), 0, atol=1e-14)
    dx = jax.grad(bent)(x, yw) - jax.grad(problem.lower)(x, y, below) / w
    np.testing.assert_allclose(dx, 0, atol=1e-13)


@pytest.mark.parametrize(("target", "least"), [("step", 0.5), ("abs", None), ("sine", None)])
def test_made_up_data_are_confounded_and_z_is_an_instrument(target, least):
    """Y − h0(A) is correlated with A as by hand, and not with functions of Z; `error` of h = 0 is the mean of h0²."""
    problem = npiv(target=target, rows=40_000, noise=0.1)
    h0 = {"step": lambda a: 1.0 * (a > 0), "abs": np.abs, "sine": np.sin}[target]
    z, a = map(np.asarray, problem.examples.take_lower(slice(None)))
    z_upper, y = map(np.asarray, problem.examples.take_upper(slice(None)))
    assert z.shape == a.shape == z_upper.shape == (40_000, 1) and y.shape == (40_000,)
    assert np.abs(z).max() < 3 and np.var(a) == pytest.approx(3 + 1 + 0.01, rel=0.03)
    assert abs(np.corrcoef(z[:, 0], z_upper[:, 0])[0, 1]) < 0.02  # stages drawn apart
    centres = np.digitize(z_upper[:, 0], [-1, 1])
    for part, (low, high) in enumerate([(-3, -1), (-1, 1), (1, 3)]):  # E[Y | Z] = E[h0(A) | Z], bin by bin
        wanted = h0(a[(z[:, 0] > low) & (z[:, 0] < high), 0])
        seen = y[centres == part]
        assert abs(wanted.mean() - seen.mean()) < 4 * np.sqrt((wanted.var() + seen.var()) / len(seen))
    told = problem.metrics(jnp.zeros((50, 3)), None)["error"]
    assert told == pytest.approx(np.mean(h0(GRID) ** 2)) and (least is None or told == least)
    maps = problem.maps(np.zeros((2, 50, 3)))
    assert np.array_equal(maps["truth"], h0(maps["places"])) and maps["found"].shape == (2, 400)


def test_batches_are_rows_and_data_may_be_traced():
    random = np.random.default_rng(0)
    z, a, y = random.normal(size=(40, 2)), random.normal(size=(40, 3)), random.normal(size=40)
    problem = instrumental(z, a, y, particles=4, batch=6, ridge=(0.5, 0.25))
    key = jax.random.key(0)
    (z_seen, a_seen), (z_upper, y_seen) = problem.draw_lower(key, None, None), problem.draw_upper(key, None, None)
    place = lambda rows: [int(np.argmin(np.abs(z - row).sum(1))) for row in np.asarray(rows)]  # noqa: E731
    np.testing.assert_array_equal(a_seen, a[place(z_seen)])
    np.testing.assert_array_equal(y_seen, y[place(z_upper)])
    assert problem.drawn == (6, 6) and len(set(place(z_seen))) > 2
    x, clouds = problem.init(key)
    assert x.shape == (4, 5) and clouds.shape == (4, 4) and problem.particles == (4, 4)
    size = lambda cloud: float(jnp.sum(cloud**2)) / 8  # noqa: E731
    bare = instrumental(z, a, y, particles=4, batch=6, ridge=0.0)
    for which, batch, extra in (
        ("upper", (z_upper, y_seen), 0.5 * size(x)),
        ("lower", (z_seen, a_seen), size(clouds) / 4),
    ):
        both = [float(getattr(each, which)(x, clouds, batch)) for each in (problem, bare)]
        assert both[0] - both[1] == pytest.approx(extra, rel=1e-9)
    traced = jax.jit(lambda z, a, y: instrumental(z, a, y, particles=4, batch=6).draw_lower(key, None, None))(z, a, y)
    np.testing.assert_array_equal(traced[1], a_seen)


def test_a_program_does_not_grow_with_the_rows():
    problem = npiv(rows=100_000)
    solver = f2bmld(problem)
    state = begun(solver, problem)
    program = chunk(solver, seed_key(0), state)
    assert len(program.lower(seed_key(0), state, jnp.int32(0), jnp.int32(1)).as_text()) < 1_000_000


def test_roll_outs_are_those_of_gymnasium():
    """One episode at a time in `CartPole-v1`, from the states that were seen, with the actions that were asked for."""
    import gymnasium

    found = rolled(5, 60, 0.5, 0.0, np.random.default_rng(3))
    world = gymnasium.make("CartPole-v1").unwrapped
    assert 0 < found.done.sum() <= 5 and np.abs(found.states[0]).max() <= 0.05
    lengths = found.alive.sum(0).astype(int)
    for e, length in enumerate(lengths):
        world.reset(seed=0)
        for t in range(length):
            world.state = tuple(found.states[t, e])
            seen, _, ended, _, _ = world.step(int(found.actions[t, e]))
            np.testing.assert_allclose(seen, found.states[t + 1, e], atol=1e-5)
            assert ended == bool(found.done[t, e])
    asked = found.actions[found.alive > 0] == leaning(found.states[:-1])[found.alive > 0]
    assert 0.5 < asked.mean() < 0.95  # ¾ of them are π's


def test_returns_by_hand_and_the_residual():
    """Without slip a state's return is (1 − γ^k)/(1 − γ) of its k steps; h_x(A) is q(s, a) − γ(1 − done) q(s', a')."""
    random = np.random.default_rng(0)
    starts = np.array([[0.0, 0.0, 0.2, 2.0], [0.0, 0.0, 0.01, 0.0]])
    alive = rolled(starts, 200, 0.0, 0.0, random).alive
    lengths = alive.sum(0)
    assert lengths[0] == 1 and 20 < lengths[1] < 200
    np.testing.assert_allclose(returns(starts, 0.9, 0.0, random), (1 - 0.9**lengths) / 0.1, atol=0.01)
    problem = cart_pole_value(episodes=6, particles=4, batch=0, noise=0.0)
    x, y = problem.init(jax.random.key(0))
    (z, a), (z_upper, rewards) = (draw(jax.random.key(0), x, y) for draw in (problem.draw_lower, problem.draw_upper))
    np.testing.assert_allclose(rewards, 0.1)
    np.testing.assert_array_equal(z, a[:, :5])
    q = lambda t: np.asarray(tanh_neurons().network(x, jnp.asarray(t)))  # noqa: E731
    residual = q(a[:, :5]) - 0.9 * (1 - np.asarray(a[:, 10])) * q(a[:, 5:10])
    wanted = (
        np.mean((np.asarray(tanh_neurons().network(y, z)) - residual) ** 2) / 2 + 1e-5 * np.sum(np.asarray(y) ** 2) / 8
    )
    assert float(problem.lower(x, y, (z, a))) == pytest.approx(wanted, rel=1e-9)
    assert np.sum(a[:, 10]) == 3 and set(np.unique(a[:, [4, 9]])) == {-1.0, 1.0}
    told = problem.metrics(jnp.zeros_like(x), y)
    assert float(told["level"]) == 0 and float(told["error"]) > 8 and 0.3 < float(told["flat"]) < 4


def test_the_value_of_a_policy_is_found():
    """RMSE at start states from about 10 to below 2 rewards, in 1000 updates, where the truth is about 9.7."""
    with jax.enable_x64(False):
        problem = cart_pole_value()
        solver = f2bmld(problem, steps=1000)
        start = begun(solver, problem)
        step = lambda k, state: solver.update(jax.random.fold_in(seed_key(0), k), state)[0]  # noqa: E731
        state = jax.jit(lambda state: jax.lax.fori_loop(0, 1000, step, state))(start)
        before, after = (problem.metrics(each.x, each.y) for each in (start, state))
    assert before["error"] > 5 and after["error"] < 2


def test_without_gymnasium_one_line_tells_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ValueError, match=r"pip install 'upperhand\[worlds\]'"):
        cart_pole_value()


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (partial(npiv, rows=0), "rows"), (partial(npiv, particles=0), "particles"), (partial(npiv, batch=-1), "batch"),
        (partial(npiv, ridge=-1.0), "ridge"), (partial(npiv, noise=-0.1), "noise"),
        (partial(linear_iv, rows=1), "rows"), (partial(linear_iv, ridge=0.0), "ridge"),
        (partial(linear_iv, particles=0), "particles"), (partial(linear_iv, batch=-1), "batch"),
        (partial(cart_pole_value, episodes=3), "episodes"), (partial(cart_pole_value, ridge=-1.0), "ridge"),
        (partial(cart_pole_value, noise=-1.0), "noise"), (partial(cart_pole_value, slip=-0.1), "slip"),
        (partial(cart_pole_value, discount=0.0), "discount"), (partial(cart_pole_value, batch=-1), "batch"),
        (partial(cart_pole_value, slip=1.0), "slip and discount"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(make, named):
    with pytest.raises(ValueError, match=f"^{named} must be"):
        make()


def test_an_unknown_target_is_named(capsys):
    from upperhand.cli import main

    assert main(["run", "npiv", "--problem.target", "cube"]) == 2
    assert "target" in capsys.readouterr().err
