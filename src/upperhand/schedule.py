"""How penalty weight and temperature attenuate: geometrically, by the paper's powers, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import jax.numpy as jnp
import optax

from upperhand.types import Count, Scalar, Scaled, Schedule, Step


@dataclass(frozen=True)
class Power:
    """scale · (count + offset)^exponent: with offset 1 the schedules of the paper; a larger one delays the decay."""

    scale: float
    exponent: float
    offset: float = 1.0  # above 0

    def __call__(self, count: Count) -> Scalar:
        return self.scale * (jnp.asarray(count, float) + self.offset) ** self.exponent


def geometric(start: float, end: float, steps: int) -> Callable[[Count], Scalar]:
    """start · (end/start)^(count/steps), and `end` ever after.

    Args:
      start, end: the two ends, both above 0.
      steps: updates from one end to the other.
    Returns: [] at a count.
    """
    return optax.exponential_decay(start, steps, end / start, end_value=end)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def schedule(name: str, value: Schedule, steps: int) -> Callable[[Count], Scalar]:
    """A function of the count from what a builder was given, checked.

    Args:
      name: the argument, for the message.
      value: a number, two ends (start, end), a function of the count, or one of them Scaled.
      steps: the planned updates, over which two ends are joined.
    Raises: ValueError where a number is not finite and above 0; the factor of a Scaled is not looked at.
    """
    if isinstance(value, Scaled):
        plain = schedule(name, value.value, steps)
        return lambda count: value.factor * plain(count)
    if callable(value):
        return value
    ends = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(ends) != 2 or not all(_number(end) and 0 < end < float("inf") for end in ends):
        raise ValueError(
            f"{name} must be above 0, as a number or as two ends (start, end): got {value!r}. Try 0.1 or (1.0, 0.1)."
        )
    if ends[0] == ends[1]:
        return lambda count: jnp.asarray(ends[0], float)
    whole("steps", (steps,), 1)
    return geometric(*map(float, ends), steps)


def step(name: str, value: Step, steps: int) -> optax.GradientTransformation:
    """An optax transformation from Adam's step size, from two ends of it, or as it is."""
    if isinstance(value, optax.GradientTransformation):
        return value
    return optax.adam(schedule(name, value, steps))


def descent(name: str, value: Schedule | optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """An optax transformation from the step size of plain descent, or as it is."""
    if isinstance(value, optax.GradientTransformation):
        return value
    return optax.sgd(schedule(name, value, steps))


def scaled(value: Schedule, factor: float) -> Schedule:
    """A number, two ends or a Power times a number: what Scaled tells, as a setting that can be written down."""
    if isinstance(value, Power):
        return replace(value, scale=value.scale * factor)
    return tuple(end * factor for end in value) if isinstance(value, tuple | list) else value * factor


def fraction(name: str, value: float) -> float:
    """The value, if it lies in (0, 1], else ValueError."""
    if positive(name, value) > 1:
        raise ValueError(f"{name} must be above 0 and at most 1: got {value!r}.")
    return value


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0, else ValueError."""
    if not _number(value) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    return value


def nonnegative(name: str, value: float) -> float:
    """The value, if it is a finite number, at least 0, else ValueError."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a finite number, at least 0: got {value!r}.")
    return value


def unit(name: str, value: float) -> float:
    """The value, if it lies in [0, 1], else ValueError."""
    if nonnegative(name, value) > 1:
        raise ValueError(f"{name} must be from 0 to 1: got {value!r}.")
    return value


def whole(name: str, value: Any, length: int, least: int = 1) -> tuple[int, ...]:
    """The value, if it is `length` whole numbers of at least `least`, else ValueError."""
    if (
        not isinstance(value, tuple | list)
        or len(value) != length
        or not all(_number(part) and isinstance(part, int) and part >= least for part in value)
    ):
        raise ValueError(
            f"{name} must be {length} whole number{'s' * (length > 1)} of at least {least}: got {value!r}."
        )
    return tuple(value)


def share(name: str, value: Schedule, steps: int) -> Callable[[Count], Scalar]:
    """As `schedule`, of shares in (0, 1]; where a function of the count gives more, it is cut at 1."""
    found = schedule(name, value, steps)
    for part in value if isinstance(value, tuple | list) else (value,):
        if _number(part):
            fraction(name, part)
    return lambda count: jnp.minimum(found(count), 1.0)
