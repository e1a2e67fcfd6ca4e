"""The run: one compiled loop of updates inside, rows and checks on the host outside."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jaxtyping import Array
from jaxtyping import Key as TypedKey

from upperhand.errors import BadInput, Diverged
from upperhand.hoist import hoist
from upperhand.solver import Asked, AskTell, Cost, Info, Solver
from upperhand.types import Key, Tree

Keys = TypedKey[Array, "..."]  # one typed key, or [N] of them
WRITABLE = 1000
"""Numbers of x up to which a row holds x."""

Row = dict[str, Any]
Record = Callable[[Any, Any], Mapping[str, Any]]  # (state, told or None) → figures; host code
Sink = Callable[[Row, Any], None]  # (row, state); host code


class Spent(NamedTuple):
    """Totals since step 0."""

    samples: Any = 0.0  # [] or [N]
    gradients: Any = 0.0
    products: Any = 0.0
    seconds: float = 0.0  # wall clock of all seeds together, compilation and recording included


class Told(NamedTuple):
    """What a chunk of updates told: what `record` gets. Each field has the axis of seeds, if there is one."""

    upper: Any  # mean over the chunk
    lower: Any  # mean over the chunk
    hypergradient: Tree  # of the last update
    cost: Cost  # sums over the chunk
    scheduled: Mapping[str, Any]  # of the last update
    x: Tree  # where the last hypergradient was taken
    measured: Mapping[str, Any] = {}  # means over the chunk


def seed_key(seed: int) -> Key:
    """The key that fixes the start and every random draw of a seed."""
    return jax.random.key(seed)


def run(
    solver: Solver | AskTell,
    key: Keys,
    state: Any,
    *,
    steps: int,
    every: int,
    record: Record | None = None,
    sinks: Sequence[Sink] = (),
    spent: Spent | Cost | None = None,
) -> Any:
    """Updates until `state.count` is `steps`, a row after every chunk.

    The key of an update is fold_in(key, count): a run continued from its state is the same run, bit for bit, if the
    chunks end at the same counts, which are the multiples of `every`.

    Args:
      solver: a method; `vmapped` for an axis of seeds. One that asks a person is asked and told in two programs.
      key: one typed key, or [N] keys, one a seed.
      state: of `solver.init`, or of an earlier run. It is not modified.
      steps: updates in all, those before included.
      every: updates a chunk.
      record: (state, told or None) → figures for the row, each [] or [N]; host code. See `recorder`.
      sinks: each called as sink(row, state); the first row is that of step 0.
      spent: totals before, where a run is continued.
    Returns: the last state.
    Raises: Diverged where a figure of a row is not finite; no sink sees that row. ValueError for a bad argument.
    Cost: one compilation; steps updates.
    """
    check(key, state, steps, every)
    state, count = jax.tree.map(strong, state), int(np.ravel(state.count)[0])
    spent = Spent() if spent is None else Spent(*spent)
    began = time.perf_counter() - spent.seconds
    if count == 0:
        row = figures(0, state, None, spent._replace(seconds=time.perf_counter() - began))
        emit(row, state, None, record, sinks)
    programs = conversation if isinstance(solver, AskTell) else chunk
    program = programs(solver, key, state) if count < steps else None
    while count < steps:
        stop = min((count // every + 1) * every, steps)
        after, told, is_finite = program(key, state, jnp.int32(count), jnp.int32(stop))
        pairs = zip(spent, told.cost, strict=False)
        totals = [np.asarray(total) + np.asarray(cost, np.float64) for total, cost in pairs]  # waits for the chunk
        spent = Spent(*totals, seconds=time.perf_counter() - began)
        row = figures(stop, after, told, spent)
        confirm(row, np.ndim(after.count), is_finite)
        emit(row, after, told, record, sinks)
        state, count = after, stop
    return state


def check(key: Keys, state: Any, steps: int, every: int) -> None:
    """ValueError where arguments of `run` do not fit."""
    for name, value in (("steps", steps), ("every", every)):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise BadInput(f"{name} must be a whole number above 0: got {value!r}.")
    if not jnp.issubdtype(getattr(key, "dtype", None), jax.dtypes.prng_key):
        raise BadInput("key must be a typed key, or an array of them: make one with jax.random.key(0).")
    if key.shape != state.count.shape or key.ndim > 1:
        raise BadInput(
            f"key and state must have the same axis of seeds: keys are {key.shape}, state.count is "
            f"{state.count.shape}. Use vmapped(solver) with an array of keys."
        )


def strong(leaf: Any) -> jax.Array:
    """The leaf with a type of its own, so that later chunks, whose types are, find the same program."""
    leaf = jnp.asarray(leaf)
    return jax.lax.convert_element_type(leaf, leaf.dtype) if getattr(leaf, "weak_type", False) else leaf


def chunk(solver: Solver, key: Keys, state: Any) -> Callable:
    """The compiled program of any chunk: (key, state, start, stop) → (state, Told, finite flags by name).

    The method's code is traced once; what it closes over becomes an argument of the program.
    """
    fold = jax.vmap(jax.random.fold_in, (0, None)) if key.ndim else jax.random.fold_in
    update = hoist(solver.update, key, state)
    _, shapes = jax.eval_shape(update, key, state)
    shapes = first_told(shapes, state.x)
    places = [leaf.sharding if isinstance(leaf.sharding, NamedSharding) else None for leaf in jax.tree.leaves(state)]

    def program(key, state, start, stop):
        def body(count, carry):
            state, told = carry
            after, info = update(fold(key, count), state)
            return like(after, state), like(added(told, first_told(info, state.x)), told)

        empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        state, told = jax.lax.fori_loop(start, stop, body, (state, empty))
        return placed(state, places), *concluded(told, state, stop - start, key.ndim)

    return hoist(program, key, state, jnp.int32(0), jnp.int32(1))


def conversation(solver: AskTell, key: Keys, state: Any) -> Callable:
    """As `chunk`, of a method that asks a person: two compiled programs an update, the person between them."""
    fold = jax.vmap(jax.random.fold_in, (0, None)) if key.ndim else jax.random.fold_in
    fold, ask, sums, tell = jax.jit(fold), hoist(solver.ask, key, state), jax.jit(added), None

    def program(key, state, start, stop):
        nonlocal tell
        told = None
        for count in range(int(start), int(stop)):
            at, x = fold(key, jnp.int32(count)), state.x
            asked = ask(at, state)
            answers = answered(solver.answer, asked, key.ndim)
            tell = tell or hoist(solver.tell, at, state, asked, answers)
            state, info = tell(at, state, asked, answers)
            state = jax.tree.map(strong, state)
            told = first_told(info, x) if told is None else sums(told, first_told(info, x))
        return state, *concluded(told, state, int(stop - start), key.ndim)

    return program


def answered(answer: Callable[[np.ndarray, int], Any], asked: Asked, axes: int) -> jax.Array:
    """What a person says of the texts of each start, one start after another; silence where no answer is wanted."""
    tokens, seeds, wanted, silence = (np.asarray(leaf) for leaf in asked)
    if not axes:
        return jnp.asarray(answer(tokens, int(seeds)) if wanted else silence, silence.dtype)
    found = [
        np.asarray(answer(texts, int(seed)) if is_wanted else instead)
        for texts, seed, is_wanted, instead in zip(tokens, seeds, wanted, silence, strict=True)
    ]
    return jnp.asarray(np.stack(found), silence.dtype)


def first_told(info: Info, x: Tree) -> Told:
    """What one update told."""
    x = x if info.at is None else info.at
    return Told(info.upper, info.lower, info.hypergradient, info.cost, dict(info.scheduled), x, dict(info.measured))


def added(told: Told, now: Told) -> Told:
    """Sums of what is told in sums or means, the last of the rest."""
    return now._replace(
        upper=told.upper + now.upper,
        lower=told.lower + now.lower,
        cost=jax.tree.map(jnp.add, told.cost, now.cost),
        measured=jax.tree.map(jnp.add, told.measured, now.measured),
    )


def concluded(told: Told, state: Any, updates: Any, axes: int) -> tuple[Told, dict[str, Any]]:
    """Sums over a chunk as means where means are told, and whether x and the hypergradient are finite, by name."""
    mean = {name: figure / updates for name, figure in told.measured.items()}
    told = told._replace(upper=told.upper / updates, lower=told.lower / updates, measured=mean)
    return told, {"x": finite(state.x, axes), "hypergradient": finite(told.hypergradient, axes)}


def like(tree: Tree, example: Tree) -> Tree:
    """The tree with the types of an example."""
    return jax.tree.map(
        lambda leaf, other: leaf if leaf.dtype == other.dtype else leaf.astype(other.dtype), tree, example
    )


def placed(tree: Tree, places: Sequence[NamedSharding | None]) -> Tree:
    """The tree with its leaves where they were, so that the next chunk finds the same program."""
    leaves, structure = jax.tree.flatten(tree)
    pairs = zip(leaves, places, strict=True)
    kept = [leaf if place is None else jax.lax.with_sharding_constraint(leaf, place) for leaf, place in pairs]
    return jax.tree.unflatten(structure, kept)


def finite(tree: Tree, axes: int) -> jax.Array:
    """Whether every number is finite, [] or [N]."""
    flags = [jnp.all(jnp.isfinite(leaf), axis=tuple(range(axes, leaf.ndim))) for leaf in jax.tree.leaves(tree)]
    return jnp.all(jnp.stack(flags), axis=0)


def flat(tree: Tree, axes: int) -> np.ndarray:
    """All numbers of a tree, [P] or [N, P]."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]
    return np.concatenate([leaf.reshape(*leaf.shape[:axes], -1) for leaf in leaves], axis=-1)


def figures(step: int, state: Any, told: Told | None, spent: Spent) -> Row:
    """A row without what `record` adds: numbers, or arrays with the axis of seeds first."""
    axes = np.ndim(state.count)
    shape = np.shape(state.count)
    totals = {name: np.broadcast_to(getattr(spent, name), shape)[()] for name in Spent._fields[:3]}
    row = {"step": step, **totals, "seconds": float(spent.seconds)}
    if told is not None:
        with np.errstate(over="ignore", invalid="ignore"):
            norm = np.linalg.norm(flat(told.hypergradient, axes).astype(np.float64), axis=-1)
        row |= plain({"upper": told.upper, "lower": told.lower, "hypergradient_norm": norm, **told.scheduled})
        row |= plain(told.measured)
    numbers = sum(math.prod(leaf.shape[axes:]) for leaf in jax.tree.leaves(state.x))
    return row | ({"x": flat(state.x, axes)} if numbers <= WRITABLE else {})


def plain(mapping: Mapping[str, Any]) -> Row:
    """The same figures as numpy scalars and arrays."""
    return {name: np.asarray(value)[()] for name, value in mapping.items()}


def emit(row: Row, state: Any, told: Told | None, record: Record | None, sinks: Sequence[Sink]) -> None:
    """The row, with what `record` adds, to every sink, if it is finite."""
    row = row | plain(record(state, told) if record else {})
    confirm(row, np.ndim(state.count), {})
    for sink in sinks:
        sink(row, state)


def confirm(row: Row, axes: int, is_finite: Mapping[str, Any]) -> None:
    """Diverged where a figure of a row, or one that was judged before, is not finite."""
    bad = {name: ~np.asarray(flags) for name, flags in is_finite.items()}
    for name, value in row.items():
        if np.issubdtype(np.asarray(value).dtype, np.floating):
            kept = axes if np.ndim(value) else 0
            wrong = (~np.isfinite(value)).any(axis=tuple(range(kept, np.ndim(value))))
            bad[name] = bad.get(name, False) | wrong
    found = {name: np.flatnonzero(flags).tolist() if axes else () for name, flags in bad.items() if np.any(flags)}
    if "hypergradient" in found:
        found.pop("hypergradient_norm", None)  # says the same
    if found:
        raise Diverged(row["step"], row, figures=found)
