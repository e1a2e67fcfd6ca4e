"""What every solver for texts keeps: each file in solvers/text is found by a walk and held to it."""

import importlib
import inspect
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import upperhand.solvers.text as room
from upperhand.errors import BadInput
from upperhand.forms import BilevelRL, Population, Preference
from upperhand.hypergradients import heard
from upperhand.hypergradients.enumeration import polished
from upperhand.hypergradients.every_text import every_text_exact
from upperhand.judges.teachers import Teacher, labels
from upperhand.problems import goal_placement, token_game
from upperhand.problems.token_game import game
from upperhand.run import run, seed_key
from upperhand.settings import build, names
from upperhand.solve import resume, solve
from upperhand.solver import AskTell
from upperhand.wrappers import vmapped

NAMES = sorted(file.stem for file in Path(room.__file__).parent.glob("*.py") if file.stem != "__init__")
every_solver = pytest.mark.parametrize("name", NAMES)


class Climb(NamedTuple):
    """How a solver is held to the token game."""

    kind: str  # of the upper objective
    steps: int
    settings: dict
    samples: int  # tokens an update, by hand: texts of 4 letters
    labels: int  # answers an update, by hand
    away: float | None  # how far from the best Φ it may end; None: it moves no x
    refuses: tuple[str, ...] = ()  # kinds of upper objectives


CALM = {"budget": None, "temperature": 0.5, "policy_step": (0.1, 0.01), "x_step": (0.1, 0.005)}
CLIMBS = {
    "alternating": Climb("score", 200, CALM | {"batch": 64}, 64 * 4, 64, 0.02),
    "buffered": Climb("preference", 200, CALM | {"batch": 64}, 64 * 4, 32, 0.35, ("score", "population")),
    "direct": Climb(
        "score", 200, {"budget": None, "temperature": 0.5, "policy_step": 0.1}, 32 * 4, 32, None, ("preference",)
    ),
    "frozen": Climb("preference", 200, CALM | {"batch": 64}, 64 * 4, 32, 0.35, ("score", "population")),
    "joint": Climb("score", 200, CALM | {"batch": (64, 16)}, 80 * 4, 64, 0.02),
    "two_stream": Climb(
        "score", 300, CALM | {"batch": 64, "penalty": 2.0, "x_step": (0.02, 0.001)}, 2 * 64 * 4, 64, 0.15,
        ("preference",),
    ),
}  # fmt: skip


def posed(kind: str = "score", **settings) -> BilevelRL:
    """The token game with another upper objective; its oracle judges the scores all the same."""
    problem = token_game(roughness=0.3, **settings)
    rest = problem.upper._asdict()
    person = rest.pop("person")
    if kind == "preference":  # as sharp as R_x/β is, so that the agent's β = τ is the person's
        teacher = Teacher(temperature=1.0)
        return problem._replace(upper=Preference(lambda a, b, seed: labels(teacher, person, a, b, seed), **rest))
    if kind == "population":
        traits = lambda texts: np.asarray(person(texts))[:, None] > 0  # noqa: E731
        return problem._replace(upper=Population(traits, lambda m: 4 * (m[0] - 0.8) ** 2, **rest))
    return problem


def made(name: str, problem: BilevelRL, **changed) -> AskTell:
    builder = getattr(importlib.import_module(f"upperhand.solvers.text.{name}"), name)
    return builder(problem, **{"steps": CLIMBS[name].steps, **CLIMBS[name].settings, **changed})


@every_solver
def test_it_is_exported_with_defaults_and_says_what_it_needs(name):
    builder = getattr(room, name)
    parameters = inspect.signature(builder).parameters
    assert [p.kind for p in parameters.values()][0] is inspect.Parameter.POSITIONAL_OR_KEYWORD
    assert all(p.default is not p.empty for p in list(parameters.values())[1:])
    text = inspect.getdoc(inspect.getmodule(builder))
    assert all(word in text for word in ("Needs: texts", "Cost:", "Reference:", "←"))
    assert name in CLIMBS


@every_solver
def test_it_climbs_counts_its_cost_and_is_traced_once(name):
    climb, traces = CLIMBS[name], {"ask": 0, "tell": 0}
    problem = posed(climb.kind)
    solver = made(name, problem)

    def counted(half):
        def traced(*args):
            traces[half] += 1
            return getattr(solver, half)(*args)

        return traced

    watched = solver._replace(ask=counted("ask"), tell=counted("tell"))
    rows = []
    x, y = problem.init(seed_key(5))
    before = watched.init(x, y)
    state = run(watched, seed_key(6), before, steps=climb.steps, every=50, sinks=[lambda row, state: rows.append(row)])
    assert traces == {"ask": 1, "tell": 1}
    assert jax.tree.structure(before) == jax.tree.structure(state)
    assert [leaf.shape for leaf in jax.tree.leaves(before)] == [leaf.shape for leaf in jax.tree.leaves(state)]
    assert int(state.count) == climb.steps and state.x.shape == x.shape
    assert rows[-1]["samples"] == climb.samples * climb.steps
    asked = climb.steps // 2 if name == "frozen" else climb.steps
    assert rows[-1]["labels"] == climb.labels * asked
    assert {"answered", "drift", "entropy", "length", "temperature", "upper", "lower"} <= set(rows[-1])
    assert rows[-1]["length"] == pytest.approx(4.0)
    if climb.away is None:
        assert np.array_equal(state.x, x)
        assert rows[-1]["answered"] > rows[1]["answered"] + 0.3
    else:
        reached = float(problem.exact.value(state.x, problem.exact.temperature)) - problem.exact.best()[1]
        assert reached < climb.away, reached
        start = float(problem.exact.value(x, problem.exact.temperature)) - problem.exact.best()[1]
        assert start > 0.4  # so that to climb means something
        answers_to(problem, state)


def answers_to(problem, state):
    """The policy writes as the Gibbs law of its x does: E U of both, the law's by weights of the reference's texts."""
    score = token_game(roughness=0.3).upper
    u = lambda tokens: np.asarray(score.person(score.decode(tokens)))  # noqa: E731
    fresh = problem.policy.write(seed_key(4), problem.policy.init(seed_key(0)), 20000)
    total = np.sum(problem.reward(state.x, problem.policy.read(fresh)), 1) / 0.5
    weights = np.exp(total - total.max())
    mean = u(problem.policy.write(seed_key(3), state.y, 4000)).mean()
    assert abs(mean - weights @ u(fresh) / weights.sum()) < 0.15


@every_solver
def test_a_run_that_was_stopped_and_resumed_is_the_same(name, tmp_path):
    problem = posed(CLIMBS[name].kind)._replace(exact=None)  # its rows are quicker without
    solver = made(name, problem, steps=8)
    whole = solve(problem, solver, steps=8, seeds=[3, 4], every=2, out=tmp_path / "whole")
    # stopped at 4: the folder as it was then, from a run whose person goes away
    asked = []
    upper = problem.upper
    field = "prefer" if isinstance(upper, Preference) else "person"
    most = 4 if name == "frozen" else 10

    def leaves(*args):
        asked.append(1)
        if len(asked) > most:
            raise RuntimeError("the person went home")
        return getattr(upper, field)(*args)

    tired = problem._replace(upper=upper._replace(**{field: leaves}))
    with pytest.raises(BadInput, match="went home"):
        solve(tired, made(name, tired, steps=8), steps=8, seeds=[3, 4], every=2, out=tmp_path / "stopped")
    rows = [json.loads(line) for line in (tmp_path / "stopped" / "rows.jsonl").read_text().splitlines()]
    assert 0 < max(row["step"] for row in rows) < 8
    again = resume(problem, solver, tmp_path / "stopped")
    assert np.array_equal(again.x, whole.x)
    ends = [[{k: v for k, v in row.items() if k != "seconds"} for row in result.rows] for result in (whole, again)]
    assert ends[0] == ends[1]


BAD = {
    "batch": (0, 3, -4),  # of joint the first of two
    "temperature": (0.0, -1.0, float("nan")),
    "budget": (0.0, -1.0, float("inf")),
    "policy_step": (0.0, (0.1, -0.1)),
    "x_step": (-0.1, 0.0),
    "penalty": (0.0, (1.0, 0.0)),
    "replay": (0,),
    "labelled": (0.0, 1.5),
}


@every_solver
def test_it_refuses_settings_out_of_range_by_name(name):
    problem = posed(CLIMBS[name].kind)
    known = set(inspect.signature(getattr(room, name)).parameters)
    for setting, values in BAD.items():
        for value in values if setting in known else ():
            value = (value, 2) if (name, setting) == ("joint", "batch") else value
            with pytest.raises(ValueError, match=setting) as caught:
                made(name, problem, **{setting: value})
            assert "\n" not in str(caught.value)


@every_solver
def test_it_refuses_objectives_that_it_cannot_serve_and_worlds_that_are_none(name):
    for kind in CLIMBS[name].refuses:
        with pytest.raises(ValueError, match="needs an upper objective of texts"):
            made(name, posed(kind))
    with pytest.raises(BadInput, match="is not for a problem on a finite world"):
        build("solver", name, {}, goal_placement())


def test_solvers_of_finite_worlds_refuse_texts():
    assert set(NAMES) < set(names("solver"))
    with pytest.raises(BadInput, match="is not for a problem of texts"):
        build("solver", "actor_critic", {}, token_game())


@pytest.mark.parametrize("name", [name for name in NAMES if not CLIMBS[name].refuses or name == "joint"])
@pytest.mark.parametrize("kind", ["preference", "population"])
def test_other_objectives_are_served(name, kind):
    problem = posed(kind, length=3)
    solver = made(name, problem, steps=60)
    rows = []
    x, y = problem.init(seed_key(0))
    sinks = [lambda row, state: rows.append(row)]
    run_to = run(solver, seed_key(1), solver.init(x, y), steps=60, every=20, sinks=sinks).x
    if kind == "population":
        toy, found = game(letters=4, length=3, roughness=0.3), (x, run_to)
        happy = (toy.scores > 0).astype(float)
        oracle = every_text_exact(
            toy.reward.tokens, toy.reading, toy.log_ref, lambda p, total: 4 * (p @ happy - 0.8) ** 2,
            beta=0.5, cost=lambda x: 0.0 * jnp.sum(x), temperature=0.5,
        )  # fmt: skip
        best = polished(oracle, np.random.default_rng(0).normal(size=(4, len(x))))[1]
        start, end = (float(oracle.value(point, 0.5)) - best for point in found)
        assert start > 0.4 and end < 0.6 * start
    else:  # R_x explains the labels better than a coin
        assert rows[-1]["upper"] - 0.5 * rows[-1]["drift"] < np.log(2) - 0.01


def test_tilt_is_a_choice_that_climbs_too():
    climb, problem = CLIMBS["joint"], posed()
    solver = made("joint", problem, form=heard.tilt, penalty=0.2)
    x, y = problem.init(seed_key(0))
    state = run(solver, seed_key(1), solver.init(x, y), steps=climb.steps, every=climb.steps)
    assert float(problem.exact.value(state.x, 0.5)) - problem.exact.best()[1] < 0.04


@pytest.mark.parametrize("name", ["joint", "direct", "alternating"])
def test_a_budget_of_kl_is_held(name):
    problem = posed()
    settings = {"budget": 0.4, "temperature": 0.5, "policy_step": 0.05, "batch": (64, 0) if name == "joint" else 64}
    builder = getattr(room, name)
    solver = builder(problem, steps=400, **settings)
    rows = []
    x, y = problem.init(seed_key(0))
    run(solver, seed_key(1), solver.init(x, y), steps=400, every=50, sinks=[lambda row, state: rows.append(row)])
    assert abs(np.mean([row["drift"] for row in rows[-3:]]) / 0.4 - 1) < 0.15


WRONG = {
    "NaN": (lambda texts: np.full(len(texts), np.nan), "nan"),
    "infinite": (lambda texts: np.full(len(texts), np.inf), "inf"),
    "too few": (lambda texts: np.zeros(len(texts) - 1), "shape"),
    "no numbers": (lambda texts: ["good"] * len(texts), "failed"),
    "raises": (lambda texts: 1 / 0, "ZeroDivisionError"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_person_who_answers_badly_stops_the_run_in_one_line_and_nothing_is_lost(wrong, tmp_path):
    problem, asked = posed(), []
    function, says = WRONG[wrong]

    def person(texts):
        asked.append(1)
        return function(texts) if len(asked) > 4 else problem.upper.person(texts)

    tired = problem._replace(upper=problem.upper._replace(person=person))
    with pytest.raises(BadInput, match=says) as caught:
        solve(tired, made("joint", tired, steps=6), steps=6, seeds=1, every=2, out=tmp_path / "run")
    assert "\n" not in str(caught.value)
    rows = [json.loads(line) for line in (tmp_path / "run" / "rows.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 2, 4]
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["seeds"][0]["step"] == 4


def test_vmapped_takes_the_seeds_in_turn():
    problem = posed(length=3)
    solver = vmapped(made("joint", problem))
    keys = jax.random.split(seed_key(0), 3)
    x, y = jax.vmap(problem.init)(keys)
    asked = solver.ask(keys, solver.init(x, y))
    single = made("joint", problem)
    for i in range(3):
        one = single.ask(keys[i], single.init(x[i], y[i]))
        assert np.array_equal(asked.tokens[i], one.tokens) and int(asked.seed[i]) == int(one.seed)
    assert jnp.all(asked.wanted)
