"""Does it pay to reshuffle the examples? One single-loop method, three orders, judged by the exact hypergradient.

Finite quadratics of which every figure is known in closed form. One upper and one lower example an update; steps of y
and z twice that of x. The floor of a step size is the mean of ‖∇Φ‖² over the last 20 pass ends of 3/x_step passes;
the speed is the number of passes until a mean over 10 of them is at most `level`, each order at its own best step.

OUT/parts: ORDER.json: {"squares": ‖∇Φ‖² [passes, sizes, seeds]}.

Takes: about 1 minute on two cores.
Reference: derived, for Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via Without-Replacement
Sampling" (arXiv 2411.05868, NeurIPS 2024); no number of the paper is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.orders import ORDERS, paths
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, kept, tell
from upperhand.problems.example_quadratics import example_quadratics
from upperhand.solvers.wior_bo import wior_bo
from upperhand.types import Scaled

LAST, WINDOW = 20, 10
"""Passes whose mean a floor is, and those of a moving mean."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    examples: int = 100  # upper ones, and lower ones.
    numbers: int = 10  # of x and of y.
    seeds: int = 8  # of the orders; the examples are the same.
    sizes: tuple[float, ...] = (0.02, 0.01, 0.005, 0.0025)  # step sizes of x whose floors are told.
    smaller: tuple[float, ...] = (0.00125, 0.0006, 0.0003, 0.00015)  # more of them, for the speed.
    level: float = 1e-3  # of ‖∇Φ‖², which is reached.

    def __post_init__(self):
        for name, least in (("examples", 2), ("numbers", 1), ("seeds", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name} must be at least {least}: got {getattr(self, name)}.")
        for name, fewest in (("sizes", 2), ("smaller", 0)):
            found = getattr(self, name)
            if len(found) < fewest or not all(0 < size <= 0.1 for size in found):
                raise BadInput(f"--{name} must be numbers above 0, at most 0.1, {fewest} or more: got {found}.")
        if not 0 < self.level < float("inf"):
            raise BadInput(f"--level must be a finite number above 0: got {self.level}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every order; what is done is not done again. Returns: path of the page."""
    parts = {}
    many = len(config.sizes + config.smaller)
    for name in ORDERS:
        line = f"{name}: {many} step sizes, {config.seeds} seeds, {length(config)} passes"
        parts[name] = kept(out, name, lambda name=name: {"squares": measured(config, name).tolist()}, say, line)
    found = {name: np.asarray(part["squares"], float) for name, part in parts.items()}
    return tell(out, study(config, found, sum(part["seconds"] for part in parts.values())))


def length(config: Config) -> int:
    """Passes of every run."""
    return round(3 / min(config.sizes))


def measured(config: Config, name: str) -> np.ndarray:
    """‖∇Φ‖² of an order after every pass, [passes, sizes, seeds]."""
    problem = example_quadratics(examples=config.examples, numbers=config.numbers)

    def method(size):
        own, twice = Scaled(1.0, size), Scaled(2.0, size)
        return wior_bo(problem, x_step=own, y_step=twice, z_step=twice, ordering=ORDERS[name])

    sizes = config.sizes + config.smaller
    return paths(problem, method, sizes, seeds=config.seeds, passes=length(config), updates=config.examples)


def floors(config: Config, squares: np.ndarray) -> list[float]:
    """The floor of every step size; of the smaller ones at the end of the run."""
    ends = [min(round(3 / size), len(squares)) for size in config.sizes + config.smaller]
    return [float(squares[max(end - LAST, 0) : end, i].mean()) for i, end in enumerate(ends)]


def reached(config: Config, squares: np.ndarray) -> tuple[int, float] | None:
    """Fewest passes until a moving mean is at most the level, and the step size that does it; None where none "
    "does."""
    means = squares.mean(2)
    smooth = np.cumsum(np.vstack([np.zeros(means.shape[1]), means]), 0)
    smooth = (smooth[WINDOW:] - smooth[:-WINDOW]) / WINDOW
    sizes = config.sizes + config.smaller
    there = [
        (int(np.argmax(column <= config.level)) + WINDOW, size)
        for column, size in zip(smooth.T, sizes, strict=True)
        if (column <= config.level).any()
    ]
    return min(there) if there else None


def study(config: Config, found: dict[str, np.ndarray], seconds: float) -> Study:
    """What the page tells."""
    floor = {name: floors(config, squares) for name, squares in found.items()}
    told = len(config.sizes)
    powers = {name: float(np.polyfit(np.log(config.sizes), np.log(each[:told]), 1)[0]) for name, each in floor.items()}
    speed = {name: reached(config, squares) for name, squares in found.items()}
    middle, fitted = config.sizes[-1], ", ".join(f"{name} {power:.2f}" for name, power in powers.items())
    show = np.unique(np.geomspace(1, length(config), 150).astype(int)) - 1
    at = len(config.sizes) - 1
    rows: list[list[Any]] = [
        [size, *(floor[name][i] for name in ORDERS), floor["independent"][i] / floor["reshuffled"][i]]
        for i, size in enumerate(config.sizes + config.smaller)
    ]
    return Study(
        "The order of the examples, and the floor of a constant step",
        "The same updates on the same examples: does it matter whether they come with replacement, in one fixed "
        "order, or reshuffled every pass?",
        answered(config, floor, powers, speed),
        [
            Figure(
                "floors",
                "Floor of ‖∇Φ‖² at the ends of passes",
                "step size of x",
                "‖∇Φ‖²",
                [Line(name, config.sizes + config.smaller, floor[name]) for name in ORDERS],
                x_log=True,
                y_log=True,
            ),
            Figure(
                "paths",
                f"‖∇Φ‖² at step {middle:g}, mean over seeds",
                "pass",
                "‖∇Φ‖²",
                [Line(name, show + 1, found[name].mean(2)[show, at]) for name in ORDERS],
                [Mark(f"{config.level:g}", config.level)],
                True,
                True,
            ),
        ],
        [
            Table(
                "Floors of ‖∇Φ‖²",
                ["x_step", *ORDERS, "independent / reshuffled"],
                rows,
                f"Powers of the step down to {middle:g}: {fitted}.",
            ),
            Table(
                f"Fewest passes until ‖∇Φ‖² ≤ {config.level:g}",
                ["order", "passes", "at x_step"],
                [[name, *(each or (None, None))] for name, each in speed.items()],
                "A dash: at none of the step sizes.",
            ),
        ],
        [
            f"{config.examples} upper and {config.examples} lower examples, {config.numbers} numbers, {config.seeds} "
            "seeds of the orders; an update takes one of each, and uses the lower one for gradient, Hessian- and "
            "cross-product.",
            f"A floor is taken after 3/x_step passes, of steps below {middle:g} after {length(config)}. Judged at ends "
            "of passes; within a pass the reshuffled path wanders too.",
            "Measured with single examples on quadratics: nothing here promises as much of larger batches, or of tasks "
            "such as data cleaning. Other examples have other floors: only the powers of the step are to be expected "
            "elsewhere.",
        ],
        "Li, Huang, Provably Faster Algorithms for Bilevel Optimization via Without-Replacement Sampling, arXiv "
        "2411.05868, NeurIPS 2024",
        seconds,
    )


def answered(config: Config, floor: Any, powers: Any, speed: Any) -> str:
    """The answer as it came out."""
    sizes, told = config.sizes + config.smaller, len(config.sizes)
    ratios = (np.array(floor["independent"]) / floor["reshuffled"])[:told]
    is_so = bool(np.all(np.diff(ratios) > 0) and min(ratios) > 1)
    said, steps = (", ".join(f"{each:.3g}" for each in row) for row in (ratios, config.sizes))
    text = (
        f"{'Yes' if is_so else 'It did NOT come out at all steps'}: with independent draws the floor is {said} times "
    )
    text += f"that of reshuffling, at x_step {steps}. Floors grow as the power {powers['independent']:.1f} of the step "
    text += (
        f"(independent), {powers['shuffle_once']:.1f} (one fixed order) and {powers['reshuffled']:.1f} (reshuffled). "
    )
    last = floor["reshuffled"][told - 1] / floor["shuffle_once"][told - 1]
    text += f"At the smallest of these steps reshuffling ends at {last:.2f} of the fixed order's floor"
    below = [size for size, a, b in zip(sizes, floor["reshuffled"], floor["shuffle_once"], strict=True) if a < b]
    text += f"; it is below it at {', '.join(f'{size:g}' for size in below)}. " if below else "; it is never below it. "
    passes = {name: "never" if each is None else f"{each[0]} passes" for name, each in speed.items()}
    reach = ", ".join(f"{name} {many}" for name, many in passes.items())
    text += f"To ‖∇Φ‖² ≤ {config.level:g}, each at its own best step: {reach}"
    slow, fast = speed["independent"], speed["reshuffled"]
    return text + (f", {slow[0] / fast[0]:.1f} times as many without reshuffling." if slow and fast else ".")
