"""Four rooms: the reference values of the published task, its hypergradient, and what the page draws."""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.enumeration import values
from upperhand.mdps.four_rooms import number
from upperhand.problems import four_rooms

UNIFORM, UNSPENT = np.zeros(105), np.append(np.zeros(104), 60.0)
NONE = {  # τ: no incentive, average and for each goal
    0.001: (".4099", ".0008", ".8189"),
    0.003: (".3210", ".0015", ".6405"),
    0.005: (".2994", ".0178", ".5811"),
}
FIRST = {0.001: ("-.1475", ".7238"), 0.003: ("-.1443", ".5443"), 0.005: ("-.1293", ".4928")}  # uniform, cost 1, by goal
EVEN = {  # (τ, cost): uniform weights
    (0.001, 1.0): ".2882", (0.001, 3.0): ".0133", (0.001, 5.0): "-.2616",
    (0.003, 1.0): ".2000", (0.003, 3.0): "-.0679", (0.003, 5.0): "-.3357",
    (0.005, 1.0): ".1817", (0.005, 3.0): "-.0574", (0.005, 5.0): "-.2966",
}  # fmt: skip
CLASSICAL = {0.001: (".3645", ".2260"), 0.003: (".2918", ".1512"), 0.005: (".2742", ".1352")}  # slip .33: none, uniform


def assert_printed(value: float, printed: str) -> None:
    """Equal to every printed digit: off by half a unit of the last one at most."""
    unit = 10.0 ** -len(printed.split(".")[1])
    assert abs(value - float(printed)) <= 0.5001 * unit, f"got {value:.12g}, printed {printed}"


@lru_cache
def returns(tau: float, **settings) -> np.ndarray:
    """V of (uniform, unspent) weights."""
    return -values(four_rooms(temperature=tau, **settings).exact, np.stack([UNIFORM, UNSPENT]))


@pytest.mark.parametrize("tau", NONE)
def test_no_incentive(tau):
    for printed, goals in zip(NONE[tau], (((1, 9), (11, 11)), ((1, 9),), ((11, 11),)), strict=True):
        assert_printed(returns(tau, cost=1.0, goals=goals)[1], printed)


@pytest.mark.parametrize(("tau", "cost"), EVEN)
def test_uniform_weights(tau, cost):
    assert_printed(returns(tau, cost=cost)[0], EVEN[tau, cost])


@pytest.mark.parametrize("tau", FIRST)
def test_uniform_weights_for_each_goal(tau):
    for printed, goal in zip(FIRST[tau], ((1, 9), (11, 11)), strict=True):
        assert_printed(returns(tau, cost=1.0, goals=(goal,))[0], printed)


@pytest.mark.parametrize("tau", CLASSICAL)
def test_classical_kernel(tau):
    uniform, unspent = returns(tau, cost=1.0, slip=0.33)
    assert_printed(unspent, CLASSICAL[tau][0])
    assert_printed(uniform, CLASSICAL[tau][1])


def test_published_gradient_check():
    problem, x = four_rooms(), jnp.asarray(0.5 * np.random.default_rng(0).normal(size=105))
    assert_printed(-float(jax.jit(problem.exact.value)(x)), "-.0727107638")
    dx = jax.jit(problem.exact.hypergradient)(x)
    assert_printed(-float(dx[0]), ".0017272668")
    assert_printed(-float(dx[104]), ".0049924507")


def test_hypergradient_equals_differences_along_random_directions():
    problem, rng = four_rooms(temperature=0.02, spread=0.0), np.random.default_rng(1)
    x, directions = rng.normal(size=105), rng.normal(size=(4, 105))
    offsets = 1e-3 * np.array([-2.0, -1.0, 1.0, 2.0])
    around = values(problem.exact, (x + offsets[:, None, None] * directions).reshape(-1, 105)).reshape(4, -1)
    slopes = np.array([1.0, -8.0, 8.0, -1.0]) @ around / 12e-3
    dx = np.asarray(jax.jit(problem.exact.hypergradient)(jnp.asarray(x)))
    np.testing.assert_allclose(directions @ dx, slopes, rtol=1e-6)


def test_ascent_by_the_exact_gradient_reaches_the_published_values():
    """τ = .001, c = 1, step .5, gradient clipped at 1, from .01·normal of seed 0: .4362 before update 100."""
    problem = four_rooms(temperature=0.001, cost=1.0)

    def update(_, x):
        dx = problem.exact.hypergradient(x)
        return x - 0.5 * dx / jnp.maximum(1.0, jnp.linalg.norm(dx))

    x = jnp.asarray(0.01 * np.random.default_rng(0).normal(size=105))
    x = jax.jit(lambda x: jax.lax.fori_loop(0, 99, update, x))(x)
    assert_printed(-float(jax.jit(problem.exact.value)(x)), ".4362")


def test_maps():
    problem = four_rooms()
    xs = np.stack([UNIFORM, np.append(np.eye(104)[number((3, 6))] * 8, 0.0)])
    maps = problem.maps(xs)
    for name in ("reward", "occupancy", "greedy", "payment"):
        assert maps[name].shape == (2, 13, 13)
    np.testing.assert_allclose(maps["occupancy"].sum((1, 2)), 1)
    np.testing.assert_allclose(maps["payment"].sum((1, 2)), -0.2 * np.array([104 / 105, 1 - 1 / (np.exp(8) + 104)]))
    assert maps["payment"][1].argmin() == 13 * 3 + 6 and maps["occupancy"][1, 3, 6] < maps["occupancy"][0, 3, 6] / 2
    walls = tuple(maps["walls"].T)
    assert not maps["occupancy"][:, *walls].any() and len(maps["walls"]) == 65
    assert maps["start"][4, 1] == 1 and maps["start"].sum() == 1 and maps["upper_reward"].argmax() == 13 * 8 + 4
    np.testing.assert_array_equal(maps["goals"], [(1, 9), (11, 11)])
    assert maps["greedy"][0, 2, 9] == 0 and maps["greedy"][0, 11, 10] == 1  # up and right, beside each goal


def test_start():
    problem = four_rooms(spread=0.5)
    xs = np.stack([problem.init(jax.random.key(seed))[0] for seed in range(20)])
    assert xs.shape == (20, 105) and abs(xs.std() - 0.5) < 0.03 and abs(xs.mean()) < 0.05


@pytest.mark.parametrize(
    ("change", "name"),
    [({"budget": 0.0}, "budget"), ({"temperature": 0.0}, "temperature"), ({"cost": -1.0}, "cost"),
     ({"cost": float("nan")}, "cost"), ({"spread": -0.1}, "spread"), ({"slip": 2.0}, "slip")],
)  # fmt: skip
def test_it_refuses(change, name):
    with pytest.raises(ValueError, match=name):
        four_rooms(**change)
