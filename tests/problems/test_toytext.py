"""Toy-text incentives: value by hand from Gymnasium's tables, hypergradient, and that good incentives help."""

import inspect
import sys

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

from upperhand.hypergradients.enumeration import values
from upperhand.problems import toytext

WORLDS = {  # world: Gymnasium's id, its options, scale of its reward, worth, shape, states a cell
    "frozen_lake": ("FrozenLake-v1", {"map_name": "8x8"}, 100.0, 0.1, (8, 8), 1),
    "cliff_walking": ("CliffWalking-v1", {}, 1.0, 1.0, (4, 12), 1),
    "taxi": ("Taxi-v4", {}, 1.0, 1.0, (5, 5), 20),
}
HELPED = {"frozen_lake": 0.22, "cliff_walking": 8.0, "taxi": 0.5}  # least gain of a short descent from x = 0


@pytest.fixture(scope="module", params=WORLDS)
def made(request):
    return request.param, toytext(world=request.param, price=0.7, most=0.8)


def by_hand(world: str, x: np.ndarray, tau: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Φ_τ(x) at price 0.7 and most 0.8, the shares of time of the cells, π, in NumPy from the table itself."""
    name, options, scale, worth, (rows, columns), inside = WORLDS[world]
    env = gymnasium.make(name, **options).unwrapped
    S, A = len(env.P), len(env.P[0])
    P, r, u = np.zeros((S, A, S)), np.zeros((S, A)), np.zeros((S, A))
    for s, a in np.ndindex(S, A):
        i, j = divmod(s // inside, columns)
        if world == "cliff_walking":
            u[s, a] = -1.0 * (i == 2)
        if world == "taxi":
            u[s, a] = -1.0 * (1 <= i <= 3 and 1 <= j <= 3)
        for probability, after, reward, ends in env.P[s][a]:
            r[s, a] += probability * scale * reward
            P[s, a, after] += 0 if ends else probability
            if world == "frozen_lake" and env.desc.ravel()[after] == b"H":
                u[s, a] -= 100 * probability
    paid = 0.8 * x[np.arange(S) // inside]
    r, u = r + paid[:, None], u - 0.7 * paid[:, None] ** 2 / 0.8
    v, sparse = np.zeros(S), csr_array(P.reshape(S * A, S))
    for _ in range(2500):
        q = r + 0.99 * (sparse @ v).reshape(S, A)
        top = q.max(-1)
        v = top + tau * np.log(np.exp((q - top[:, None]) / tau).sum(-1))
    pi = np.exp((q - v[:, None]) / tau)
    d = np.linalg.solve(np.eye(S) - 0.99 * np.einsum("sa,sat->st", pi, P).T, env.initial_state_distrib)
    return -worth * d @ (pi * u).sum(-1), np.bincount(np.arange(S) // inside, d / d.sum()), pi


def test_value_and_maps_equal_the_formulas(made):
    world, problem = made
    x = np.random.default_rng(0).uniform(-1, 1, problem.init(jax.random.key(0))[0].shape)
    wanted, _, _ = by_hand(world, x, 0.5)
    assert values(problem.exact, x[None], 0.5)[0] == pytest.approx(wanted, rel=1e-7)
    _, visits, pi = by_hand(world, x, 0.2)
    maps, (*_, shape, inside) = problem.maps(x[None]), WORLDS[world]
    np.testing.assert_allclose(maps["occupancy"], visits.reshape(1, *shape), atol=1e-8)
    np.testing.assert_allclose(maps["payment"], 0.8 * x.reshape(1, *shape))
    assert not maps["occupancy"][0][tuple(maps["walls"].T)].any()
    assert len(maps["walls"]) == {"frozen_lake": 10, "cliff_walking": 10, "taxi": 0}[world]
    if inside == 1:
        seen = maps["occupancy"][0] > 1e-4
        np.testing.assert_array_equal(maps["greedy"][0][seen], pi.argmax(-1).reshape(shape)[seen])
    assert maps["start"].sum() == pytest.approx(1) and maps["upper_reward"].shape == shape


def test_hypergradient_equals_differences_along_random_directions(made):
    (_, problem), tau = made, 0.5
    rng, N = np.random.default_rng(1), problem.init(jax.random.key(0))[0].size
    x, directions = rng.uniform(-1, 1, N), rng.normal(size=(3, N))
    offsets = 2e-4 * np.array([-2.0, -1.0, 1.0, 2.0])
    around = values(problem.exact, (x + offsets[:, None, None] * directions).reshape(-1, N), tau).reshape(4, -1)
    slopes = np.array([1.0, -8.0, 8.0, -1.0]) @ around / 24e-4
    dx = np.asarray(jax.jit(problem.exact.hypergradient)(jnp.asarray(x), tau))
    np.testing.assert_allclose(directions @ dx, slopes, atol=1e-5 * np.abs(slopes).max())


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.long
def test_found_incentives_beat_none(world):
    """Sixty normalised steps of the exact hypergradient, from no incentives and τ = 1 down to 0.2."""
    problem, steps = toytext(world=world), 60
    none = jnp.zeros(problem.init(jax.random.key(0))[0].shape)

    def update(k, carry):
        x, mean, square = carry
        dx = problem.exact.hypergradient(x, 0.2 ** (k / steps))
        mean, square = 0.9 * mean + 0.1 * dx, 0.9 * square + 0.1 * dx**2
        step = 0.1 * 0.1 ** (k / steps)
        return problem.project_x(x - step * mean / (jnp.sqrt(square) + 1e-6)), mean, square

    found, *_ = jax.jit(lambda x: jax.lax.fori_loop(0, steps, update, (x, 0 * x, 0 * x)))(none)
    before, after = values(problem.exact, np.stack([none, found]))
    assert before - after > HELPED[world]
    assert (np.abs(found) <= 1).all()


def test_start():
    problem = toytext(world="taxi", spread=0.7)
    xs = np.stack([problem.init(jax.random.key(seed))[0] for seed in range(40)])
    assert xs.shape == (40, 25) and xs.max() == 1 and xs.min() == -1 and abs(np.median(xs)) < 0.1


def test_without_gymnasium_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ValueError, match=r"pip install 'upperhand\[worlds\]'"):
        toytext()


@pytest.mark.parametrize(
    ("change", "name"),
    [({"world": "blackjack"}, "frozen_lake, cliff_walking, taxi"), ({"price": -1.0}, "price"),
     ({"most": 0.0}, "most"), ({"temperature": float("nan")}, "temperature"), ({"spread": -0.1}, "spread"),
     ({"discount": 1.0}, "discount")],
)  # fmt: skip
def test_it_refuses(change, name):
    with pytest.raises(ValueError, match=name):
        inspect.unwrap(toytext)(**change)
