"""Tuning: every arm gets the same few trials, on seeds that no result is reported of."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.stats import qmc

from upperhand import console
from upperhand.arms import Arm, built
from upperhand.devices import mesh, shard_seeds
from upperhand.errors import BadInput
from upperhand.forms import Problem
from upperhand.run import Record, Sink, run
from upperhand.schedule import Power, scaled
from upperhand.settings import members, settings
from upperhand.solve import drawn
from upperhand.solver import Solver
from upperhand.types import Scalar, Scaled, Tree
from upperhand.wrappers import Guarded, vmapped

TUNED = {"x_step": 10.0, "temperature": 10.0, "penalty": 5.0}
"""The settings that are scaled, and the most by which, up or down; both ends of a pair alike."""
SWEPT = "temperature"
"""Scaled even where an arm fixes it, so that fixed regularisation is a fair rival; other fixed settings stay."""


class Trials(NamedTuple):
    """What was tried of an arm: K trials, n seeds."""

    scales: list[dict[str, float]]  # factor of each tuned setting; the first trial is the arm as given
    values: list[list[float | None]]  # [K][n] exact Φ, or the method's own upper loss; None where a seed failed
    scores: list[float | None]  # mean of a trial, lower is better; None where a seed failed
    failed: list[int]  # seeds of a trial
    chosen: int
    steps: int  # of each trial, as of the run that follows
    samples: float  # all trials together
    seconds: float


class Trial(NamedTuple):
    """A guarded state and what scales the method's settings."""

    factors: dict[str, Scalar]
    inner: Guarded

    @property
    def x(self) -> Tree:
        """Upper variable."""
        return self.inner.x

    @property
    def y(self) -> Tree:
        """Lower variable."""
        return self.inner.y

    @property
    def count(self) -> Any:
        """Updates done."""
        return self.inner.count

    @property
    def failed(self) -> Any:
        """Whether the method stands still."""
        return self.inner.failed


def tuned_settings(arm: Arm) -> list[str]:
    """The settings of an arm that are scaled: numbers, two ends or Powers that it does not fix, and the temperature."""
    return [
        name
        for name in TUNED
        if name in arm.settings and (name not in arm.given or name == SWEPT) and is_scalable(arm.settings[name])
    ]


def is_scalable(value: Any) -> bool:
    """Whether a setting can be multiplied by a number and written down."""
    parts = value if isinstance(value, tuple | list) else (value,)
    return isinstance(value, Power) or all(
        isinstance(part, int | float) and not isinstance(part, bool) for part in parts
    )


def scales(names: Sequence[str], trials: int) -> list[dict[str, float]]:
    """The factors of every trial: 1 first, then log-uniform ones from a scrambled Halton sequence.

    Args:
      names: tuned settings; a setting has the same factors in every arm that has it.
      trials: K, at least 1.
    Returns: K dicts, the same at every call; one where there is nothing to tune.
    """
    if not names:
        return [{}]
    points = qmc.Halton(len(TUNED), seed=np.random.default_rng(0)).random(trials - 1)
    spans = np.array(list(TUNED.values()))
    table = [dict(zip(TUNED, row, strict=True)) for row in spans[None] ** (2 * points - 1)]
    return [dict.fromkeys(names, 1.0), *({name: float(f"{row[name]:.4g}") for name in names} for row in table)]


def rescaled(arm: Arm, factors: Mapping[str, float]) -> dict[str, Any]:
    """The settings that factors change, as values that can be written down."""
    return {name: scaled(arm.settings[name], factor) for name, factor in factors.items() if factor != 1.0}


def tune(
    arm: Arm,
    problem: Problem,
    *,
    steps: int,
    trials: int,
    seeds: Sequence[int],
    record: Record,
    sinks: Sequence[Sink] = (),
) -> Trials:
    """Try an arm with scaled settings, each trial over as many updates as the run that follows.

    Args:
      arm, problem: what is tuned on what.
      steps: updates of a trial.
      trials: K.
      seeds: n of them, the same for every trial.
      record: of the problem, as `recorder` makes it.
      sinks: called with each row of the trials.
    Returns: Trials.
    Cost: K·n runs in one compilation; in K of them where a tuned setting takes nothing but plain numbers.
    """
    began, factors = time.perf_counter(), scales(tuned_settings(arm), trials)
    known = settings(arm.builder)
    is_one_program = all(Scaled in members(known[name].hint) for name in factors[0])
    with console.bar(steps, f"{arm.label}: tuning") as drawing:
        sinks = [drawing, *sinks]
        if is_one_program:
            found = together(arm, problem, steps, factors, seeds, sinks)
            ends = [judged(*found, steps, record)]
        else:
            ends = [
                judged(*found, steps, record) if (found := alone(arm, problem, steps, one, seeds, sinks)) else None
                for one in factors
            ]
    whole = [end or (np.full(len(seeds), np.nan), 0.0) for end in ends]
    values = np.concatenate([end[0] for end in whole]).reshape(len(factors), len(seeds))
    failed, means = np.isnan(values).sum(1), values.mean(1)  # NaN where a seed failed
    return Trials(
        scales=factors,
        values=[[None if np.isnan(value) else float(value) for value in row] for row in values],
        scores=[None if np.isnan(mean) else float(mean) for mean in means],
        failed=failed.tolist(),
        chosen=int(np.argmin(np.nan_to_num(means, nan=np.inf))),
        steps=steps,
        samples=float(sum(end[1] for end in whole)),
        seconds=time.perf_counter() - began,
    )


def together(
    arm: Arm, problem: Problem, steps: int, factors: list[dict[str, float]], seeds: Sequence[int], sinks: list[Sink]
) -> tuple[Any, list[dict[str, Any]]]:
    """All trials as one axis [K·n] of one program: the method is built where its factors are traced.

    Returns: the last state, and the rows.
    """

    def method(scale):
        wrapped = {name: Scaled(arm.settings[name], factor) for name, factor in scale.items()}
        return built(arm, problem, steps, wrapped)

    def init(scale, x, y):
        return Trial(scale, method(scale).init(x, y))

    def update(key, state):
        after, info = method(state.factors).update(key, state.inner)
        return Trial(state.factors, after), info

    K, n = len(factors), len(seeds)
    keys, x, theta = jax.tree.map(lambda leaf: leaf[np.tile(np.arange(n), K)], drawn(problem, seeds))
    scale = {name: jnp.repeat(jnp.asarray([one[name] for one in factors], float), n) for name in factors[0]}
    state = jax.vmap(init)(scale, x, theta)
    return carried(Solver(init, jax.vmap(update)), keys, state, steps, sinks)


def alone(
    arm: Arm, problem: Problem, steps: int, factors: dict[str, float], seeds: Sequence[int], sinks: list[Sink]
) -> tuple[Any, list[dict[str, Any]]] | None:
    """One trial; None where the builder refuses the scaled settings."""
    try:
        solver = vmapped(built(arm, problem, steps, rescaled(arm, factors)))
    except BadInput:
        if all(factor == 1.0 for factor in factors.values()):
            raise
        return None
    keys, x, theta = drawn(problem, seeds)
    return carried(solver, keys, solver.init(x, theta), steps, sinks)


def carried(
    solver: Solver, keys: jax.Array, state: Any, steps: int, sinks: list[Sink]
) -> tuple[Any, list[dict[str, Any]]]:
    """A run of lanes side by side in ten chunks; its last state and its rows."""
    rows: list[dict[str, Any]] = []
    keys, state = shard_seeds((keys, state), mesh())
    chain: list[Callable] = [lambda row, state: rows.append(row), *sinks]
    return run(solver, keys, state, steps=steps, every=max(1, steps // 10), sinks=chain), rows


def judged(state: Any, rows: list[dict[str, Any]], steps: int, record: Record) -> tuple[np.ndarray, float]:
    """What lanes are worth [K·n], NaN where they failed, and the transitions that all of them took."""
    told = record(state, None)
    value = np.asarray(told["value"] if "value" in told else late(rows, steps), np.float64)
    return np.where(told["failed"] > 0, np.nan, value), float(np.sum(rows[-1]["samples"]))


def late(rows: list[dict[str, Any]], steps: int) -> np.ndarray:
    """The mean of `upper` over the last tenth of the updates, or over the few more that whole chunks make. [K·n]"""
    sums, length = 0.0, 0
    for before, row in reversed(list(zip(rows, rows[1:], strict=False))):
        if length * 10 >= steps:
            break
        took = row["step"] - before["step"]
        sums, length = sums + took * np.asarray(row["upper"], np.float64), length + took
    return np.asarray(sums) / length
