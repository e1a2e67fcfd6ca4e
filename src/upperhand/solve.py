"""From a problem and a method to the found x of several seeds: the path that Python and the command line share."""

import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand import checkpoints, console, store
from upperhand.devices import mesh, shard_seeds
from upperhand.errors import BadInput, Diverged
from upperhand.forms import Problem
from upperhand.record import recorder
from upperhand.run import WRITABLE, Record, Sink, Spent, run, seed_key
from upperhand.solver import AskTell, Solver
from upperhand.types import Tree
from upperhand.wrappers import vmapped

BETWEEN_CHECKPOINTS = 5.0
"""Seconds of work that a kill may cost, besides the chunk under way."""


class Result(NamedTuple):
    """What a run of N seeds found."""

    x: Tree  # [N, dx], or a tree of such
    value: np.ndarray | None  # [N] Φ at the oracle's temperature, where there is an oracle
    gap: np.ndarray | None  # [N] value − best, where the best is known
    rows: list[dict[str, Any]]  # one a record and seed, as in rows.jsonl
    out: Path | None  # the run folder


class Plan(NamedTuple):
    """What is to be run."""

    problem: Problem
    solver: Solver | AskTell
    steps: int
    every: int
    seeds: tuple[int, ...]
    starts: Tree | None = None  # x of each seed, instead of the problem's
    record: Record | None = None  # instead of one made for this run: what several share is compiled once
    name: str = "running"  # what a person reads beside the progress


def solve(
    problem: Problem,
    solver: Solver | AskTell,
    *,
    steps: int,
    seeds: int | Sequence[int] = 8,
    every: int | None = None,
    out: str | Path | None = None,
    starts: Tree | None = None,
) -> Result:
    """Run a method on a problem from several starts, side by side.

    A seed fixes the start x, the policy's first parameters and every random draw, whatever other seeds run beside it.

    Args:
      problem: with its oracle, if it has one.
      solver: a method on that problem.
      steps: updates.
      seeds: how many, which are then 0, 1, …, or which.
      every: updates between two rows; a hundredth of the steps where not given, a twentieth where a person is asked.
      out: a new run folder, written as the run goes on; nothing is written where not given.
      starts: x of each seed, [N, dx], instead of those that the seeds draw.
    Returns: Result.
    Raises: ValueError for a bad argument; Diverged where a figure is not finite.
    Cost: one compilation, and steps updates of each seed.
    """
    plan = planned(problem, solver, steps=steps, every=every, seeds=seeds, starts=starts)
    folder = None
    if out is not None:
        names = {"problem": named(problem.init, "problem"), "solver": named(solver[-1], "solver")}
        config = names | {"problem_settings": {}, "solver_settings": {}} | described(plan) | {"command": "solve"}
        folder = store.create(out, config)
    return carry_out(plan, folder)


def resume(problem: Problem, solver: Solver | AskTell, out: str | Path, *, sinks: Sequence[Sink] = ()) -> Result:
    """Continue a run that was stopped, from its newest whole checkpoint; it ends as if it had not been stopped.

    Args:
      problem, solver: those of the run.
      out: its folder.
      sinks: called with each new row, besides those that write the folder.
    Returns: Result of the whole run.
    Raises: ValueError where the folder is not of this run, or damaged; Diverged as `solve`.
    """
    config = store.read_config(out)
    starts = config.get("starts")
    if starts is not None:
        starts = np.asarray(starts)
    plan = planned(problem, solver, steps=config["steps"], every=config["every"], seeds=config["seeds"], starts=starts)
    if (now := precision()) != config["precision"]:
        raise BadInput(f"{out} was run in {config['precision']}, and jax_enable_x64 says {now} now: change it.")
    return carry_out(plan, Path(out), sinks, continued=True)


def planned(
    problem: Problem,
    solver: Solver | AskTell,
    *,
    steps: int,
    every: int | None = None,
    seeds: int | Sequence[int] = 8,
    starts: Tree | None = None,
) -> Plan:
    """A Plan. Raises: BadInput where a number is not allowed."""
    whole_number("steps", steps)
    every = max(1, steps // (20 if isinstance(solver, AskTell) else 100)) if every is None else every
    whole_number("every", every)
    return Plan(problem, solver, steps, every, seed_numbers(seeds), starts)


def seed_numbers(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """The seeds, of how many or which. Raises: BadInput where they are none, negative, or the same."""
    if isinstance(seeds, int):
        whole_number("seeds", seeds)
        seeds = tuple(range(seeds))
    if not seeds or any(type(seed) is not int or not 0 <= seed < 2**32 for seed in seeds):
        raise BadInput(f"seeds must be a count above 0, or whole numbers in [0, 2^32): got {seeds!r}.")
    if len(set(seeds)) < len(seeds):
        raise BadInput(f"seeds must differ: got {list(seeds)!r}.")
    return tuple(seeds)


def whole_number(name: str, value: Any) -> None:
    """BadInput where a value is not a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{name} must be a whole number above 0: got {value!r}.")


def described(plan: Plan) -> dict[str, Any]:
    """The part of config.json that a plan tells. Raises: BadInput for starts that JSON would not hold."""
    told = {"form": type(plan.problem).__name__, "steps": plan.steps, "every": plan.every, "seeds": list(plan.seeds)}
    told["precision"] = precision()
    if plan.starts is not None:
        if not hasattr(plan.starts, "shape") or np.size(plan.starts) > WRITABLE * len(plan.seeds):
            raise BadInput(f"starts must be one array of at most {WRITABLE} numbers a seed, where a folder is written.")
        told["starts"] = np.asarray(plan.starts).tolist()
    return told


def precision() -> str:
    """What floats are at present."""
    return "float64" if jax.config.jax_enable_x64 else "float32"


def named(function: Callable, otherwise: str) -> str:
    """The name of the builder that a function was made in."""
    parts = getattr(function, "__qualname__", "").split(".")
    return parts[0] if len(parts) > 1 else otherwise


def drawn(problem: Problem, seeds: Sequence[int]) -> tuple[jax.Array, Tree, Tree]:
    """What seeds fix: keys [N] of the updates, starts x [N, ...] and theta [N, ...]."""
    pairs = jax.vmap(jax.random.split)(jnp.stack([seed_key(seed) for seed in seeds]))
    return pairs[:, 1], *jax.vmap(problem.init)(pairs[:, 0])


def begin(plan: Plan) -> tuple[jax.Array, Any, Solver | AskTell]:
    """Keys [N], the state at step 0, and the method over seeds."""
    keys, x, theta = drawn(plan.problem, plan.seeds)
    x = x if plan.starts is None else started(plan.starts, x)
    solver = vmapped(plan.solver)
    keys, state = shard_seeds((keys, solver.init(x, theta)), mesh())
    return keys, state, solver


def started(starts: Tree, x: Tree) -> Tree:
    """The given starts, like x. Raises: BadInput where structure or shapes differ, or a number is not finite."""
    if jax.tree.structure(starts) != jax.tree.structure(x):
        raise BadInput(
            f"starts must be like x of each seed, {jax.tree.structure(x)}: got {jax.tree.structure(starts)}."
        )
    for start, leaf in zip(jax.tree.leaves(starts), jax.tree.leaves(x), strict=True):
        if np.shape(start) != leaf.shape:
            raise BadInput(f"starts must have one x for each seed, {leaf.shape}: got {np.shape(start)}.")
        if not np.isfinite(np.asarray(start, np.float64)).all():
            raise BadInput("starts must be finite: a number is NaN or infinite.")
    return jax.tree.map(lambda start, leaf: jnp.asarray(start, leaf.dtype), starts, x)


def carry_out(plan: Plan, out: Path | None = None, sinks: Sequence[Sink] = (), *, continued: bool = False) -> Result:
    """A plan, run to its end, with its folder.

    Args:
      plan: what to run.
      out: the run folder, created before, or None.
      sinks: called with each row after it is written.
      continued: from the folder's newest whole checkpoint.
    Returns: Result. Raises: as `solve`; KeyboardInterrupt goes through once the last row's state is saved.
    """
    keep_in = getattr(getattr(getattr(plan.problem, "upper", None), "prefer", None), "keep_in", None)
    if keep_in is not None:  # people are asked
        keep_in(out)
    keys, state, solver = begin(plan)
    spent, rows = Spent(), []
    if continued:
        state, spent, rows = recovered(plan, out, state)
        (state,) = shard_seeds((state,), mesh())
    latest = [state]

    def remember(row, state):
        rows.extend(store.lines(row, plan.seeds))
        latest[0] = state

    with ExitStack() as stack:
        keeper, chain = None, [remember]
        if out is not None:
            write, close = store.rows_sink(out, plan.seeds)
            stack.callback(close)
            count = int(np.ravel(state.count)[0])
            keeper = stack.enter_context(closing(checkpoints.Keeper(out, BETWEEN_CHECKPOINTS, count if rows else None)))
            chain = [write, remember, keeper]
        chain += [stack.enter_context(console.bar(plan.steps, plan.name)), *sinks]
        options = {"steps": plan.steps, "every": plan.every, "record": plan.record or recorder(plan.problem)}
        try:
            run(solver, keys, state, **options, sinks=chain, spent=spent)
        except Diverged as error:
            where = saved(plan, out, keeper, latest[0], rows)
            raise Diverged(error.step, error.row, where, figures=error.figures, seeds=plan.seeds) from None
        except (KeyboardInterrupt, BadInput):  # asked to stop, or a person's program failed
            saved(plan, out, keeper, latest[0], rows)
            raise
        saved(plan, out, keeper, latest[0], rows)
        if out is not None and plan.problem.texts is not None:
            found = jax.tree.map(np.asarray, (latest[0].x, latest[0].y))
            store.write_texts(out, plan.problem.texts(*found))
    last = rows[-len(plan.seeds) :]
    value, gap = (np.array([row[name] for row in last]) if name in last[0] else None for name in ("value", "gap"))
    return Result(jax.tree.map(np.asarray, latest[0].x), value, gap, rows, out)


def saved(plan: Plan, out: Path | None, keeper: Any, state: Any, rows: list[dict[str, Any]]) -> Path | None:
    """The last good state, the summary and the maps on disk; where the checkpoint is."""
    if out is None:
        return None
    keeper.flush()
    if rows:
        store.write_summary(out, store.read_config(out), rows[-len(plan.seeds) :])
    if rows and plan.problem.maps is not None:
        store.write_maps(out, plan.problem.maps(jax.tree.map(np.asarray, state.x)))
    return keeper.where


def recovered(plan: Plan, out: Path, state: Any) -> tuple[Any, Spent, list[dict[str, Any]]]:
    """State, totals and rows of the newest whole checkpoint, or of step 0 where none was written.

    What comes after it in the folder is removed, once everything before it has proved whole.
    Raises: BadInput where there is none to continue from; the folder is then as it was.
    """
    steps, faults = checkpoints.saved_steps(out), []
    for step in steps:
        try:
            state, spent = checkpoints.load(out, step, state)
            rows = store.rows_until(out, step, plan.seeds, plan.every)
            step, rows = (step, rows) if step else (-1, [])  # step 0 is told again
            break
        except BadInput as error:
            faults.append(str(error))
    else:
        if steps:
            raise BadInput(f"{faults[0]} There is no other to continue from: run again into a new folder.")
        store.barely_begun(out, plan.seeds)
        step, spent, rows = -1, Spent(), []
    for fault in faults:
        warnings.warn(f"{fault} Continuing from step {max(step, 0)} instead.", stacklevel=2)
    checkpoints.clear(out, step)
    store.write_whole(out / store.ROWS, store.text(rows))
    return state, spent, rows
