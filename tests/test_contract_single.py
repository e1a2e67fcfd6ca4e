"""What every single-level solver keeps: each file in solvers/single is found by a walk and held to it."""

import inspect
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
import upperhand
import upperhand.solvers.single as room
from contract import begun, bits, counts, halves, keeps, light, named, refused
from upperhand.clipping import clip_quantile
from upperhand.forms import Minimise
from upperhand.problems import norm_power, random_mdp
from upperhand.run import chunk, run, seed_key
from upperhand.settings import fitted, takes
from upperhand.solver import Solver
from upperhand.wrappers import guarded, vmapped

NAMES = sorted(file.stem for file in Path(room.__file__).parent.glob("*.py") if file.stem != "__init__")
every_solver = pytest.mark.parametrize("name", NAMES)
BOTTOM = np.array([1.0, -0.5])


def still() -> Minimise:
    """½ (x − b)ᵀ H (x − b), H of eigenvalues .9 and 2.1, from 1.8 away."""

    def loss(x, batch):
        away = x - jnp.asarray(BOTTOM, x.dtype)
        return jnp.vdot(away, jnp.asarray(probes.CURVATURE, x.dtype) @ away) / 2

    return Minimise(lambda key: (jnp.asarray([-0.5, 0.5], float), ()), loss)


def noisy() -> Minimise:
    """The same with a random linear term, 3 examples a batch."""
    return still()._replace(
        loss=lambda x, batch: still().loss(x, None) + jnp.vdot(jnp.mean(batch, 0), x),
        draw=lambda key, x: 0.1 * jax.random.normal(key, (3, 2), x.dtype),
        drawn=3,
    )


def tree_valued() -> Minimise:
    """`still` with x = {"first": [], "last": [1]}."""
    glue = lambda x: jnp.append(x["first"], x["last"])  # noqa: E731
    begin = lambda key: ({"first": jnp.asarray(-0.5, float), "last": jnp.asarray([0.5], float)}, ())  # noqa: E731
    return Minimise(begin, lambda x, batch: still().loss(glue(x), None))


class Climb(NamedTuple):
    """Settings with which a solver comes down to `away` of the bottom, without noise."""

    settings: dict
    away: float
    steps: int = 600


KNOWN = {"reach": 2.0, "convexity": 0.9, "smoothness": 2.1, "noise": 0.0}
CLIMBS = {
    "clipped_sgd": Climb({"x_step": 0.2, "clip": 1.0}, 2e-2),  # an average forgets its start as 1/N
    "clipped_sstm": Climb({"x_step": 1 / 4.2, "clip": 0.5}, 1e-3),
    "r_clipped_sgd": Climb(KNOWN | {"steps": 600}, 1e-3),
    "r_clipped_sstm": Climb(KNOWN | {"steps": 600}, 1e-6),
}


def builder(name):
    return getattr(room, name)


def built(name, problem, **settings):
    return builder(name)(problem, **CLIMBS[name].settings | settings)


def test_the_walk_finds_the_solvers():
    assert set(CLIMBS) == set(NAMES)


@every_solver
def test_a_builder_bears_the_name_of_its_file_and_is_exported(name):
    named("upperhand.solvers.single", name)


@every_solver
@pytest.mark.parametrize("rung", [still, tree_valued], ids=lambda rung: rung.__name__)
def test_it_ends_near_the_minimiser_traced_once(name, rung):
    problem, climb, traced = rung(), CLIMBS[name], []
    solver = built(name, problem)
    counting = Solver(solver.init, lambda key, state: (traced.append(1), solver.update(key, state))[1])
    state = run(counting, seed_key(0), begun(counting, problem), steps=climb.steps, every=climb.steps // 4 + 7)
    assert len(traced) == 1 and int(state.count) == climb.steps and state.y == ()
    assert np.linalg.norm(ravel_pytree(state.x)[0] - BOTTOM) < climb.away < 1.8 / 3


@pytest.fixture(scope="module")
def once():
    """name → problem, solver, first state and compiled update, in float64."""

    @lru_cache
    def made(name):
        problem = noisy()
        solver = built(name, problem)
        return problem, solver, begun(solver, problem), light(solver.update)

    return made


@every_solver
@pytest.mark.parametrize("wide", [False, True], ids=["float32", "float64"])
def test_an_update_keeps_structure_shapes_and_types(name, wide):
    with jax.enable_x64(wide):
        problem = noisy()
        solver = built(name, problem)
        keeps(solver, problem, set())


@every_solver
def test_examples_and_gradients_are_counted(name, once):
    problem, _, state, update = once(name)
    _, info = update(jax.random.key(1), state)
    assert (float(info.cost.samples), float(info.cost.gradients), float(info.cost.products)) == (3, 1, 0)
    if "batch" in inspect.signature(builder(name)).parameters:
        _, info = light(built(name, problem, batch=4).update)(jax.random.key(1), state)
        assert (float(info.cost.samples), float(info.cost.gradients)) == (12, 4)


@every_solver
def test_what_is_told_is_the_gradient_where_it_was_taken(name, once):
    """Info.at: the drawn gradient there, before any clipping, and a row compares it with the exact one there."""
    problem, _, state, update = once(name)
    for count in range(3):
        key = jax.random.key(count)
        state, info = update(key, state)
        slope = jax.grad(problem.loss)(info.at, problem.draw(key, info.at))
        np.testing.assert_allclose(info.hypergradient, slope, rtol=1e-12)
        assert float(info.upper) == pytest.approx(float(problem.loss(info.at, problem.draw(key, info.at))), rel=1e-12)


@every_solver
def test_an_update_depends_on_key_and_state_only(name, once):
    _, _, state, update = once(name)
    first = update(jax.random.key(1), state)
    counts(state, *first)
    other = update(jax.random.key(2), first[0])
    assert bits(update(jax.random.key(1), state)) == bits(first)
    assert bits(update(jax.random.key(3), first[0])) != bits(other)


@every_solver
def test_a_run_in_two_halves_is_the_run_bit_for_bit(name, once):
    problem, solver, state, _ = once(name)
    halves(solver, built(name, problem), seed_key(3), state, steps=60, every=10)


@every_solver
def test_it_maps_over_seeds_and_over_a_step_size(name, once):
    """A member of a vmapped run is its own run; a mapped step of z is that step; guarded, it is the same."""
    problem, solver, _, update = once(name)
    keys = jax.random.split(jax.random.key(0), 3)
    x, y = jax.vmap(problem.init)(keys)
    mapped = vmapped(guarded(solver))
    states = light(mapped.init)(x * jnp.arange(1.0, 4.0)[:, None], y)
    told, infos = light(mapped.update)(keys, states)
    alone = update(keys[1], jax.tree.map(lambda leaf: leaf[1], states.inner))
    for member, single in zip(jax.tree.leaves((told.inner, infos)), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(member[1], single, rtol=1e-9, atol=1e-12)
    assert not told.failed.any()

    def after(size):
        each = built(name, problem, x_step=optax.sgd(size), clip=float("inf"))
        return each.update(keys[0], each.init(*problem.init(keys[0])))[0].z

    z = np.asarray(light(jax.vmap(after))(jnp.asarray([0.0, 0.01, 0.02])))
    np.testing.assert_array_equal(z[0], [-0.5, 0.5])
    np.testing.assert_allclose(z[2] - z[0], 2 * (z[1] - z[0]), rtol=1e-9, atol=1e-15)


@every_solver
def test_its_step_may_be_any_transformation_and_its_x_may_be_bound(name):
    """A quantile before Adam runs; every point stays in a box of which the output is a mean."""
    problem = noisy()._replace(project_x=lambda x: jnp.clip(x, -0.5, 0.25))
    solver = built(name, problem, x_step=optax.chain(clip_quantile(0.5), optax.adam(0.1)), clip=float("inf"))
    state = run(solver, seed_key(0), begun(solver, problem), steps=40, every=40)
    assert (np.abs(state.x - np.array([0.25, -0.5])) < 0.3).all()
    assert all((leaf >= -0.5 - 1e-12).all() and (leaf <= 0.5).all() for leaf in (state.x, state.z))


@every_solver
def test_a_gradient_that_is_no_number_is_seen(name):
    """Clipping must not hide it: the run is stopped."""
    problem = still()._replace(loss=lambda x, batch: still().loss(x, None) + jnp.sqrt(x[1] - 0.5))
    solver = built(name, problem)
    with pytest.raises(upperhand.Diverged):
        run(solver, seed_key(0), begun(solver, problem), steps=5, every=1)


@every_solver
def test_its_program_does_not_grow_with_the_data(name):
    table = np.ones((200_000, 2))
    more = lambda x: 1e-9 * jnp.sum((jnp.asarray(table, x.dtype) @ x) ** 2)  # noqa: E731
    problem = still()._replace(loss=lambda x, batch: still().loss(x, None) + more(x))
    solver = built(name, problem)
    state = begun(solver, problem)
    program = chunk(solver, seed_key(0), state)
    assert sum(constant.size for constant in program.constants) >= table.size
    assert len(program.lower(seed_key(0), state, jnp.int32(0), jnp.int32(1)).as_text()) < 1_000_000


@every_solver
def test_other_forms_are_refused_in_one_line(name):
    """By the builder and by the command line's fitting, which names the solvers of the other form."""
    others = [probes.follows().problem, probes.conditional().problem, random_mdp(states=2, actions=2, numbers=2)]
    for problem in others:
        with pytest.raises(Exception, match=f"{name}|beartype|type hint") as error:
            builder(name)(problem)
        assert isinstance(error.value, ValueError) or "TypeCheckError" in type(error.value).__name__
        assert not takes(builder(name), problem)
    with pytest.raises(upperhand.BadInput, match=f"{name} is not for a Bilevel problem: choose aid, alt_pbgd"):
        fitted(builder(name), others[0])
    with pytest.raises(upperhand.BadInput, match=f"is not for a Minimise problem: choose {', '.join(NAMES)}"):
        fitted(upperhand.alt_pbgd, norm_power())
    assert fitted(builder(name), problem := norm_power()) is problem


NAN, INFINITE = float("nan"), float("inf")
BAD = {
    "x_step": (0.0, -0.1, NAN, (0.1, 0.01, 0.001), (0.1, NAN)), "clip": (0.0, -1.0, NAN, (1.0, 0.0), -INFINITE),
    "batch": (0, -1, 2.0), "holder": (-0.1, 1.1, NAN), "offset": (0.0, -1.0, NAN), "reach": (0.0, -1.0, NAN),
    "convexity": (0.0, NAN), "smoothness": (0.0, INFINITE), "noise": (-1.0, NAN),
}  # fmt: skip
"""setting → values that are refused, wherever a solver has that setting."""


def test_a_bad_setting_is_named():
    """A ValueError of one line that begins with the argument's name and tells what was got."""
    cases = []
    for name in NAMES:
        known = inspect.signature(builder(name)).parameters.keys()
        table = {which: bad for which, bad in BAD.items() if which in known}
        pairs = [(which, bad) for which, values in table.items() for bad in values]
        cases.append((name, "__import__('test_contract_single').still()", pairs))
    refused(cases, Path(__file__).parent)
