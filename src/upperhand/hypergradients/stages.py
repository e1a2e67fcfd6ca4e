"""Restarts: a strongly convex problem in stages, each of which halves the square of the distance that is left."""

from collections.abc import Callable, Sequence
from math import ceil
from typing import NamedTuple

import jax.numpy as jnp

from upperhand.hypergradients.similar_triangles import base_step
from upperhand.schedule import nonnegative, positive, schedule, unit, whole
from upperhand.types import Count, Scalar, Schedule

MOST = 100
"""Stages: after them the distance is 2^−50 of the first."""


class Stage(NamedTuple):
    """A run of a method from where the last one ended."""

    reach: float  # R: the solution is at most so far away as it begins
    accuracy: float  # ε wanted of f − f* at its end: µR²/4
    length: int  # updates
    step: float  # base step


class Class(NamedTuple):
    """What is known of a problem."""

    reach: float  # R ≥ ‖x₀ − x*‖
    convexity: float  # µ
    smoothness: float  # M of ‖∇f(x) − ∇f(y)‖ ≤ M ‖x − y‖^ν
    noise: float  # σ, root of the mean square of a gradient's noise
    holder: float  # ν


def accuracy(known: Class) -> float:
    """ε = µR²/4: what makes the next reach R/√2."""
    return known.convexity * known.reach**2 / 4


def stages(
    known: Class, steps: int, length: Callable[[Class], float], rule: Callable[[Class, int], float]
) -> tuple[Stage, ...]:
    """The stages that fit into a run, the last one lengthened to its end.

    R_t = R 2^(−t/2),  ε_t = µR_t²/4,  t = 0, 1, …

    Args:
      known: of the problem, with the reach of the first stage.
      steps: planned updates.
      length, rule: updates and base step of a stage, from the class at its reach.
    Returns: stages. Raises: ValueError for a number of the class out of its range.
    Reference: the smooth case of arXiv 2302.00999, as restated by others; derived for other ν. Theory stops once ε_t is
      small enough, here the updates say when.
    """
    for name in ("reach", "convexity", "smoothness"):
        positive(name, getattr(known, name))
    nonnegative("noise", known.noise)
    unit("holder", known.holder)
    whole("steps", (steps,), 1)
    classes = [known._replace(reach=known.reach * 2 ** (-t / 2)) for t in range(MOST)]
    lengths, left = [], steps
    for each in classes:
        wanted = max(1, ceil(length(each)))
        if wanted > left:
            break
        lengths.append(wanted)
        left -= wanted
    lengths = lengths or [0]
    lengths[-1] += left
    return tuple(Stage(each.reach, accuracy(each), N, rule(each, N)) for each, N in zip(classes, lengths, strict=False))


class Place(NamedTuple):
    """Where in its stages a run is."""

    stage: Count  # from 0
    count: Count  # updates of this stage before this one


def places(planned: Sequence[Stage]) -> Callable[[Count], Place]:
    """count → Place; after the last stage it goes on."""
    starts = [sum(stage.length for stage in planned[:t]) for t in range(len(planned))]

    def place(count):
        began = jnp.asarray(starts, jnp.int32)
        stage = jnp.sum(began <= count, dtype=jnp.int32) - 1
        return Place(stage, count - began[stage])

    return place


def of_stage(planned: Sequence[Stage], what: str) -> Callable[[Place], Scalar]:
    """Place → a field of its stage."""
    return lambda place: jnp.asarray([getattr(stage, what) for stage in planned], float)[place.stage]


def triangles_length(known: Class) -> float:
    """max{ 8 D, 0.4 (σR/ε)² }, D = (M R^(1+ν)/ε)^(2/(1+3ν)), of similar triangles; 8 and 0.4 as measured."""
    nu, wanted = known.holder, accuracy(known)
    size = (known.smoothness * known.reach ** (1 + nu) / wanted) ** (2 / (1 + 3 * nu))
    return max(8 * size, 0.4 * (known.noise * known.reach / wanted) ** 2)


def triangles_step(known: Class, length: int) -> float:
    """The lesser of theory's without noise and R/(2σ N^((1+5ν)/(2+2ν))), with which Σ a²σ² ~ R² (derived)."""
    nu, best = known.holder, base_step(accuracy(known), known.holder, known.smoothness)
    power = (1 + 5 * nu) / (2 + 2 * nu)
    return min(best, known.reach / (2 * known.noise * length**power)) if known.noise else best


def bend(known: Class) -> float:
    """h = M^(2/(1+ν)) ε^(−(1−ν)/(1+ν)): the smoothness of f as seen at accuracy ε; M itself for ν = 1."""
    power = 1 + known.holder
    return known.smoothness ** (2 / power) * accuracy(known) ** (-(1 - known.holder) / power)


def descent_length(known: Class) -> float:
    """max{ 8 h R²/ε, (σR/ε)² } of plain descent (derived)."""
    wanted = accuracy(known)
    return max(8 * bend(known) * known.reach**2 / wanted, (known.noise * known.reach / wanted) ** 2)


def descent_step(known: Class, length: int) -> float:
    """The lesser of 1/(4h) and R/(σ √N), with which N step² σ² = R² (derived)."""
    best = 1 / (4 * bend(known))
    return min(best, known.reach / (known.noise * length**0.5)) if known.noise else best


def shortened(planned: Sequence[Stage], share: Schedule, steps: int) -> Schedule:
    """The longest step of each update: a share of its stage's reach; infinite where the share is.

    Raises: ValueError for a share that is not above 0.
    """
    if share == float("inf"):
        return share
    share_at, place_of, reach_of = schedule("clip", share, steps), places(planned), of_stage(planned, "reach")
    return lambda count: share_at(count) * reach_of(place_of(count))
