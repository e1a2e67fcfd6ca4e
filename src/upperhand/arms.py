"""An arm of a comparison: a method with settings, what an update of it costs, and how many updates a budget buys."""

import math
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from upperhand.errors import BadInput
from upperhand.forms import Problem
from upperhand.run import chunk, seed_key, strong
from upperhand.settings import PLANNED, fitted, settings, unknown
from upperhand.solve import Plan, begin
from upperhand.solver import Cost, Solver
from upperhand.wrappers import guarded

CURRENCIES = ("samples", "gradients", "seconds")
"""What a comparison may be held equal in, a seed; gradients are those of first and second order together."""
OTHERWISE = 1000
"""Updates of a method that draws none of the currency and plans no length itself."""
LONG_ENOUGH = 0.5
"""Seconds that a timing lasts at least, or a quarter of the budget."""


class Arm(NamedTuple):
    """A method with settings."""

    label: str
    builder: Callable[..., Solver]
    settings: dict[str, Any]  # every setting but the planned steps
    given: tuple[str, ...]  # those that a person gave; the others are defaults
    planned: int | None  # the builder's own length, None where it plans none


def armed(label: str, builder: Callable[..., Solver], given: Mapping[str, Any] | None = None) -> Arm:
    """An arm, checked.

    Args:
      label: letters, digits, and . + - _ in it: the name of its folder.
      builder: of a method: (problem, *, settings) → Solver.
      given: settings that differ from the defaults.
    Returns: Arm. Raises: BadInput for a label that is no folder's name, a setting that is unknown, or planned steps.
    """
    if not isinstance(label, str) or not re.fullmatch(r"\w[\w.+-]{0,63}", label):
        raise BadInput(
            f"the label {label!r:.80} cannot name a folder: use at most 64 letters, digits, or . + - _ after the first."
        )
    if not callable(builder):
        raise BadInput(f"arm {label} must be a builder, or (builder, settings): got {builder!r:.80}.")
    known, name, given = settings(builder), getattr(builder, "__name__", "it"), dict(given or {})
    if PLANNED in given:
        raise BadInput(f"arm {label} gives {PLANNED}, which follows from the budget: leave it out.")
    full = {key: setting.default for key, setting in known.items() if key != PLANNED}
    for setting in given:
        if setting not in full:
            raise unknown(f"setting of {name}", setting, full, f"It has {', '.join(full) or 'none'}.")
    planned, full = known[PLANNED].default if PLANNED in known else None, full | given
    return Arm(label, builder, full, tuple(given), planned)


def built(arm: Arm, problem: Problem, steps: int | None, changed: Mapping[str, Any] | None = None) -> Solver:
    """The arm's method on a problem, guarded.

    Args:
      arm: with its settings.
      problem: what it shall solve.
      steps: planned updates; the builder's own where None.
      changed: settings that take another value.
    Returns: Solver. Raises: BadInput, which names the arm, for what the builder refuses.
    """
    planned = {PLANNED: steps} if arm.planned is not None and steps is not None else {}
    try:
        return guarded(arm.builder(fitted(arm.builder, problem), **arm.settings | dict(changed or {}) | planned))
    except (ValueError, TypeError) as error:
        raise BadInput(f"arm {arm.label}: {' '.join(str(error).split())}") from error


def priced(arm: Arm, problem: Problem) -> Cost:
    """What one update of one seed spends, as the method counts it. Cost: its code is traced once."""
    solver = built(arm, problem, None)

    def spent(key):
        return solver.update(key, solver.init(*problem.init(key)))[1].cost

    return Cost(*map(float, jax.jit(spent)(seed_key(0))))


def spends(cost: Cost, currency: str) -> float:
    """What an update spends of samples or gradients."""
    return cost.samples if currency == "samples" else cost.gradients + cost.products


def affordable(arm: Arm, price: float, currency: str, budget: float) -> int:
    """Updates that a budget buys.

    Args:
      arm: for the message.
      price: of one update; 0 means that the arm draws none of the currency, and runs for its own length.
      currency, budget: of each seed.
    Returns: the most updates that do not exceed the budget. Raises: BadInput where it is not one.
    """
    if not price:
        return arm.planned or OTHERWISE
    steps = math.floor(budget / price)
    steps -= steps * price > budget  # the quotient is rounded
    if steps < 1:
        raise BadInput(
            f"arm {arm.label}: one update takes {price:.4g} {currency}, and the budget is {budget:g}: give more."
        )
    return steps


def timed(arm: Arm, problem: Problem, seeds: Sequence[int], budget: float) -> float:
    """Seconds of one update of all seeds together, after compilation.

    Args:
      arm, problem: what is timed.
      seeds: as many as shall run, but others than those.
      budget: seconds; the timing takes about a quarter of it at most, besides compilation.
    """
    keys, state, solver = begin(Plan(problem, built(arm, problem, None), 1, 1, tuple(seeds)))
    state = jax.tree.map(strong, state)
    program, count, lasted = chunk(solver, keys, state), 1, 0.0
    jax.block_until_ready(program(keys, state, jnp.int32(0), jnp.int32(1)))
    while True:
        began = time.perf_counter()
        jax.block_until_ready(program(keys, state, jnp.int32(0), jnp.int32(count)))
        lasted = time.perf_counter() - began
        if lasted >= min(LONG_ENOUGH, budget / 8):
            return lasted / count
        count *= 2
