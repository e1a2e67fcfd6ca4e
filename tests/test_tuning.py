"""Tuning: fair, the same as runs by hand, and blind to the seeds of the report."""

import inspect

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from toys.problems.field import field
from toys.solvers.slide import slide
from upperhand.arms import armed
from upperhand.errors import BadInput
from upperhand.problems import goal_placement
from upperhand.record import exact_record
from upperhand.schedule import Power, descent, scaled, schedule, step
from upperhand.solve import Plan, carry_out
from upperhand.solvers.rl import actor_critic, expected_actor_critic
from upperhand.tuning import late, scales, tune, tuned_settings
from upperhand.types import Scaled

SEEDS = (10_000, 10_001)


@pytest.fixture(scope="module")
def problem():
    """A small grid, without the search of its best x."""
    made = goal_placement(size=3, upper_bumps=((1.5, 0.5, 1, 1),))
    return made._replace(exact=made.exact._replace(best=None), maps=None)


def tried(arm, problem, steps=30, trials=3, record=None):
    return tune(arm, problem, steps=steps, trials=trials, seeds=SEEDS, record=record or exact_record(problem))


@pytest.fixture(scope="module")
def record(problem):
    """The exact values alone, compiled once."""
    found = exact_record(problem)
    return lambda state, told: found(state, None)


def plain_slide(problem, *, steps: int = 60, x_step: float = 0.3):
    """A slide whose step takes nothing but a number."""
    if not 0 < x_step < 1e30:
        raise ValueError("x_step must be a number above 0.")
    return slide(problem, steps=steps, x_step=x_step)


@pytest.mark.parametrize("value", [0.3, (1.0, 0.01), Power(2.0, -0.5), lambda count: 1.0 / (count + 1)])
@pytest.mark.parametrize("factor", [0.25, jnp.asarray(4.0)])
def test_a_scaled_schedule_is_the_schedule_times_its_factor(value, factor):
    plain, found = (schedule("penalty", one, 10) for one in (value, Scaled(value, factor)))
    for count in (0, 3, 10, 99):
        at = jnp.asarray(count)
        assert float(found(at)) == pytest.approx(float(factor) * float(plain(at)), rel=1e-12)


def test_a_scaled_step_stays_the_method_that_its_number_means():
    """Adam's first move is its size whatever the gradient; plain descent's is in proportion to it."""
    x, dx = jnp.zeros(2), jnp.asarray([3.0, -0.01])
    for made, move in ((step, [-0.5, 0.5]), (descent, [-1.5, 0.005])):
        transform = made("x_step", Scaled((0.1, 0.01), 5.0), 100)
        np.testing.assert_allclose(transform.update(dx, transform.init(x), x)[0], move, rtol=1e-5)


def test_a_scaled_setting_is_checked_as_any():
    with pytest.raises(ValueError, match="penalty must be above 0"):
        inspect.unwrap(schedule)("penalty", Scaled((1.0, 0.0), 2.0), 10)


def test_scaled_numbers_can_be_written_down():
    assert scaled(0.5, 4.0) == 2.0 and scaled((1.0, 0.25), 4.0) == (4.0, 1.0)
    assert scaled(Power(2.0, -0.3), 0.5) == Power(1.0, -0.3)
    assert scaled(Power(2.0, -1.0, 50.0), 0.5) == Power(1.0, -1.0, 50.0)


def test_factors_are_the_same_for_every_arm_and_spread_over_their_ranges():
    table = scales(["x_step", "temperature", "penalty"], 65)
    assert table[0] == {"x_step": 1.0, "temperature": 1.0, "penalty": 1.0} and len(table) == 65
    for name, span in (("x_step", 10), ("temperature", 10), ("penalty", 5)):
        logs = np.log([one[name] for one in table[1:]]) / np.log(span)
        assert np.abs(logs).max() <= 1
        quarters = np.histogram(logs, [-1, -0.5, 0, 0.5, 1])[0]
        assert quarters.min() >= 14  # 16 each, if they were laid out by hand
    assert scales(["penalty"], 9) == [{"penalty": one["penalty"]} for one in table[:9]]
    assert scales([], 9) == [{}]


def test_what_is_tuned():
    names = lambda builder, **given: tuned_settings(armed("a", builder, given))  # noqa: E731
    assert names(actor_critic) == ["x_step", "temperature", "penalty"]
    assert names(actor_critic, x_step=0.1, penalty=1.0) == ["temperature"]
    assert names(actor_critic, temperature=0.1) == ["x_step", "temperature", "penalty"]
    assert names(actor_critic, temperature=lambda count: 0.1) == ["x_step", "penalty"]
    by_optax = armed("a", actor_critic)._replace(settings={"x_step": optax.sgd(0.1), "penalty": True})
    assert tuned_settings(by_optax) == []


def by_hand(builder, problem, steps, every=None, record=None, **settings):
    solver = builder(problem, steps=steps, **settings)
    return carry_out(Plan(problem, solver, steps, every or steps, SEEDS, record=record))


def test_a_trial_is_the_run_with_the_scaled_numbers(problem, record):
    found = tried(armed("a", expected_actor_critic), problem, steps=10, trials=2, record=record)
    x, tau, w = (found.scales[1][name] for name in ("x_step", "temperature", "penalty"))
    given = {"x_step": (0.1 * x, 0.002 * x), "temperature": (2 * tau, 0.05 * tau), "penalty": (4 * w, 0.5 * w)}
    scaled_by_hand = by_hand(expected_actor_critic, problem, 10, record=record, **given)
    np.testing.assert_allclose(found.values[1], scaled_by_hand.value, rtol=1e-6)
    np.testing.assert_allclose(found.scores, np.mean(found.values, 1), rtol=1e-12)
    assert found.chosen == int(np.argmin(found.scores)) and found.failed == [0, 0]
    assert found.steps == 10 and found.samples == 0
    assert np.ptp(found.values, 0).min() > 1e-4  # else the scales change nothing, and this test tells nothing


def late_by_hand(settings, steps, late):
    """The mean loss of the last updates of each seed."""
    rows = by_hand(slide, field(), steps, 1, **settings).rows
    return [np.mean([row["upper"] for row in rows if row["seed"] == seed and row["step"]][-late:]) for seed in SEEDS]


def test_without_an_oracle_the_late_losses_judge_trials_of_one_program():
    found = tried(armed("a", slide, {"temperature": 0.5}), field(), steps=37)
    for factors, values in zip(found.scales, found.values, strict=True):
        x, tau, w = (factors[name] for name in ("x_step", "temperature", "penalty"))
        settings = {"x_step": (0.3 * x, 0.1 * x), "temperature": 0.5 * tau, "penalty": Power(0.5 * w, -0.25)}
        # a tenth of 37 is 3.7; chunks are of 3, the last is of 1
        np.testing.assert_allclose(values, late_by_hand(settings, 37, 4), rtol=1e-6)


def test_a_builder_of_plain_numbers_is_built_a_trial():
    found = tried(armed("a", plain_slide), field(), steps=20)
    assert [*found.scales[0]] == ["x_step"]
    for factors, values in zip(found.scales, found.values, strict=True):
        np.testing.assert_allclose(values, late_by_hand({"x_step": 0.3 * factors["x_step"]}, 20, 2), rtol=1e-9)


def test_all_trials_are_traced_once():
    traces = []

    def counted(problem, *, steps: int = 30, x_step: Scaled | float = 0.05):
        traces.append(x_step)
        return slide(problem, steps=steps, x_step=x_step)

    tried(armed("a", counted), field(), trials=5)
    assert len(traces) <= 3 and all(isinstance(one, Scaled) for one in traces)  # init, shapes, update


def test_the_late_mean_weighs_chunks_by_their_length():
    rows = [{"step": 0}, *({"step": at, "upper": np.array([up])} for at, up in ((10, 9.0), (20, 4.0), (21, 1.0)))]
    np.testing.assert_allclose(late(rows, 21), [(10 * 4.0 + 1.0) / 11])
    np.testing.assert_allclose(late(rows[:3], 20), [4.0])


@pytest.mark.parametrize("builder", [slide, plain_slide])
def test_a_trial_that_fails_is_counted_and_not_chosen(builder):
    """‖x − 3‖² grows by (1 − x_step)² an update, beyond 1e30 within 60 of them or not."""
    arm = armed("a", builder)
    found = tried(arm._replace(settings=arm.settings | {"x_step": 5.0}), field(), steps=60, trials=4)
    x = np.array([one["x_step"] for one in found.scales]) * 5.0
    fails = np.abs(1 - x) ** 118 > 1e30
    assert fails[0] and not fails.all()
    assert [score is None for score in found.scores] == fails.tolist()
    assert [values == [None, None] for values in found.values] == fails.tolist()
    assert found.failed == (2 * fails).tolist() and not fails[found.chosen]


def test_where_every_trial_fails_the_arm_stays_as_given():
    arm = armed("a", slide)
    found = tried(arm._replace(settings=arm.settings | {"x_step": 1e25}), field(), steps=20, trials=2)
    assert found.scores == [None, None] and found.chosen == 0 and found.failed == [2, 2]


def test_scaled_settings_that_a_builder_refuses_are_failed_trials_and_given_ones_an_error():
    def narrow(problem, *, x_step: float = 0.1):
        if x_step > 0.11:
            raise ValueError("x_step must be at most 0.11.")
        return slide(problem, x_step=x_step)

    found = tried(armed("a", narrow), field(), steps=20, trials=3)
    refused = np.array([one["x_step"] > 1.1 for one in found.scales])
    assert refused.any() and found.failed == (2 * refused).tolist()
    with pytest.raises(BadInput, match=r"arm b: x_step must be at most 0\.11"):
        tried(armed("b", narrow, {"x_step": 0.5}), field())
