"""Clipping: transformations that bound the length of a gradient, to be chained before any step of any method.

    clip(d, c) = min(1, c/‖d‖) d        ‖d‖ over all leaves together

    x_step = optax.chain(clip_quantile(0.9), optax.adam(0.01))

Put it first: what accumulates (momentum, Adam) must not see the outlier. A gradient that is not finite stays so: it is
not clipped away, and the run tells of it.

What is clipped is biased towards the side without outliers. High-probability bounds of clipped methods are for
single-level problems with unbiased gradients (see solvers/single); none covers a hypergradient, clipped or not.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.schedule import Power, descent, positive, schedule
from upperhand.types import Count, Scalar, Schedule, Tree


class Clipping(NamedTuple):
    """State of `clip_norm`."""

    count: Count  # gradients seen


class Following(NamedTuple):
    """State of `clip_quantile`."""

    level: Scalar  # log of the level; 0 before there is one
    count: Count  # gradients above 0 seen


def shape(tree: Tree) -> tuple[Tree, Scalar, Scalar]:
    """A tree over about its largest number, the length of that, and the number: no square overflows or vanishes."""
    leaves = jax.tree.leaves(tree)
    largest = jnp.max(jnp.stack([jnp.max(jnp.abs(leaf), initial=0.0) for leaf in leaves]))
    most = float(jnp.finfo(largest.dtype).max) ** 0.75  # 1/unit is then a normal number
    unit = jnp.where(largest == 0, 1.0, jnp.clip(largest, 1 / most, most))
    part = jax.tree.map(lambda leaf: leaf / unit.astype(leaf.dtype), tree)
    return part, jnp.sqrt(sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(part))), unit


def clip(tree: Tree, level: float | Scalar) -> tuple[Tree, Scalar]:
    """min(1, level/‖tree‖) tree, and ‖tree‖; not finite where the tree is not."""
    part, length, unit = shape(tree)
    passes = length * unit <= level
    shorter = lambda leaf, part: jnp.where(passes, leaf, part * (level / length).astype(leaf.dtype))  # noqa: E731
    return jax.tree.map(shorter, tree, part), length * unit


def clip_norm(level: Schedule, steps: int = 1000, name: str = "level") -> optax.GradientTransformation:
    """d ← clip(d, level).

    Args:
      level: the largest length that passes: a number, two ends of it, or a function of the count; infinite for none.
      steps: updates over which two ends are joined.
      name: of the level, for the message.
    Returns: an optax transformation. Raises: ValueError for a level that is not above 0.
    """
    if isinstance(level, float) and level == float("inf"):
        return optax.identity()
    level_at = schedule(name, level, steps)

    def update(gradient, state, x=None):
        return clip(gradient, level_at(state.count))[0], Clipping(state.count + 1)

    return optax.GradientTransformation(lambda x: Clipping(jnp.asarray(0, jnp.int32)), update)


def clip_quantile(quantile: float = 0.9, gain: Schedule = Power(1.0, -0.5)) -> optax.GradientTransformation:
    """d ← clip(d, c), with c a running quantile of the lengths that came before (Robbins and Monro, on the logarithm).

    c ← ‖d₀‖,  then  log c ← log c + gain ( [‖d‖ > c] − (1 − quantile) )

    The level of an update does not know its own gradient. Lengths of 0 are passed over. It needs no scale to be known,
    and follows one that changes, at the rate of the gain.

    Args:
      quantile: share of the gradients that pass as they are, in (0, 1).
      gain: a number, or a function of the count; a constant one follows changes, and its level is never at rest.
    Returns: an optax transformation. Raises: ValueError for a quantile or a gain out of its range.
    Reference: ours; the recursion is Robbins and Monro's of 1951.
    """
    if positive("quantile", quantile) >= 1:
        raise ValueError(f"quantile must be above 0 and below 1: got {quantile!r}.")
    gain_at = schedule("gain", gain, 1)

    def start(x):
        return Following(jnp.zeros((), jnp.result_type(*jax.tree.leaves(x))), jnp.asarray(0, jnp.int32))

    def update(gradient, state, x=None):
        is_first, counts = state.count == 0, state.count
        within, norm = clip(gradient, jnp.where(is_first, jnp.inf, jnp.exp(state.level)))
        up = (norm > jnp.exp(state.level)) - (1 - quantile)
        level = jnp.where(is_first, jnp.log(norm), state.level + gain_at(counts) * up).astype(state.level.dtype)
        is_new = (norm > 0) & (norm < jnp.inf)  # neither 0 nor NaN
        return within, Following(jnp.where(is_new, level, state.level), counts + is_new.astype(counts.dtype))

    return optax.GradientTransformation(start, update)


def clipped_step(
    value: Schedule | optax.GradientTransformation, level: Schedule = 1.0, steps: int = 1000
) -> optax.GradientTransformation:
    """A step along a clipped gradient: `clip_norm`, then the step.

    Args:
      value: step size of plain descent, two ends of it, or an optax transformation.
      level: of `clip_norm`.
      steps: updates over which two ends are joined.
    Returns: an optax transformation, for any step of any method. Raises: ValueError, as its parts.
    """
    return optax.chain(clip_norm(level, steps), descent("value", value, steps))


def clipped(name: str, value: Schedule | optax.GradientTransformation, steps: int) -> optax.GradientTransformation:
    """An optax transformation from the step size of descent along a gradient clipped to norm 1, or as it is."""
    if isinstance(value, optax.GradientTransformation):
        return value
    return optax.chain(clip_norm(1.0), descent(name, value, steps))
