"""The few types that every room shares."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import optax
from jaxtyping import Array, Float, Int, PRNGKeyArray

Key = PRNGKeyArray
Tree = Any  # a pytree whose every leaf is a float array
Scalar = Float[Array, ""]
Count = Int[Array, ""]


@dataclass(frozen=True)
class Scaled:
    """A number, two ends or a function of the count, times a factor that may be traced: many settings, one program."""

    value: Any
    factor: Any  # [], above 0


Schedule = float | tuple[float, float] | Callable[[Count], Scalar] | Scaled
"""A number (constant), two ends (geometric between them over the planned steps), or a function of the count."""
Step = float | tuple[float, float] | optax.GradientTransformation | Scaled
"""Adam's step size, two ends of it (geometric between them over the planned steps), or any optax transformation."""


class Trajectory(NamedTuple):
    """Transitions of B chains over T steps."""

    state: Int[Array, "T B"]  # s
    action: Int[Array, "T B"]  # a
    successor: Int[Array, "T B"]  # s', meaningless where the episode ended
    alive: Float[Array, "T B"]  # 0 where the episode ended in this transition, else 1
