"""What every solver for a BilevelRL keeps: each file in solvers/rl is found by a walk and held to it."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

import upperhand.solvers.rl as room
from contract import begun, bits, counts, halves, keeps, light, named, refused
from probes import bandit, constant, dict_valued, two_states
from upperhand.forms import Tabular
from upperhand.hypergradients import exact
from upperhand.problems import goal_placement
from upperhand.run import chunk, run, seed_key
from upperhand.schedule import Power
from upperhand.solver import Solver
from upperhand.wrappers import vmapped

NAMES = sorted(file.stem for file in Path(room.__file__).parent.glob("*.py") if file.stem != "__init__")
every_solver = pytest.mark.parametrize("name", NAMES)


RUNGS = dict_valued, two_states  # the first is the bandit, and harder; the others are in them
SCHEDULED = frozenset({"temperature", "penalty"})


class Climb(NamedTuple):
    """How a solver is held to the ladder."""

    settings: dict
    steps: int
    samples: int | Callable = 0  # transitions an update, by hand; or a function of dim(x)
    away: float = 0.001  # how far from x* it may end
    products: int | Callable = 0  # second-order products an update, likewise
    scheduled: frozenset = frozenset({"temperature"})  # the schedules that it tells
    tabular: float | None = None  # how far dx may be from bellman's on a Tabular upper objective; None: refused
    rungs: tuple = RUNGS
    draws: bool = False  # draws something, though no transition
    whole_episodes: bool = False  # `samples` is the most, were no episode to end

    @property
    def is_sampled(self) -> bool:
        return callable(self.samples) or self.samples > 0


def fading(size, start, end):
    """size for `start` updates, then geometrically to 1% of it by `end`."""
    return optax.exponential_decay(size, end - start, 0.01, transition_begin=start)


def fading_adam(size=0.03, start=600, end=1800):
    return optax.adam(fading(size, start, end))


CLIMBS = {
    "actor_critic": Climb(
        {"batch": (32, 2), "x_step": fading_adam(), "critic_step": 0.02, "penalty": 0.02},
        steps=1830, samples=32 * 2, away=0.03, scheduled=SCHEDULED,
    ),
    "actor_critic_paper": Climb(
        {
            "batch": 128, "x_step": optax.sgd(fading(0.02, 2000, 4800)), "penalty": 0.2,
            "policy_step": Power(5.0, -0.25), "critic_step": Power(1.0, -0.25),
        },
        steps=5030, samples=2 * 128, away=0.1, scheduled=SCHEDULED,
    ),
    "expected_actor_critic": Climb({"x_step": fading_adam(), "penalty": 1e-3}, steps=1830, scheduled=SCHEDULED),
    "expected_finite_difference": Climb(
        {"x_step": fading_adam(), "radius": 1e-3}, steps=1830, scheduled=frozenset({"temperature", "radius"}),
        tabular=1e-4,
    ),
    "expected_nested_loop": Climb({"x_step": fading_adam(), "penalty": 1e-3}, steps=1830, scheduled=SCHEDULED),
    "expected_parl": Climb(
        {"x_step": fading_adam(), "policy_step": 0.5, "solves": 5}, steps=1830, products=6, tabular=1e-6
    ),
    "expected_partial_sgd": Climb({"x_step": fading_adam()}, steps=1830, tabular=1e-9, rungs=(constant,)),
    "expected_pbrl": Climb(
        {"x_step": optax.sgd(0.03), "penalty": 0.05, "policy_step": 0.5},  # steps of x below w, or it swings
        steps=1830, away=0.03, scheduled=SCHEDULED, tabular=0.05,
    ),
    "expected_zero_order": Climb(
        {"x_step": fading_adam(), "radius": 1e-3}, steps=1830, scheduled=frozenset({"temperature", "radius"}),
        tabular=0.5, draws=True,  # 200 directions in 3 dimensions: 0.14 is their standard deviation
    ),
    "finite_difference": Climb(
        {"batch": (32, 2), "x_step": fading_adam(), "critic_step": 0.02, "radius": 0.2},
        steps=1830, samples=lambda dx: 2 * dx * 32 * 2, away=0.06, scheduled=frozenset({"temperature", "radius"}),
    ),
    "hpgd": Climb(
        {"batch": (40, 20), "x_step": fading_adam(), "sweeps": 5}, steps=1830, samples=40 * 20, away=0.03,
        whole_episodes=True,
    ),
    "implicit": Climb({"x_step": fading_adam()}, steps=1830, products=1, tabular=1e-9),
    "m_sobirl": Climb({"x_step": optax.sgd(0.03)}, steps=1830, products=1, tabular=1e-6),
    "nested_loop": Climb(
        {"batch": (32, 2), "x_step": fading_adam(), "critic_step": 0.02, "penalty": 0.02, "loops": 2},
        steps=1830, samples=3 * 32 * 2, away=0.03, scheduled=SCHEDULED,
    ),
    "parl": Climb(
        {
            "batch": (40, 20), "x_step": fading_adam(), "policy_step": 0.5, "loops": 2, "ridge": 0.01, "solves": 3,
        },
        steps=1830, samples=3 * 40 * 20, products=4, away=0.05, whole_episodes=True,
    ),
    "partial_sgd": Climb(
        {"batch": (32, 2), "x_step": fading_adam(), "critic_step": 0.02}, steps=1830, samples=32 * 2, away=0.03,
        rungs=(constant,),
    ),
    "pbrl": Climb(
        {"batch": (64, 2), "x_step": fading_adam(0.02), "critic_step": 0.02, "penalty": 0.2, "loops": 1},
        steps=1830, samples=3 * 64 * 2, away=0.1, scheduled=SCHEDULED,
    ),
    "zero_order": Climb(
        {"batch": (40, 20), "x_step": fading_adam(), "sweeps": 5, "radius": 0.2},
        steps=1830, samples=2 * 40 * 20, away=0.06, scheduled=frozenset({"temperature", "radius"}),
        whole_episodes=True,
    ),
}  # fmt: skip


def builder(name):
    return getattr(room, name)


def built(name, problem, **settings):
    return builder(name)(problem, **settings)


@pytest.fixture(
    scope="module",
    params=[(name, rung) for name in NAMES if name in CLIMBS for rung in CLIMBS[name].rungs],
    ids=lambda p: f"{p[0]}-{p[1].__name__}",
)
def climbed(request):
    """A run to the end of a rung: (name, probe, last state, rows, how often update was traced)."""
    name, rung = request.param
    probe, climb, traced, rows = rung(), CLIMBS[name], [], []
    solver = built(name, probe.problem, temperature=probe.tau, **climb.settings)
    counting = Solver(solver.init, lambda key, state: (traced.append(1), solver.update(key, state))[1])
    key = seed_key(0)
    state = begun(counting, probe.problem, key)
    state = run(counting, key, state, steps=climb.steps, every=400, sinks=[lambda row, state: rows.append(row)])
    return name, probe, state, rows, len(traced)


def test_it_ends_near_the_minimiser_of_its_rung(climbed):
    """‖x − x*‖ by the closed form; the tolerance covers the penalty's bias O(w) and the noise of samples."""
    name, probe, state, _, _ = climbed
    start = ravel_pytree(probe.problem.init(jax.random.key(0))[0])[0]
    x, wanted = (np.asarray(ravel_pytree(jax.tree.map(jnp.asarray, x))[0]) for x in (state.x, probe.x_star))
    assert np.linalg.norm(start - wanted) > 3 * CLIMBS[name].away
    assert np.linalg.norm(x - wanted) < CLIMBS[name].away, (x, wanted)


def test_it_is_traced_once_over_chunks_of_two_lengths(climbed):
    name, _, state, rows, traces = climbed
    assert traces == 1 and int(state.count) == CLIMBS[name].steps and CLIMBS[name].steps % 400
    assert len(rows) == 2 + CLIMBS[name].steps // 400


def test_its_cost_is_counted(climbed):
    """Transitions of all streams and second-order products, by hand; some oracle is asked in each update."""
    name, probe, _, rows, _ = climbed
    climb, spent, dx = CLIMBS[name], rows[-1], ravel_pytree(probe.x_star)[0].size
    samples, products = (part(dx) if callable(part) else part for part in (climb.samples, climb.products))
    fewer = climb.whole_episodes and probe.problem.mdp.ending.any()  # they end before they are cut
    assert spent["products"] == products * climb.steps
    if fewer:  # at least one transition an episode, and not all of them
        least = samples * climb.steps / climb.settings["batch"][1]
        assert least < spent["samples"] < samples * climb.steps / 2
    else:
        assert spent["samples"] == samples * climb.steps
    assert spent["samples"] + spent["gradients"] + spent["products"] >= climb.steps


def test_the_walk_finds_the_solvers():
    assert set(CLIMBS) == set(NAMES) and len(NAMES) >= 3


@every_solver
def test_a_builder_bears_the_name_of_its_file_and_is_exported(name):
    named("upperhand.solvers.rl", name)


@pytest.fixture(scope="module")
def once():
    """name → the solver of two_states at its temperature, its first state and its compiled update, in float64."""

    @lru_cache
    def made(name):
        problem, tau, *_ = two_states()
        solver = built(name, problem, temperature=tau)
        return solver, begun(solver, problem), light(solver.update)

    return made


@every_solver
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_an_update_keeps_structure_shapes_and_types(name, wide):
    """Shapes, dtypes and weakness of types; Info is the one type, and its hypergradient is like x."""
    with jax.enable_x64(wide):
        problem = two_states().problem
        keeps(built(name, problem), problem, CLIMBS[name].scheduled)


@every_solver
def test_an_update_depends_on_key_and_state_only(name, once):
    """Same inputs, same bits, also after other calls; another key, other samples if there are any."""
    problem, (_, state, update) = two_states().problem, once(name)
    first = update(jax.random.key(1), state)
    counts(state, *first)
    other = update(jax.random.key(2), first[0])
    assert bits(update(jax.random.key(1), state)) == bits(first)
    assert bits(begun(built(name, problem, temperature=two_states().tau), problem)) == bits(state)
    differs = bits(update(jax.random.key(3), first[0])) != bits(other)
    assert differs == (CLIMBS[name].is_sampled or CLIMBS[name].draws)


@every_solver
def test_a_run_in_two_halves_is_the_run_bit_for_bit(name):
    problem, key = two_states().problem, seed_key(3)
    solver, again = (built(name, problem, steps=100) for _ in range(2))
    halves(solver, again, key, begun(solver, problem, key), steps=100, every=10)


@every_solver
def test_it_maps_over_seeds_and_over_a_step_size(name, once):
    """A member of a vmapped run is its own run, up to rounding; a mapped step size is that step size."""
    problem, (solver, _, update) = two_states().problem, once(name)
    keys = jax.random.split(jax.random.key(0), 3)
    x, theta = jax.vmap(problem.init)(keys)
    mapped = vmapped(solver)
    states = light(mapped.init)(x + jnp.arange(3.0)[:, None], theta)
    told = light(mapped.update)(keys, states)
    one = jax.tree.map(lambda leaf: leaf[1], states)
    alone = update(keys[1], one)
    for member, single in zip(jax.tree.leaves(told), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(member[1], single, rtol=1e-9, atol=1e-12)
    assert len(np.unique(np.asarray(told[0].x)[:, 0])) == 3

    def after(size):
        each = built(name, problem, x_step=optax.sgd(size))
        state = each.init(*problem.init(keys[0]))
        state, info = each.update(keys[0], state)
        return state.x, info.hypergradient

    sizes = jnp.asarray([0.0, 0.01, 0.1])
    x, dx = light(jax.vmap(after))(sizes)
    start = problem.init(keys[0])[0]
    assert np.abs(dx).min() > 0
    np.testing.assert_allclose(x, start[None] - sizes[:, None] * dx, rtol=1e-12)


@every_solver
def test_its_program_does_not_grow_with_the_world(name):
    """24,964 states, 4 actions, 4 successors: 400,000 entries of the kernel, in a program of less than 1 MB."""
    problem = goal_placement(size=158)
    solver = built(name, problem)
    state = jax.eval_shape(solver.init, *problem.init(jax.random.key(0)))
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), state)
    program = chunk(solver, seed_key(0), state)
    assert sum(constant.size for constant in program.constants) > problem.mdp.probability.size
    assert len(program.lower(seed_key(0), state, jnp.int32(0), jnp.int32(1)).as_text()) < 1_000_000


@every_solver
def test_a_tabular_upper_objective_is_taken_or_refused(name):
    """½‖x‖² + ½‖π‖² at a held x of a three-armed bandit: the mean of 200 dx against bellman; or one clear line."""
    probe, tolerance = bandit(), CLIMBS[name].tabular
    problem = probe.problem._replace(upper=Tabular(lambda x, pi, mu: (jnp.sum(x**2) + jnp.sum(pi**2)) / 2))
    if tolerance is None:
        with pytest.raises(ValueError, match=rf"{name} .*linear in the occupancy.*Tabular"):
            built(name, problem)
        return
    settings = CLIMBS[name].settings | {"x_step": optax.set_to_zero(), "temperature": probe.tau}
    solver, (x, theta) = built(name, problem, **settings), problem.init(jax.random.key(0))

    def advance(count, carry):
        state, info = solver.update(jax.random.fold_in(jax.random.key(1), count), carry[0])
        return state, carry[1] + jnp.where(count < 200, 0.0, info.hypergradient / 200)

    start = (solver.init(x, theta), jnp.zeros(3))
    dx = jax.jit(lambda start: jax.lax.fori_loop(0, 400, advance, start)[1])(start)
    wanted = AIMS.get(name, bellman_dx)(problem, x, probe.tau)
    assert np.linalg.norm(bellman_dx(problem, x, probe.tau) - x) > 0.05
    assert np.linalg.norm(dx - wanted) < tolerance * np.linalg.norm(wanted)


def bellman_dx(problem, x, tau):
    """The exact hypergradient."""
    return np.asarray(exact(problem, temperature=tau).hypergradient(x, tau))


AIMS = {name: lambda problem, x, tau: np.asarray(x) for name in ("expected_partial_sgd",)}
"""What a solver's dx aims at, where it is not the hypergradient: (problem, x, tau) → dx."""


NAN, INFINITE = float("nan"), float("inf")
SCHEDULES = (0, 0.0, -1.0, NAN, INFINITE, (1.0, 0.0), (1.0, 0.5, 0.1))
BAD = {
    "penalty": SCHEDULES, "temperature": SCHEDULES,
    "x_step": (0.0, -0.1, NAN, (0.1, 0.01, 0.001), (0.1, NAN)),
    "policy_step": (0, 2, -0.5, NAN), "critic_step": (0, 2, -0.5, NAN),
    "batch": ((0, 4), (4, 0), (4,), (4, 4, 4), (2.0, 4), 4),
    "loops": (0, -1, 2.0), "sweeps": (0, -1, 2.0), "effort": (0, -1, 2.0), "z_step": (0, -0.5, NAN, INFINITE),
    "radius": SCHEDULES, "solves": (0, -1, 2.0), "ridge": (-1.0, NAN, INFINITE),
}  # fmt: skip
"""setting → values that are refused, wherever a solver has that setting."""
BAD_OF = {
    "actor_critic_paper": {
        "policy_step": (0, -1, NAN, (1, 2, 3)), "critic_step": (0, -1, NAN, (1, 2, 3)), "batch": (0, -3, 2.0, (0, 4)),
    },
    "parl": {"policy_step": (0, -1, NAN, (1, 2, 3))}, "expected_parl": {"policy_step": (0, -1, NAN, (1, 2, 3))},
}  # fmt: skip
"""What differs from BAD for one solver."""


def test_a_bad_setting_is_named():
    """A ValueError of one line that begins with the argument's name and tells what was got, in a process of its own."""
    cases = []
    for name in NAMES:
        known = inspect.signature(builder(name)).parameters.keys()
        table = {which: bad for which, bad in (BAD | BAD_OF.get(name, {})).items() if which in known}
        bad = [(which, bad) for which, values in table.items() for bad in values]
        cases.append((name, "upperhand.goal_placement(size=2)", bad))
        assert {"x_step", "temperature"} <= table.keys() and len(bad) > 12
    refused(cases, Path(__file__).parent)
