"""Some steps of the lower variable down a loss: the loop inside an update of every method that has one."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from upperhand.schedule import descent, whole
from upperhand.types import Count, Step, Tree


class Settling(NamedTuple):
    """The loop, built."""

    start: Callable[[Tree], optax.OptState]  # y → the state of its steps
    settle: Callable[[Callable[[Count, Tree], Tree], Tree, optax.OptState], tuple[Tree, optax.OptState]]
    # (slope, y, state) → y and the state after the loop; slope: (which step, y) → gradient, like y


def settling(name: str, step: Step, project: Callable[[Tree], Tree], *, updates: int, loops: int) -> Settling:
    """`loops` times   y ← project( y − step slope(k, y) ).

    y and the state of its steps are kept between updates: a warm start.

    Args:
      name: of the setting `step`, for the message.
      step: step size of plain descent, two ends of it, which are joined over all steps of all updates, or an optax
        transformation.
      project: the nearest allowed y.
      updates: planned calls.
      loops: K, steps of a call.
    Returns: Settling. Raises: ValueError for a step or loops out of their range.
    Cost: a call is K of what its slope costs.
    """
    whole("loops", (loops,), 1)
    descend = descent(name, step, updates * loops)

    def settle(slope, y, state):
        def body(k, carry):
            y, state = carry
            move, state = descend.update(slope(k, y), state, y)
            return project(optax.apply_updates(y, move)), state

        return jax.lax.fori_loop(0, loops, body, (y, state))

    return Settling(descend.init, settle)
