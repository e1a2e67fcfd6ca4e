"""A noisy descent of ‖x − 3‖² that never looks at the problem."""

import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.schedule import Power, positive, schedule
from upperhand.solver import Info, Solver, cost
from upperhand.types import Schedule

traces = []


class State(NamedTuple):
    x: Any
    y: Any
    count: Any
    noise: Any  # a key that lives in the state


class Shake(NamedTuple):
    size: float


gentle, rough = Shake(0.01), Shake(0.5)


def drift(
    problem,
    *,
    steps: int = 60,
    x_step: float = 0.1,
    batch: int = 4,
    delay: float = 0.0,
    temperature: Schedule = (1.0, 0.1),
    penalty: Schedule = Power(0.5, -0.25),
    shake: Shake = gentle,
    smooth: float | optax.GradientTransformation = optax.identity(),
) -> Solver:
    """Drift towards 3.

    Args:
      problem: any.
      steps: planned updates.
      x_step: step size, above 0.
      batch: draws an update, that are
        averaged.
      delay: seconds an update, to be killed in.
      temperature, penalty: schedules.
      shake: how much x is shaken.
      smooth: what dx passes through, or what it is multiplied by.
    """
    positive("x_step", x_step)
    tau_of, w_of = schedule("temperature", temperature, steps), schedule("penalty", penalty, steps)

    through = smooth if isinstance(smooth, optax.GradientTransformation) else optax.scale(smooth)

    def init(x, theta):
        return State(x, theta, jnp.int32(0), jax.random.key(5))

    def update(key, state):
        traces.append(1)
        x = state.x
        if delay:
            x = jax.pure_callback(lambda x: (time.sleep(delay), x)[1], x, x, vmap_method="broadcast_all")
        pull = jax.tree.map(lambda x: x - 3.0 + jax.random.normal(key, (batch, *x.shape), x.dtype).mean(0), x)
        noise = jax.random.split(state.noise)[0]
        push = shake.size * jax.random.normal(noise)
        dx = jax.tree.map(lambda leaf: leaf + push.astype(leaf.dtype), pull)
        dx = through.update(dx, through.init(dx))[0]
        loss = sum(jnp.sum((leaf - 3.0) ** 2) for leaf in jax.tree.leaves(x))
        after = jax.tree.map(lambda x, dx: x - x_step * dx, x, dx)
        scheduled = {"temperature": tau_of(state.count), "penalty": w_of(state.count)}
        return State(after, state.y, state.count + 1, noise), Info(loss, -loss, dx, cost(batch, 2), scheduled)

    return Solver(init, update)
