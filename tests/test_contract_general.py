"""What every solver for a general problem keeps: each file in solvers/ is found by a walk and held to it."""

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

import general_probes as probes
import upperhand.solvers as room
from contract import begun, bits, counts, halves, keeps, light, named, refused
from general_probes import LADDER
from upperhand.forms import Bilevel
from upperhand.problems import random_mdp
from upperhand.run import chunk, run, seed_key
from upperhand.schedule import geometric
from upperhand.settings import takes
from upperhand.solver import Solver
from upperhand.wrappers import vmapped

NAMES = sorted(file.stem for file in Path(room.__file__).parent.glob("*.py") if file.stem != "__init__")
every_solver = pytest.mark.parametrize("name", NAMES)


class Climb(NamedTuple):
    """How a solver is held to the ladder."""

    settings: dict
    steps: int = 600
    away: float = 1e-6  # how far from x* it may end
    rungs: tuple = LADDER
    own: Callable = probes.follows  # the probe of the other tests: of the form that the solver takes
    samples: int = 0  # examples an update draws of `noisy` (3 above, 2 below), or of `own` where it is of another form
    products: float = 0  # second-order products an update, at most
    scheduled: frozenset = frozenset()
    draws: bool = False  # draws something of its own


PENALISED = frozenset({"penalty"})
CLIMBS = {
    "alt_pbgd": Climb(
        {"loops": 40, "x_step": 0.3, "y_step": 0.4, "penalty": 1e-3}, away=2e-3, samples=5, scheduled=PENALISED
    ),
    "aid": Climb({"loops": 10, "solves": 4, "x_step": 0.3, "y_step": 0.4}, samples=5, products=6),
    "galet": Climb({"x_step": 0.1, "y_step": 0.4, "z_step": 0.2}, samples=5, products=3),
    "ma_soba": Climb(
        {"x_step": 0.5, "pace": 0.3, "y_step": 0.4, "z_step": 0.4, "average": 0.5},
        samples=5,
        products=2,
        scheduled=frozenset({"pace", "average"}),
    ),
    "morma_soba": Climb(
        {"pace": 0.2, "y_step": 0.5, "z_step": 0.5, "average": 0.5, "p_step": 0.05, "pull": 2.0},
        steps=1500,
        rungs=(probes.tasks,),
        own=probes.tasks,
        products=6,
        scheduled=frozenset({"pace", "average", "pull"}),
    ),
    "asbio_bred": Climb(
        {"batch": (256, 8), "restart": 8, "smoothness": 2.2, "x_step": (0.3, 0.003), "y_step": 0.3, "steps": 600},
        away=0.04,
        samples=256 * (3 + 12 * 2),
        products=(256 + 2 * 7 * 8) / 8 * 12,
        draws=True,
    ),
    "bio_bred": Climb({"loops": 40, "x_step": 0.5, "y_step": 0.4}, samples=5, products=80),
    "sbio_bred": Climb(
        {"batch": 8, "smoothness": 2.2, "x_step": (0.3, 0.003), "y_step": 0.3, "steps": 600},
        away=0.03,
        samples=8 * (3 + 12 * 2),
        products=8 * 12,
        draws=True,
    ),
    "f2bmld": Climb(
        {"loops": 40, "x_step": 0.3, "y_step": 0.4, "penalty": 1e-3, "entropy": (0.0, 0.0)},
        away=4e-3,
        rungs=(probes.cloud,),
        own=probes.cloud,
        scheduled=PENALISED,
    ),
    "g_pbgd": Climb(
        {"x_step": 0.15, "y_step": 0.15, "penalty": (0.3, 1e-3), "steps": 6000},
        6000,
        1e-2,
        samples=5,
        products=2,
        scheduled=PENALISED,
    ),
    "pbgd_blocc": Climb(
        {"loops": 10, "x_step": 0.2, "y_step": 0.5, "multiplier_step": 0.5, "penalty": 0.01},
        100,
        rungs=(probes.coupled,),
        own=probes.coupled,
        scheduled=PENALISED,
    ),
    "pbgd_free": Climb(
        {"x_step": 0.3, "y_step": 0.3, "penalty": 1e-3},
        away=2e-3,
        rungs=(probes.constant,),
        samples=5,
        scheduled=PENALISED,
    ),
    "pbgd_free_coupled": Climb(  # it is biased on the only rung with a constraint; see its own test
        {"x_step": 0.2, "y_step": 0.5, "multiplier_step": 0.5, "penalty": 0.01},
        rungs=(),
        own=probes.coupled,
        scheduled=PENALISED,
    ),
    "prox_linear": Climb({"reach": 0.2, "penalty": 0.1}, 1500, 1e-5, samples=5, products=46, scheduled=PENALISED),
    "soba": Climb({"x_step": 0.2, "y_step": 0.4, "z_step": 0.4}, samples=5, products=2),
    "fast_two_time_scale": Climb(
        {"x_step": 0.1, "y_step": 0.4, "average": 0.8}, samples=5, products=2, scheduled=frozenset({"average"})
    ),
    "two_time_scale": Climb({"x_step": 0.1, "y_step": 0.4}, samples=5, products=2),
    "wior_bo": Climb(
        {"x_step": (0.1, 0.003), "y_step": 0.1, "z_step": 0.1},
        away=1e-2,
        rungs=(probes.finite,),
        own=probes.finite,
        samples=2,
        products=2,
    ),
    "wior_cbo": Climb(
        {"x_step": (0.1, 0.001), "y_step": (0.5, 0.02), "passes": 12},
        away=1e-2,
        rungs=(probes.conditional,),
        own=probes.conditional,
        samples=49,
        products=52,
        draws=True,
    ),
    "v_pbgd": Climb(
        {"loops": 2, "x_step": 0.4, "y_step": 0.4, "omega_step": 0.4, "penalty": (0.3, 1e-3), "steps": 6000},
        6000,
        5e-3,
        samples=3 + 3 * 2,
        scheduled=PENALISED,
    ),
}
SHARES = (0.0, 1.5, -0.1, (1.0, 0.0), (0.5, 2.0))
BAD_OF = {
    "f2bmld": {"entropy": (1.0, (1e-6,), (-1.0, 0.0), (0.0, float("nan")))},
    "galet": {"keep": (-0.1, 1.5, float("nan"))},
    "ma_soba": {"pace": SHARES},
    "morma_soba": {"pace": SHARES, "pull": (0.0, -1.0, float("nan"), (1.0, 0.0))},
}
"""setting → values that are refused, where a solver differs from BAD."""


def builder(name):
    return getattr(room, name)


def built(name, problem, **settings):
    return builder(name)(problem, **CLIMBS[name].settings | settings)


def test_the_walk_finds_the_solvers():
    assert set(CLIMBS) == set(NAMES)


@every_solver
def test_a_builder_bears_the_name_of_its_file_and_is_exported(name):
    named("upperhand.solvers", name)


@pytest.mark.parametrize(
    ("name", "rung"),
    [(n, r) for n in NAMES if n in CLIMBS for r in CLIMBS[n].rungs],
    ids=lambda p: getattr(p, "__name__", p),
)
def test_it_ends_near_the_minimiser_of_its_rung_traced_once_at_its_cost(name, rung):
    """‖x − x*‖ by the closed form; one tracing over chunks of two lengths; products by hand, and something is asked."""
    probe, climb, traced, rows = rung(), CLIMBS[name], [], []
    solver = built(name, probe.problem)
    counting = Solver(solver.init, lambda key, state: (traced.append(1), solver.update(key, state))[1])
    state = begun(counting, probe.problem)
    steps = climb.steps + 30
    state = run(
        counting, seed_key(0), state, steps=steps, every=climb.steps // 4, sinks=[lambda row, _: rows.append(row)]
    )
    start, x, wanted = (
        ravel_pytree(jax.tree.map(jnp.asarray, x))[0]
        for x in (probe.problem.init(seed_key(0))[0], state.x, probe.x_star)
    )
    assert np.linalg.norm(start - wanted) > 3 * climb.away
    assert np.linalg.norm(x - wanted) <= climb.away, (x, wanted)
    assert len(traced) == 1 and int(state.count) == steps
    assert rows[-1]["products"] <= climb.products * steps and bool(rows[-1]["products"]) == bool(climb.products)
    assert rows[-1]["gradients"] >= steps


@every_solver
def test_examples_are_counted(name):
    """By hand: an upper batch of `noisy` is 3 examples, a lower one 2, each counted once however often it is used."""
    climb = CLIMBS[name]
    probe = probes.noisy() if climb.own is probes.follows else climb.own()
    solver = built(name, probe.problem)
    _, info = light(solver.update)(jax.random.key(1), begun(solver, probe.problem))
    assert float(info.cost.samples) == climb.samples


@pytest.fixture(scope="module")
def once():
    """name → problem, solver, first state and compiled update, in float64; noisy where the form allows."""

    @lru_cache
    def made(name):
        climb = CLIMBS[name]
        problem = (probes.noisy() if climb.own is probes.follows else climb.own()).problem
        solver = built(name, problem)
        return problem, solver, begun(solver, problem), light(solver.update)

    return made


@every_solver
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_an_update_keeps_structure_shapes_and_types(name, wide, once):
    """Shapes, dtypes and weakness of types; Info is the one type, and its hypergradient is like x."""
    with jax.enable_x64(wide):
        problem = once(name)[0]
        keeps(built(name, problem), problem, CLIMBS[name].scheduled)


@every_solver
def test_an_update_depends_on_key_and_state_only(name, once):
    """Same inputs, same bits, also after other calls; another key, other samples if there are any."""
    _, _, state, update = once(name)
    first = update(jax.random.key(1), state)
    counts(state, *first)
    other = update(jax.random.key(2), first[0])
    assert bits(update(jax.random.key(1), state)) == bits(first)
    assert (bits(update(jax.random.key(3), first[0])) != bits(other)) == bool(
        CLIMBS[name].samples or CLIMBS[name].draws
    )


@every_solver
def test_a_run_in_two_halves_is_the_run_bit_for_bit(name, once):
    problem, solver, state, _ = once(name)
    halves(solver, built(name, problem), seed_key(3), state, steps=60, every=10)


@every_solver
def test_it_maps_over_seeds_and_over_a_step_size(name, once):
    """A member of a vmapped run is its own run, up to rounding; a mapped step size is that step size."""
    problem, solver, _, update = once(name)
    keys = jax.random.split(jax.random.key(0), 3)
    x, y = jax.vmap(problem.init)(keys)
    x = jax.tree.map(lambda leaf: leaf * jnp.arange(1.0, 4.0).reshape(3, *[1] * (leaf.ndim - 1)), x)
    mapped = vmapped(solver)
    states = light(mapped.init)(x, y)
    told = light(mapped.update)(keys, states)
    alone = update(keys[1], jax.tree.map(lambda leaf: leaf[1], states))
    for member, single in zip(jax.tree.leaves(told), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(member[1], single, rtol=1e-9, atol=1e-12)

    def after(size):
        each = built(name, problem, x_step=optax.sgd(size))
        return each.update(keys[0], each.init(*problem.init(keys[0])))[0].x

    x = np.asarray(ravel_pytree(light(jax.vmap(after))(jnp.asarray([0.0, 0.01, 0.02])))[0]).reshape(3, -1)
    start = np.asarray(ravel_pytree(problem.init(keys[0])[0])[0])
    np.testing.assert_array_equal(x[0], start)
    np.testing.assert_allclose(x[2] - start, 2 * (x[1] - start), rtol=1e-9, atol=1e-15)


LOOPED = [name for name in NAMES if "loops" in inspect.signature(getattr(room, name)).parameters]


@pytest.mark.parametrize("name", LOOPED)
def test_two_ends_of_the_lower_step_last_as_long_as_the_run(name, once):
    """In 2 planned updates the step falls from .3 to .03 over all lower steps, as by a function of their number."""
    climb, problem = CLIMBS[name], once(name)[0]
    which = "omega_step" if name == "v_pbgd" else "y_step"
    known = inspect.signature(builder(name)).parameters
    total = 2 * climb.settings.get("loops", known["loops"].default)
    total *= climb.settings.get("rounds", known["rounds"].default) if "rounds" in known else 1
    steps = {"two ends": (0.3, 0.03), "a function": optax.sgd(geometric(0.3, 0.03, total)), "constant": 0.3}
    found = {}
    for kind, step in steps.items():
        solver = built(name, problem, **{which: step}, steps=2)
        state = run(solver, seed_key(0), begun(solver, problem), steps=2, every=2)
        found[kind] = ravel_pytree((state.x, state.y))[0]
    np.testing.assert_array_equal(found["two ends"], found["a function"])
    assert np.abs(found["two ends"] - found["constant"]).max() > 0


PLAIN = [name for name in NAMES if name in CLIMBS and CLIMBS[name].own in (probes.follows, probes.finite)]


@pytest.mark.parametrize("name", PLAIN)
def test_its_program_does_not_grow_with_the_data(name):
    """400,000 numbers that both losses read, in a program of less than 1 MB."""
    table, problem = np.ones((200_000, 2)), CLIMBS[name].own().problem
    more = lambda y: 1e-9 * jnp.sum((jnp.asarray(table, y.dtype) @ y) ** 2)  # noqa: E731
    problem = problem._replace(
        upper=lambda x, y, batch, plain=problem.upper: plain(x, y, batch) + more(y),
        lower=lambda x, y, batch, plain=problem.lower: plain(x, y, batch) + more(y),
    )
    solver = built(name, problem)
    state = begun(solver, problem)
    program = chunk(solver, seed_key(0), state)
    assert sum(constant.size for constant in program.constants) >= table.size
    assert len(program.lower(seed_key(0), state, jnp.int32(0), jnp.int32(1)).as_text()) < 1_000_000


@every_solver
def test_what_a_method_cannot_take_is_refused_in_one_line(name):
    """Forms that are not its own, by its builder; a world is bridged for those that take a Bilevel."""
    forms = {
        maker.__name__: maker().problem for maker in (probes.follows, probes.coupled, probes.tasks, probes.conditional)
    }
    forms |= {"l1": probes.follows().problem._replace(l1=0.1), "order": probes.follows().problem._replace(order=1)}
    forms["world"] = random_mdp(states=2, actions=2, numbers=2)
    own, taken = CLIMBS[name].own().problem, []
    forms[CLIMBS[name].own.__name__] = own
    for kind, problem in forms.items():
        try:
            builder(name)(problem)
            taken.append(kind)
        except ValueError as error:
            assert name in str(error) and "\n" not in str(error)
        except Exception as error:  # the checked annotation of the test suite speaks first
            assert "TypeCheckError" in type(error).__name__ and not isinstance(problem, type(own)), error
    assert ("order" in taken) == ("follows" in taken and not CLIMBS[name].products)
    assert "world" not in taken and taken and set(taken) - {"order", "l1"} <= {CLIMBS[name].own.__name__, "follows"}
    assert takes(builder(name), forms["world"]) == isinstance(own, Bilevel)


NAN, INFINITE = float("nan"), float("inf")
STEPS = (0.0, -0.1, NAN, (0.1, 0.01, 0.001), (0.1, NAN))
BAD = {
    **dict.fromkeys(("x_step", "y_step", "z_step", "p_step", "omega_step", "multiplier_step"), STEPS),
    "penalty": (0, 0.0, -1.0, NAN, INFINITE, (1.0, 0.0), (1.0, 0.5, 0.1)),
    **dict.fromkeys(("loops", "solves", "passes", "batch", "restart", "rounds"), (0, -1, 2.0)),
    "average": (0, 2, -0.5, NAN), "radius": (0, -1.0, NAN), "ridge": (-1.0, NAN, INFINITE),
    "smoothness": (0.0, -1.0, NAN, INFINITE), "terms": (0, -1, 2.0), "floor": (-1.0, NAN, INFINITE),
}  # fmt: skip
"""setting → values that are refused, wherever a solver has that setting."""


def test_a_bad_setting_is_named():
    """A ValueError of one line that begins with the argument's name and tells what was got, in a process of its own."""
    cases = []
    for name in NAMES:
        known = inspect.signature(builder(name)).parameters.keys()
        table = {which: bad for which, bad in (BAD | BAD_OF.get(name, {})).items() if which in known}
        source = f"__import__('general_probes').{CLIMBS[name].own.__name__}().problem"
        cases.append((name, source, [(which, bad) for which, values in table.items() for bad in values]))
        assert "x_step" in table
    refused(cases, Path(__file__).parent)
