"""The experiments on time scales and on orders of examples, small: their figures against theory."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import conditional, reshuffling, two_time_scales
from upperhand.problems import absolute
from upperhand.solvers import fast_two_time_scale


def quiet(text):
    """Nothing is said."""


def told(out, name):
    """A part of an experiment."""
    return json.loads((out / "parts" / f"{name}.json").read_text())


@pytest.fixture(autouse=True)
def studies(monkeypatch):
    """What would be told, in place of the page, which has tests of its own."""
    found = []
    for module in (two_time_scales, reshuffling, conditional):
        monkeypatch.setattr(module, "tell", lambda out, study: (found.append(study), out)[1])
    return found


def test_slopes_of_both_methods_are_those_of_theory(monkeypatch):
    """4.6, a tenth of its updates: −1 with averaging, about −⅔ (measured −.71) without; each ±.2 at 100 replicates."""
    methods = {name: two_time_scales.METHODS[name] for name in ("standard", "fast")}
    monkeypatch.setattr(two_time_scales, "METHODS", methods)
    monkeypatch.setattr(two_time_scales, "PROBLEMS", {"absolute": "|y − x|"})
    config = two_time_scales.Config(replicates=100, steps=10_000, begin=500)
    found = two_time_scales.measured(config, two_time_scales.named("absolute"))
    assert found["steps"] == list(range(50, 10_001, 50))
    for name, wanted in (("standard", -0.71), ("fast", -1.01)):
        for kind in ("slow", "fast"):
            assert two_time_scales.slope(found["steps"], found[name][kind], 500) == pytest.approx(wanted, abs=0.2)
            # y's error is noise: of k^(−⅔)/2 in the standard form, by the stationary variance step/2 of y − x
    assert found["standard"]["fast"][-1] == pytest.approx(10_050 ** (-2 / 3) / 2, rel=0.6)
    assert found["fast"]["slow"][-1] < found["standard"]["slow"][-1] / 1.5
    assert two_time_scales.slope([1, 10, 100], [9.0, 2.0, 0.02], 10) == pytest.approx(-2)


def test_other_ratios_of_the_steps_are_as_fast():
    """4.6: E x² has slopes −1.03, −1.02, −1.00 with (2, 4, 8), (4, 8, 16), (1.5, 6, 12)/(k + 50), in one program."""
    problem, places = absolute(), np.unique(np.geomspace(500, 10_000, 40).astype(int))

    def squares(row, key):
        x_step, y_step, average = (lambda k, size=size: size / (k + 50) for size in row)
        solver = fast_two_time_scale(problem, x_step=x_step, y_step=y_step, average=average)

        def body(state, count):
            state = solver.update(jax.random.fold_in(key, count), state)[0]
            return state, state.x**2

        return jax.lax.scan(body, solver.init(*problem.init(key)), jnp.arange(10_000))[1][places - 1]

    rows = jnp.array([[2.0, 4.0, 8.0], [4.0, 8.0, 16.0], [1.5, 6.0, 12.0]])
    over = jax.jit(jax.vmap(jax.vmap(squares, (None, 0)), (0, None)))
    found = np.asarray(over(rows, jax.random.split(jax.random.key(0), 200))).mean(1)
    for errors, wanted in zip(found.tolist(), (-1.03, -1.02, -1.0), strict=True):
        assert two_time_scales.slope(places.tolist(), errors, 500) == pytest.approx(wanted, abs=0.2)


def test_a_linear_problem_gains_in_y_alone_and_a_wavy_one_in_x(monkeypatch):
    """4.6: TDC's x errors are alike, its y errors 3.9 times apart at 1e5 updates, which is as k^(⅓) before; ‖∇Φ‖² of
    x² + 3 sin²x falls with slopes −.78 and −1.01."""
    methods = {name: two_time_scales.METHODS[name] for name in ("standard", "fast")}
    monkeypatch.setattr(two_time_scales, "METHODS", methods)
    of = lambda name, many: two_time_scales.measured(  # noqa: E731
        two_time_scales.Config(replicates=many, steps=10_000, begin=500), two_time_scales.named(name)
    )
    found = of("gradient_td", 20)
    for kind, wanted in (("slow", 1.0), ("fast", 3.9 * np.mean(np.linspace(0.05, 0.1, 100) ** (1 / 3)))):
        late = [np.mean(found[name][kind][100:]) for name in ("standard", "fast")]
        assert late[0] / late[1] == pytest.approx(wanted, rel=0.2)
    found = of("waves", 60)
    for name, wanted in (("standard", -0.78), ("fast", -1.01)):
        assert two_time_scales.slope(found["steps"], found[name]["slow"], 500) == pytest.approx(wanted, abs=0.15)


def test_what_the_slopes_are_is_what_the_answer_says():
    methods = list(two_time_scales.METHODS)
    places = [(p, m, k) for p in two_time_scales.PROBLEMS for m in methods for k in ("slow", "fast")]
    slopes = {at: -0.7 if at[1] == "standard" else -1.0 for at in places}
    last = {at: 4.0 if at[1] == "standard" else 2.0 for at in places}
    text = two_time_scales.answered(slopes, last)
    assert text.startswith("Yes") and "2.0 times the error" in text and "not the averaging" in text
    text = two_time_scales.answered(slopes | {("absolute", m, "slow"): -0.7 for m in methods}, last)
    assert text.startswith("It did NOT come out") and "None of the 1/k steps" in text


def test_floors_grow_as_the_powers_of_theory(tmp_path, studies):
    """20 examples: independent ~ step, one order and reshuffled at least ~ step²; nothing is done twice."""
    config = reshuffling.Config(examples=20, numbers=3, seeds=4, sizes=(0.02, 0.01, 0.005), smaller=(0.0025,))
    reshuffling.carry_out(config, tmp_path, quiet)
    (study,) = studies
    squares = {name: np.array(told(tmp_path, name)["squares"]) for name in reshuffling.ORDERS}
    assert squares["reshuffled"].shape == (600, 4, 4)
    floors = {name: np.array(reshuffling.floors(config, each)) for name, each in squares.items()}
    power = {name: np.polyfit(np.log(config.sizes), np.log(each[:3]), 1)[0] for name, each in floors.items()}
    assert power["independent"] == pytest.approx(1, abs=0.5)
    assert power["shuffle_once"] > 1.6 and power["reshuffled"] > 1.7
    ratio = (floors["independent"] / floors["reshuffled"])[:3]
    assert ratio[-1] > 10 and ratio[-1] > ratio[0]
    assert study.tables[0].rows[2][3] == pytest.approx(squares["reshuffled"][580:, 2].mean())
    reshuffling.carry_out(config, tmp_path, lambda text: pytest.fail(text))
    assert studies[1].answer == study.answer and study.answer.startswith("Yes")


def test_the_passes_to_a_level_by_hand():
    """From 1 to 0 at pass 20: a mean over 10 passes is .25 or less from pass 28 on; the other sizes never get there."""
    config = reshuffling.Config(level=0.25)
    squares = np.ones((40, 8, 2))
    assert reshuffling.reached(config, squares) is None
    squares[20:, 2] = 0
    assert reshuffling.reached(config, squares) == (28, config.sizes[2])


@pytest.mark.long
def test_conditional_floors(tmp_path, studies):
    """Reshuffling's floor is below that of independent draws, and of a higher power of the step."""
    config = conditional.Config(examples=12, conditions=6, numbers=2, seeds=4, passes=60, inner=6, sizes=(0.04, 0.01))
    with jax.enable_x64(False):
        conditional.carry_out(config, tmp_path, quiet)
    (study,) = studies
    floors = {name: np.array(told(tmp_path, name)["squares"])[-8:].mean((0, 2)) for name in reshuffling.ORDERS}
    squares = np.array(told(tmp_path, "reshuffled")["squares"])
    assert (squares != squares.astype(np.float32)).any()  # measured in float64, whatever the caller has
    ratio = floors["independent"] / floors["reshuffled"]
    assert ratio[1] > 4 and ratio[1] > ratio[0]
    assert study.tables[0].rows[1][4] == pytest.approx(ratio[1]) and study.answer.startswith("Yes")


@pytest.mark.parametrize(
    ("module", "bad"),
    [
        (two_time_scales, {"replicates": 1}), (two_time_scales, {"begin": 50_000}), (reshuffling, {"seeds": 0}),
        (reshuffling, {"sizes": (0.1,)}), (reshuffling, {"smaller": (0.0,)}), (reshuffling, {"level": float("nan")}),
        (conditional, {"inner": 0}), (conditional, {"sizes": ()}), (conditional, {"passes": 3}),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(module, bad):
    with pytest.raises(BadInput, match=f"--{next(iter(bad))} must be"):
        module.Config(**bad)
