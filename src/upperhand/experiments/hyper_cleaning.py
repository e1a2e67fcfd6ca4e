"""Cleaning training data: three methods against training on the polluted data, on the clean validation data alone, and
on what is really clean.

Half of the training labels are wrong. Each method weighs the training examples by a few clean ones; told are the
accuracy on test data that nobody saw, and the F1 of {x ≥ 0} as a guess of the clean examples. Twice: digits, and
Gaussians.

OUT/parts: SOURCE-NAME.json for each method or baseline: {"settings": [S] of the grid, "loss", "accuracy", "f1":
[S][seeds] at the end, "curve": accuracy [S][records][seeds], "at": updates of the records, "seconds"}.

Takes: about five minutes on two cores.
Reference: the task of the experiments of "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185), on
smaller data; baselines, tuning and measures are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax

from upperhand.errors import BadInput
from upperhand.experiments.cleaning_words import told
from upperhand.experiments.study import kept, tell
from upperhand.forms import Bilevel
from upperhand.problems.gaussian_cleaning import gaussians
from upperhand.problems.hyper_cleaning import Data, cleaning, digits, losses, parted, scores
from upperhand.solver import Solver
from upperhand.solvers.ma_soba import ma_soba
from upperhand.solvers.v_pbgd import v_pbgd
from upperhand.solvers.wior_bo import wior_bo

METHODS = ("v_pbgd", "ma_soba", "wior_bo")
BASELINES = ("polluted", "validation", "clean")
RIDGES = (1e-3, 1e-2, 1e-1)
"""The grid of every method and of every baseline."""
FOLDS, BATCH, RECORDS, FITTED = 4, 50, 40, 3000
STEPS = {"x_step": 200.0, "y_step": 0.5}
"""Of every method. The step of x matters little: see the notes."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 5  # each with a split and a pollution of its own.
    steps: int = 4000  # updates of a method; wior_bo, which sees small batches, makes four times as many.
    train: int = 1000  # training examples.
    validation: int = 200  # clean examples that judge.
    pollution: float = 0.5  # share of wrong training labels.
    sources: tuple[Literal["digits", "gaussians"], ...] = ("digits", "gaussians")  # the data.

    def __post_init__(self):
        least = {"seeds": 2, "steps": RECORDS, "train": BATCH, "validation": BATCH}
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise BadInput(f"--{name} must be at least {wanted}: got {getattr(self, name)}.")
        if not 0 < self.pollution < 1:
            raise BadInput(f"--pollution must be between 0 and 1: got {self.pollution}.")
        if not self.sources or len(set(self.sources)) < len(self.sources):
            raise BadInput(f"--sources must be different ones, one at least: got {self.sources}.")
        if "digits" in self.sources and self.train + self.validation > 1700:
            raise BadInput(
                f"--train and --validation together must be at most 1700: got {self.train} and {self.validation}."
            )


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every method and baseline on all data; what is done is not done again. Returns: path of the page."""
    return tell(out, told(config, {source: measured(source, config, out, say) for source in config.sources}))


def measured(source: str, config: Config, out: Path, say: Callable[[str], None]) -> dict[str, dict[str, Any]]:
    """The parts of one data source, by method and baseline."""
    data, classes = cache(partial(made, source, config)), 10 if source == "digits" else 5

    def part(name):
        find = learned if name in METHODS else fitted
        return kept(out, f"{source}-{name}", lambda: find(name, data(), classes, config), say, f"{source}: {name}")

    return {name: part(name) for name in (*METHODS, *BASELINES)}


def made(source: str, config: Config) -> Data:
    """Data whose arrays have the seed as first axis. Raises: BadInput where scikit-learn is missing."""
    try:
        whole = digits() if source == "digits" else ()
    except ValueError as error:
        raise BadInput(str(error)) from None
    sizes = config.train, config.validation
    each = [
        parted(*whole, sizes, config.pollution, seed) if whole else gaussians(*sizes, config.pollution, 3.3, seed)
        for seed in range(config.seeds)
    ]
    return Data(*(jnp.asarray(np.stack(arrays)) for arrays in zip(*each, strict=True)))


def built(name: str, problem: Bilevel, steps: int) -> Solver:
    """A method with its steps."""
    if name == "v_pbgd":  # 1/w from 0 to 1 over the first half
        ramp = lambda count: 1 / jnp.minimum(2.0 * count / steps, 1.0)  # noqa: E731
        return v_pbgd(problem, **STEPS, omega_step=0.5, penalty=ramp)
    if name == "ma_soba":
        return ma_soba(problem, **STEPS, z_step=0.5, pace=1.0, average=0.3)
    return wior_bo(problem, **STEPS, z_step=0.5, batch=BATCH)


def learned(name: str, data: Data, classes: int, config: Config) -> dict[str, Any]:
    """A method at every ridge of the grid."""
    steps = config.steps * (4 if name == "wior_bo" else 1)
    stops = np.linspace(0, steps, RECORDS + 1).astype(np.int32)

    def one(data, key, ridge):
        problem = cleaning(data, classes, ridge)
        solver = built(name, problem, steps)

        def chunk(state, ends):
            body = lambda count, state: solver.update(jax.random.fold_in(key, count), state)[0]  # noqa: E731
            state = jax.lax.fori_loop(*ends, body, state)
            return state, problem.metrics(state.x, state.y)

        state = solver.init(*problem.init(key))
        state, rows = jax.lax.scan(chunk, state, (stops[:-1], stops[1:]))
        last = problem.metrics(state.x, state.y)
        return problem.upper(state.x, state.y, None), last["accuracy"], last["f1"], rows["accuracy"]

    keys = jax.random.split(jax.random.key(0), config.seeds)
    lanes = jax.vmap(jax.vmap(one, (0, 0, None)), (None, None, 0), out_axes=0)
    loss, accuracy, f1, curve = (np.asarray(leaf) for leaf in jax.jit(lanes)(data, keys, jnp.asarray(RIDGES)))
    curve = curve.swapaxes(1, 2)
    return row(RIDGES, loss, accuracy, f1) | {"curve": curve.tolist(), "at": stops[1:].tolist()}


def row(settings: tuple[float, ...], loss: Any, accuracy: Any, f1: Any) -> dict[str, Any]:
    """What a part holds; a loss that is not finite is null, and never chosen."""
    loss = [[float(one) if np.isfinite(one) else None for one in each] for each in np.asarray(loss)]
    found = {"settings": list(settings), "loss": loss}
    return found | {"accuracy": np.asarray(accuracy).tolist(), "f1": None if f1 is None else np.asarray(f1).tolist()}


def fit(images: jax.Array, labels: jax.Array, weights: jax.Array, ridge: float | jax.Array, classes: int) -> Any:
    """The classifier that minimises the weighted cross-entropy and ridge/2 ‖y‖², after 3000 accelerated steps."""

    def loss(y):
        return jnp.vdot(weights, losses(y, images, labels)) / jnp.sum(weights) + ridge / 2 * optax.tree.norm(
            y, squared=True
        )

    descend = optax.sgd(0.2, momentum=0.9, nesterov=True)
    y = {"weights": jnp.zeros((images.shape[1], classes)), "bias": jnp.zeros(classes)}

    def body(_, carry):
        y, state = carry
        move, state = descend.update(jax.grad(loss)(y), state)
        return optax.apply_updates(y, move), state

    return jax.lax.fori_loop(0, FITTED, body, (y, descend.init(y)))[0]


def fitted(name: str, data: Data, classes: int, config: Config) -> dict[str, Any]:
    """A baseline at every ridge of the grid, with the loss that chooses: validation, or cross-validation inside it."""
    parts = np.arange(config.validation) % FOLDS

    def one(data, ridge):
        if name != "validation":
            weights = data.clean if name == "clean" else jnp.ones_like(data.clean)
            y = fit(data.images, data.labels, weights.astype(float), ridge, classes)
            return jnp.mean(losses(y, data.judging, data.judges)), scores(data, data.clean, y)["accuracy"]

        def left_out(fold):
            kept = (parts != fold).astype(float)
            y = fit(data.judging, data.judges, kept, ridge, classes)
            return jnp.vdot(1 - kept, losses(y, data.judging, data.judges)) / config.validation

        y = fit(data.judging, data.judges, jnp.ones(config.validation), ridge, classes)
        return jnp.sum(jax.vmap(left_out)(jnp.arange(FOLDS))), scores(data, data.clean, y)["accuracy"]

    lanes = jax.vmap(jax.vmap(one, (0, None)), (None, 0))
    loss, accuracy = jax.jit(lanes)(data, jnp.asarray(RIDGES))
    return row(RIDGES, loss, accuracy, None)
