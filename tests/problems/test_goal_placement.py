"""Goal placement: the published reference facts, the optimum that it tells, and what it draws."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel
from upperhand.hypergradients.enumeration import lattice, polished, values
from upperhand.problems import goal_placement

FACTS = {1.5: (-0.4969, (6.75, 1.5)), 4.0: (-0.4951, (7, 1.75))}  # width: best of the quarter-cell lattice, where


@pytest.fixture(scope="module", params=FACTS)
def found(request):
    """(problem, width, what it draws for two x)."""
    problem = goal_placement(width=request.param)
    return problem, request.param, problem.maps(np.array([[4.5, 4.5], [7.0, 2.0]]))


def by_hand(problem, width: float, x, tau: float):
    """Φ_τ(x), occupancy, greedy moves and action values at τ → 0, all in NumPy from the formulas of the reference."""
    cells = np.array([(i, j) for i in range(10) for j in range(10)], float)
    bump = lambda centre, width: np.exp(-((cells - centre) ** 2).sum(-1) / (2 * width**2))  # noqa: E731
    r, u, P = bump(np.asarray(x), width), bump((7, 2), 1) - 0.5 * bump((5, 5), 1.5), kernel(problem.mdp)
    start = np.full(100, 0.5 / 100)
    start[0] += 0.5
    v = np.zeros(100)
    for _ in range(700):
        q = r[:, None] + 0.95 * P @ v
        top = q.max(-1, keepdims=True)
        v = (top + tau * np.log(np.exp((q - top) / tau).sum(-1, keepdims=True)))[:, 0]
    pi = np.exp((q - v[:, None]) / tau)
    pi /= pi.sum(-1, keepdims=True)
    d = 0.05 * np.linalg.solve(np.eye(100) - 0.95 * np.einsum("sa,sat->st", pi, P).T, start)
    return -d @ u + 0.001 * ((np.asarray(x) - 4.5) ** 2).sum(), d, q, pi


def test_reference_landscape(found):
    problem, width, maps = found
    best, where = FACTS[width]
    i, j = np.unravel_index(maps["landscape"].argmin(), maps["landscape"].shape)
    np.testing.assert_array_equal(maps["axis"], np.arange(37) / 4)
    assert (maps["axis"][i], maps["axis"][j]) == where
    assert maps["landscape"].min() == pytest.approx(best, abs=5.1e-5)
    if width == 4.0:
        assert maps["landscape"][18, 18] == pytest.approx(0.283, abs=5.1e-4)


@pytest.mark.parametrize(("x", "tau"), [((4.5, 4.5), 0.005), ((6.75, 1.5), 0.005), ((1.2, 7.7), 0.05)])
def test_value_equals_the_formulas(found, x, tau):
    problem, width, _ = found
    wanted, *_ = by_hand(problem, width, x, tau)
    assert float(jax.jit(problem.exact.value)(jnp.asarray(x), tau)) == pytest.approx(wanted, rel=1e-6)


def test_polished_best_is_a_local_minimum_below_the_lattice(found):
    """No point near it, at any of five distances, is lower; Φ there is what is told."""
    problem, _, maps = found
    x, best = problem.exact.best()
    assert best <= maps["landscape"].min() and (x >= 0).all() and (x <= 9).all()
    angles, rng = np.linspace(0, 2 * np.pi, 16, endpoint=False), np.random.default_rng(0)
    ring = np.stack([np.cos(angles), np.sin(angles)], -1)
    around = np.concatenate([x + 10.0**-k * ring for k in range(1, 6)] + [x + 0.02 * rng.normal(size=(16, 2))])
    heights = values(problem.exact, np.vstack([x, np.clip(around, 0, 9)]))
    assert heights[0] == pytest.approx(best, abs=1e-12)
    assert heights[1:].min() > best - 1e-9
    np.testing.assert_array_equal(maps["best_x"], x)


def test_polished_at_a_smooth_temperature_has_no_gradient_left():
    tau = 0.1
    problem = goal_placement(size=5, temperature=tau, upper_bumps=((3, 1, 1, 1), (2, 2, 1.5, -0.5)), pull=0.01)
    points = lattice((np.linspace(0, 4, 5),) * 2)
    x, best = polished(problem.exact, points, bounds=(0.0, 4.0), most=3)
    step = x - np.clip(x - jax.jit(problem.exact.hypergradient)(jnp.asarray(x), tau), 0, 4)
    assert np.abs(step).max() < 1e-4
    assert best <= values(problem.exact, points).min()


def test_maps(found):
    problem, width, maps = found
    cells = np.array([(i, j) for i in range(10) for j in range(10)], float)
    for name in ("reward", "occupancy", "greedy"):
        assert maps[name].shape == (2, 10, 10)
    np.testing.assert_allclose(maps["occupancy"].sum((1, 2)), 1, rtol=1e-9)
    for n, x in enumerate([(4.5, 4.5), (7.0, 2.0)]):
        _, d, q, pi = by_hand(problem, width, x, 0.005)
        np.testing.assert_allclose(maps["occupancy"][n].ravel(), d, atol=1e-8)
        chosen = np.take_along_axis(q, maps["greedy"][n].reshape(-1, 1), 1)[:, 0]
        np.testing.assert_allclose(chosen, q.max(-1), atol=1e-9)
        bump = np.exp(-((cells - np.array(x)) ** 2).sum(-1) / (2 * width**2))
        np.testing.assert_allclose(maps["reward"][n].ravel(), bump, rtol=1e-12)
    u = np.exp(-((cells - [7, 2]) ** 2).sum(-1) / 2) - 0.5 * np.exp(-((cells - [5, 5]) ** 2).sum(-1) / (2 * 1.5**2))
    np.testing.assert_allclose(maps["upper_reward"].ravel(), u, rtol=1e-12)
    assert maps["start"][0, 0] == pytest.approx(0.505) and maps["start"].sum() == pytest.approx(1)
    assert maps["walls"].shape == (0, 2)


def test_start_and_projection():
    problem = goal_placement(size=6)
    xs = jnp.stack([problem.init(jax.random.key(seed))[0] for seed in range(64)])
    assert xs.shape == (64, 2) and (xs >= 0).all() and (xs <= 5).all()
    assert xs.min() < 0.5 and xs.max() > 4.5 and len(np.unique(xs)) == 128
    np.testing.assert_array_equal(problem.project_x(jnp.asarray([-1.0, 7.0])), [0, 5])
    np.testing.assert_array_equal(problem.project_x(jnp.asarray([1.5, 2.0])), [1.5, 2.0])


def test_walls_share_the_other_half_of_the_starts():
    problem = goal_placement(size=3, walls=((1, 1), (2, 2)))
    wanted = np.full(9, 0.5 / 7)
    wanted[[4, 8]] = 0
    wanted[0] += 0.5
    np.testing.assert_allclose(problem.mdp.start, wanted)


def test_large_grids_have_an_oracle_and_maps_but_no_known_best():
    problem = goal_placement(size=21, temperature=0.1, walls=((1, 1), (2, 2)))
    assert problem.exact.best is None
    maps = problem.maps(np.array([[3.0, 4.0]]))
    np.testing.assert_array_equal(maps["walls"], [(1, 1), (2, 2)])
    assert maps["occupancy"][0, 1, 1] == maps["occupancy"][0, 2, 2] == 0
    assert maps["occupancy"].sum() == pytest.approx(1) and "landscape" not in maps


@pytest.mark.parametrize("maze", ["rooms", "spiral", "comb"])
def test_walls_of_a_maze_join_the_given_ones(maze):
    """Nobody is in a wall, half of the starts are at (0, 0), and the walls change what the agent does."""
    problem, open_one = goal_placement(maze=maze, walls=((0, 20),), size=21), goal_placement(size=21)
    xs = np.array([[9.0, 9.0]])
    maps, without = problem.maps(xs), open_one.maps(xs)
    walls = tuple(maps["walls"].T)
    assert (0, 20) in map(tuple, maps["walls"].tolist()) and len(maps["walls"]) > 15
    assert not maps["occupancy"][0][walls].any() and not maps["start"][walls].any()
    assert 0.5 < maps["start"][0, 0] < 0.505
    assert np.abs(maps["occupancy"] - without["occupancy"]).sum() > 0.1


@pytest.mark.parametrize(
    ("change", "name"),
    [({"width": 0.0}, "width"), ({"width": float("nan")}, "width"), ({"temperature": -1.0}, "temperature"),
     ({"temperature": float("inf")}, "temperature"), ({"size": 1}, "size"), ({"slip": 2.0}, "slip"),
     ({"discount": 1.0}, "discount"), ({"walls": ((0, 0),)}, "walls"), ({"walls": ((0, 99),)}, "walls"),
     ({"walls": ((1, 2, 3),)}, "walls"), ({"maze": "ring"}, "maze"), ({"maze": "comb", "size": 4}, "size")],
)  # fmt: skip
def test_it_refuses(change, name):
    with pytest.raises(ValueError, match=name):
        inspect.unwrap(goal_placement)(**change)
