"""Some steps of the lower variable down a loss: the loop inside an update of the penalty methods."""

from collections.abc import Callable

import jax
import optax

from upperhand.types import Count, Tree


def settled(
    slope: Callable[[Count, Tree], Tree],
    y: Tree,
    state: optax.OptState,
    descend: optax.GradientTransformation,
    project: Callable[[Tree], Tree],
    loops: int,
) -> tuple[Tree, optax.OptState]:
    """y after `loops` times  y ← project( y − step slope(k, y) ).

    Args:
      slope: (which step, y) → gradient, like y.
      y, state: where it begins, and the state of the steps; both are kept between updates (a warm start).
      descend: the steps.
      project: the nearest allowed y.
      loops: K, how many.
    Returns: y and the state of the steps. Cost: K of what `slope` costs.
    """

    def body(k, carry):
        y, state = carry
        move, state = descend.update(slope(k, y), state, y)
        return project(optax.apply_updates(y, move)), state

    return jax.lax.fori_loop(0, loops, body, (y, state))
