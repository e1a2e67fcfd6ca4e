"""A quiet descent towards 3 that never looks at the problem: quick to compile, no random number."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from upperhand.schedule import Power, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Schedule


class State(NamedTuple):
    x: Any
    y: Any
    count: Any


def slide(
    problem,
    *,
    steps: int = 60,
    batch: int = 4,
    delay: float = 0.0,
    x_step: Schedule = (0.3, 0.1),
    temperature: Schedule = (1.0, 0.1),
    penalty: Schedule = Power(0.5, -0.25),
) -> Solver:
    """Slide towards 3, and a little beside it by temperature and penalty.

    Args:
      problem: any.
      steps: planned updates.
      batch: samples that an update claims to draw.
      delay: seconds an update, to be killed in.
      x_step, temperature, penalty: schedules.
    """
    size = schedule("x_step", x_step, steps)
    tau_at, w_at = schedule("temperature", temperature, steps), schedule("penalty", penalty, steps)

    def init(x, y):
        return State(x, y, jnp.int32(0))

    def update(key, state):
        x, tau, w = state.x, tau_at(state.count), w_at(state.count)
        if delay:
            x = jax.pure_callback(lambda x: (time.sleep(delay), x)[1], x, x, vmap_method="broadcast_all")
        dx = x - (3.0 + 0.1 * tau - 0.2 * w).astype(x.dtype)
        loss = jnp.sum((x - 3.0) ** 2)
        after = x - (size(state.count) * dx).astype(x.dtype)
        scheduled = {"temperature": tau, "penalty": w}
        return State(after, state.y, state.count + 1), Info(loss, -loss, dx, cost(batch, 2), scheduled)

    return Solver(init, update)
