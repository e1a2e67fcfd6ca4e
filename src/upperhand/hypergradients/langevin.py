"""Noisy gradient steps of a cloud of particles: mean-field Langevin dynamics, one step at a time.

    Xⱼ ← project( Xⱼ − size · N ∂loss/∂Xⱼ + √(2 size entropy) ξⱼ )        ξⱼ ~ N(0, I)

A loss that reads the cloud by means over its N particles has a derivative in each of them that is 1/N of the gradient
of the functional of its law: hence the N. Stationary, for a linear loss, is the Gibbs law of that gradient at the
temperature `entropy`, the weight of ∫ µ log µ.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.schedule import nonnegative, schedule
from upperhand.types import Count, Key, Scalar, Step, Tree


class Langevin(NamedTuple):
    """The steps of a cloud, built."""

    start: Callable[[Tree], optax.OptState]  # cloud → the state of its steps
    move: Callable[[Tree, Tree, optax.OptState, Key, Count, Scalar | float], tuple[Tree, optax.OptState]]
    # (slope, cloud, state, key, which step, part) → cloud and state after a step; slope like the cloud, ∂loss/∂X;
    # part of the step that is taken, of slope and temperature alike


def langevin(
    name: str, step: Step, project: Callable[[Tree], Tree], *, steps: int, particles: int, entropy: float
) -> Langevin:
    """Noisy gradient steps, or steps of an optax transformation without noise.

    Args:
      name: of the setting `step`, for the message.
      step: step size, two ends of it, or an optax transformation, which then needs entropy = 0.
      project: the nearest allowed cloud.
      steps: planned steps, over which two ends are joined.
      particles: N.
      entropy: temperature; at 0 nothing is drawn.
    Returns: Langevin. Raises: ValueError for a setting out of its range, or a transformation with noise.
    Cost: a step draws as many normal numbers as the cloud has.
    """
    nonnegative("entropy", entropy)
    is_plain = not isinstance(step, optax.GradientTransformation)
    if entropy and not is_plain:
        raise ValueError(
            f"entropy must be 0 where {name} is an optax transformation, since noise belongs to plain gradient steps: "
            f"got {entropy!r}. Give {name} as a number, or entropy=(0.0, 0.0)."
        )
    size = schedule(name, step, steps) if is_plain else None
    descend = optax.sgd(size) if is_plain else step

    def move(slope: Tree, cloud: Tree, state: Any, key: Key, count: Count, part: Scalar | float = 1.0):
        gradient = jax.tree.map(lambda leaf: particles * part * leaf, slope)
        change, state = descend.update(gradient, state, cloud)
        if entropy:
            spread = jnp.sqrt(2 * entropy * size(count) * part)
            change = optax.tree.add_scale(change, spread, optax.tree.random_like(key, cloud))
        return project(optax.apply_updates(cloud, change)), state

    return Langevin(descend.init, move)
