"""Many runs of one method side by side that differ in numbers: settings and seeds as an axis, one compilation."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL
from upperhand.hoist import hoist
from upperhand.run import seed_key
from upperhand.solver import Solver
from upperhand.wrappers import guarded

RECORDS = 20
"""Chunks of a run; the ends of those from nine tenths on make its score."""


class Lanes(NamedTuple):
    """What runs side by side."""

    build: Callable[..., Solver]  # of the numbers of a lane, traced
    problem: Callable[..., BilevelRL]  # of a lane's second number
    rows: np.ndarray  # [N, numbers]; the first is τ, the second the problem's
    x: np.ndarray  # [N, dx] starts


class Found(NamedTuple):
    """What came out."""

    scores: np.ndarray  # [N] −Φ_τ, the designer's value, mean over the last tenth
    spent: np.ndarray  # [N] transitions
    updates: int  # the most of a lane
    seconds: float


def run(lanes: Lanes, steps: int, budget: float | None, seeds: Sequence[int]) -> Found:
    """All lanes to their end: so many updates, or as many as a budget of transitions buys.

    Args:
      lanes: what runs.
      steps: updates; twice as many at the most where there is a budget.
      budget: transitions of each lane, after which it stands still; None for no such limit.
      seeds: of each lane.
    Returns: Found. Cost: one compilation, and RECORDS exact values of each lane.
    """
    began = time.perf_counter()
    columns = [jnp.asarray(column, jnp.result_type(float)) for column in lanes.rows.T]
    keys, x = jnp.stack([seed_key(seed) for seed in seeds]), jnp.asarray(lanes.x, jnp.result_type(float))
    size = (lanes.problem(1.0).mdp.states, lanes.problem(1.0).mdp.actions)
    limit = jnp.inf if budget is None else budget

    def begin(x, *row):
        return guarded(lanes.build(*row)).init(x, jnp.zeros(size, x.dtype)), jnp.zeros(())

    def advance(key, carry, start, stop, *row):
        solver = guarded(lanes.build(*row))

        def body(count, carry):
            state, spent = carry
            after, info = solver.update(jax.random.fold_in(key, count), state)
            after = jax.tree.map(lambda new, old: jnp.where(spent < limit, new, old), after, state)
            return after, spent + jnp.where(spent < limit, info.cost.samples, 0.0)

        return jax.lax.fori_loop(start, stop, body, carry)

    carry = jax.jit(jax.vmap(begin))(x, *columns)
    axes = (0, 0, None, None, *(0 for _ in columns))
    every = max(1, steps // RECORDS)
    program = hoist(jax.vmap(advance, axes), keys, carry, jnp.int32(0), jnp.int32(1), *columns)
    judge = judged(lanes, carry[0].x, columns)
    values, spent = [], []
    most = steps if budget is None else 2 * steps
    for start in range(0, most, every):
        carry = jax.block_until_ready(
            program(keys, carry, jnp.int32(start), jnp.int32(min(start + every, most)), *columns)
        )
        values.append(judge(carry[0].x))
        spent.append(np.asarray(carry[1], np.float64))
        if budget is not None and (spent[-1] >= budget).all():
            break
    done = np.array(spent) if budget is not None else np.arange(1, len(values) + 1.0)[:, None] / len(values)
    last = done >= 0.9 * (budget if budget is not None else 1.0)
    last &= np.diff(done, axis=0, prepend=-1.0) > 0  # a lane that stands still is not judged again
    last[-1] |= ~last.any(0)
    scores = (np.array(values) * last).sum(0) / last.sum(0)
    return Found(scores, np.array(spent)[-1], int(start + every), time.perf_counter() - began)


def judged(lanes: Lanes, x: jax.Array, columns: Sequence[jax.Array]) -> Callable:
    """The exact value of the designer at each lane's x, [N]; float64, one after another."""
    with jax.enable_x64(True):
        double = lambda array: jnp.asarray(np.asarray(array), jnp.float64)  # noqa: E731
        tau, number = (double(column) for column in columns[:2])
        one = lambda lane: -lanes.problem(lane[2]).exact.value(lane[0], lane[1])  # noqa: E731
        program = hoist(lambda x: jax.lax.map(one, (x, tau, number)), double(x))

    def judge(x):
        with jax.enable_x64(True):
            return np.asarray(program(double(x)))

    return judge
