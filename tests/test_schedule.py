"""Schedules of w and τ against their formulas, and what is refused."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from upperhand.schedule import Power, fraction, geometric, positive, schedule, step, whole


@pytest.mark.parametrize(("scale", "exponent"), [(0.5, -0.05), (1.0, -0.15), (2.0, 0.0)])
def test_power(scale, exponent):
    for count in (0, 1, 99_999):
        found = Power(scale, exponent)(jnp.asarray(count))
        assert float(found) == pytest.approx(scale * (count + 1) ** exponent, rel=1e-12)


def test_an_offset_delays_the_decay():
    """2/(k + 50): a fiftieth as steep at first, and the same in the long run."""
    for count in (0, 1, 99_999):
        assert float(Power(2.0, -1.0, 50.0)(jnp.asarray(count))) == pytest.approx(2 / (count + 50), rel=1e-12)


def test_published_attenuation_over_1e5_steps():
    """τ by the power −1/20 shrinks to 0.56 of its start, w by −3/20 to 0.18."""
    last = jnp.asarray(10**5 - 1)
    assert float(Power(1.0, -1 / 20)(last)) == pytest.approx(0.56, abs=0.005)
    assert float(Power(1.0, -3 / 20)(last)) == pytest.approx(0.18, abs=0.005)


@pytest.mark.parametrize(("start", "end"), [(1.0, 0.05), (0.1, 2.0)])
def test_geometric(start, end):
    path = geometric(start, end, 100)
    for count in (0, 1, 37, 100):
        assert float(path(jnp.asarray(count))) == pytest.approx(start * (end / start) ** (count / 100), rel=1e-6)
    assert float(path(jnp.asarray(1000))) == pytest.approx(end, rel=1e-6)


@pytest.mark.parametrize(
    ("value", "at"),
    [(0.3, [0.3] * 3), (2, [2] * 3), ((1.0, 0.01), [1, 0.1, 0.01]), ([1, 4], [1, 2, 4]), ((0.5, 0.5), [0.5] * 3)],
)  # fmt: skip
def test_schedule_of_numbers_and_ends(value, at):
    found = inspect.unwrap(schedule)("temperature", value, 10)
    np.testing.assert_allclose([jax.jit(found)(jnp.asarray(c)) for c in (0, 5, 10)], at, rtol=1e-6)


def test_a_function_stays_as_it_is():
    power = Power(1.0, -0.5)
    assert schedule("penalty", power, 10) is power


@pytest.mark.parametrize(
    "value",
    [0, -1.0, float("inf"), float("nan"), (1.0, 0.0), (1.0, -2.0), (1.0,), (1.0, 0.5, 0.1), "0.1", (1.0, float("nan"))],
)
def test_schedule_refuses(value):
    with pytest.raises(ValueError, match="penalty must be above 0") as caught:
        inspect.unwrap(schedule)("penalty", value, 10)
    assert repr(value) in str(caught.value)


def test_step_is_adam_of_a_size_or_what_was_given():
    """Adam under a steady gradient moves by its step size each time, against the gradient's sign."""
    x, dx = jnp.asarray([1.0, -1.0]), jnp.asarray([3.0, -0.01])
    for value, sizes in ((0.25, [0.25, 0.25, 0.25]), ((1.0, 0.25), [1, 0.5, 0.25])):
        made = step("x_step", value, 2)
        state = made.init(x)
        for size in sizes:
            move, state = made.update(dx, state, x)
            np.testing.assert_allclose(move, [-size, size], rtol=1e-5)
    plain = optax.sgd(0.1)
    assert step("x_step", plain, 10) is plain


@pytest.mark.parametrize("value", [0, -0.1, float("inf"), float("nan"), "0.1", None])
def test_what_is_no_number_above_zero_is_refused(value):
    with pytest.raises(ValueError, match="w must be a finite number above 0"):
        inspect.unwrap(positive)("w", value)
    assert positive("w", 0.5) == 0.5


@pytest.mark.parametrize("value", [0, -0.1, float("inf"), float("nan"), (0.1, 0.0)])
def test_step_refuses(value):
    with pytest.raises(ValueError, match="x_step must be above 0"):
        step("x_step", value, 10)


def test_fraction():
    assert fraction("share", 1) == 1 and fraction("share", 0.01) == 0.01
    for value in (0.0, -1.0, 1.01, float("nan")):
        with pytest.raises(ValueError, match="share"):
            fraction("share", value)


@pytest.mark.parametrize("value", [3, (1,), (1, 0), (1, 2.0), (1, 2, 3), "12"])
def test_whole_refuses(value):
    with pytest.raises(ValueError, match="batch must be 2 whole numbers"):
        inspect.unwrap(whole)("batch", value, 2)
    assert whole("batch", [4, 5], 2) == (4, 5)


@pytest.mark.parametrize("value", [True, (True, 0.5)])
def test_a_truth_value_is_no_number(value):
    with pytest.raises(ValueError, match="penalty must be above 0"):
        inspect.unwrap(schedule)("penalty", value, 10)
    with pytest.raises(ValueError, match="batch must be 2 whole numbers"):
        whole("batch", (True, 4), 2)


def test_two_ends_need_steps_to_join_them():
    with pytest.raises(ValueError, match="steps must be 1 whole number"):
        schedule("penalty", (1.0, 0.5), 0)
