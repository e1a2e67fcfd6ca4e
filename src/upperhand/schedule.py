"""How penalty weight and temperature attenuate: geometrically, by the paper's powers, or not at all."""

from collections.abc import Callable
from dataclasses import dataclass

import jax.numpy as jnp
import optax

from upperhand.types import Count, Scalar, Schedule, Step


@dataclass(frozen=True)
class Power:
    """scale · (count + 1)^exponent, the schedules of the paper."""

    scale: float
    exponent: float

    def __call__(self, count: Count) -> Scalar:
        return self.scale * (jnp.asarray(count, float) + 1.0) ** self.exponent


def geometric(start: float, end: float, steps: int) -> Callable[[Count], Scalar]:
    """start · (end/start)^(count/steps), and `end` ever after.

    Args:
      start, end: the two ends, both above 0.
      steps: updates from one end to the other.
    Returns: [] at a count.
    """
    return optax.exponential_decay(start, steps, end / start, end_value=end)


def schedule(name: str, value: Schedule, steps: int) -> Callable[[Count], Scalar]:
    """A function of the count from what a builder was given, checked.

    Args:
      name: the argument, for the message.
      value: a number, two ends (start, end), or a function of the count.
      steps: the planned updates, over which two ends are joined.
    Raises: ValueError where a number is not finite and above 0.
    """
    if callable(value):
        return value
    ends = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(ends) != 2 or not all(isinstance(end, int | float) and 0 < end < float("inf") for end in ends):
        raise ValueError(
            f"{name} must be above 0, as a number or as two ends (start, end): got {value!r}. Try 0.1 or (1.0, 0.1)."
        )
    if ends[0] == ends[1]:
        return lambda count: jnp.asarray(ends[0], float)
    return geometric(*map(float, ends), steps)


def step(name: str, value: Step) -> optax.GradientTransformation:
    """An optax transformation from a step size of Adam, or as it is."""
    if isinstance(value, optax.GradientTransformation):
        return value
    return optax.adam(positive(name, value))


def positive(name: str, value: float) -> float:
    """The value, if it is a finite number above 0, else ValueError."""
    if not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    return value
