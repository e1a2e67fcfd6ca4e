"""Reshuffling where every upper example has a lower problem of its own: three orders of both kinds of examples.

Finite quadratics with closed forms. Each lower problem begins at 0 and is given 4 passes over its own lower examples.
The floor is the mean of the exact ‖∇Φ‖² over the last 8 of 30 pass ends. More passes show how much of the floor is
the lower problems' own error, which no order of upper examples mends.

OUT/parts: ORDER.json: {"squares": ‖∇Φ‖² [passes, sizes, seeds]}.

Takes: about half a minute on two cores.
Reference: derived, for WiOR-CBO of Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via
Without-Replacement Sampling" (arXiv 2411.05868, NeurIPS 2024); no number of the paper is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.orders import ORDERS, paths
from upperhand.experiments.study import Figure, Line, Study, Table, kept, tell
from upperhand.problems.conditional_quadratics import conditional_quadratics
from upperhand.solvers.wior_cbo import wior_cbo
from upperhand.types import Scaled

LAST = 8
"""Pass ends whose mean a floor is."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    examples: int = 40  # upper ones.
    conditions: int = 20  # lower examples of each.
    numbers: int = 6  # of x and of y.
    seeds: int = 6  # of the orders; the examples are the same.
    passes: int = 30  # over the upper examples.
    inner: int = 4  # passes over the lower examples of each upper one.
    sizes: tuple[float, ...] = (0.02, 0.01, 0.005)  # step sizes of x.

    def __post_init__(self):
        least = {"examples": 2, "conditions": 1, "numbers": 1, "seeds": 1, "passes": LAST, "inner": 1}
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise BadInput(f"--{name} must be at least {wanted}: got {getattr(self, name)}.")
        if not self.sizes or not all(0 < size <= 1 for size in self.sizes):
            raise BadInput(f"--sizes must be numbers above 0, at most 1: got {self.sizes}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every order; what is done is not done again. Returns: path of the page."""
    parts = {}
    for name in ORDERS:
        line = f"{name}: {len(config.sizes)} step sizes, {config.seeds} seeds, {config.passes} passes"
        parts[name] = kept(out, name, lambda name=name: {"squares": measured(config, name).tolist()}, say, line)
    found = {name: np.asarray(part["squares"], float) for name, part in parts.items()}
    return tell(out, study(config, found, sum(part["seconds"] for part in parts.values())))


def measured(config: Config, name: str) -> np.ndarray:
    """‖∇Φ‖² of an order after every pass, [passes, sizes, seeds]."""
    problem = conditional_quadratics(examples=config.examples, conditions=config.conditions, numbers=config.numbers)
    method = lambda size: wior_cbo(problem, x_step=Scaled(1.0, size), passes=config.inner, ordering=ORDERS[name])  # noqa: E731
    return paths(problem, method, config.sizes, seeds=config.seeds, passes=config.passes, updates=config.examples)


def study(config: Config, found: dict[str, np.ndarray], seconds: float) -> Study:
    """What the page tells."""
    floor = {name: squares[-LAST:].mean((0, 2)) for name, squares in found.items()}
    ratios = floor["independent"] / floor["reshuffled"]
    is_so = bool(np.all(ratios > 1) and np.all(np.diff(ratios) > 0))
    cost = config.examples * (1 + config.inner * config.conditions)
    answer = f"{'Yes' if is_so else 'It did NOT come out at all steps'}: with independent draws the floor is "
    answer += ", ".join(f"{ratio:.3g}" for ratio in ratios) + " times that of reshuffling at x_step "
    answer += ", ".join(f"{size:g}" for size in config.sizes) + "; one fixed order ends between them at "
    answer += ", ".join(f"{ratio:.2g}" for ratio in floor["shuffle_once"] / floor["reshuffled"]) + " times."
    if not np.all((floor["shuffle_once"] > floor["reshuffled"]) & (floor["shuffle_once"] < floor["independent"])):
        answer = answer.replace("ends between them at", "ends at")
    passes = np.arange(1, config.passes + 1)
    return Study(
        "The order of the examples where each has a lower problem of its own",
        "Where every upper example has its own lower problem: does it matter in which order both kinds of "
        "examples come?",
        answer,
        [
            Figure(
                "paths",
                f"‖∇Φ‖² at step {config.sizes[-1]:g}, mean over seeds",
                "pass over the upper examples",
                "‖∇Φ‖²",
                [Line(name, passes, found[name].mean(2)[:, -1]) for name in ORDERS],
                y_log=True,
            ),
        ],
        [
            Table(
                "Floors of ‖∇Φ‖²",
                ["x_step", *ORDERS, "independent / reshuffled"],
                [
                    [size, *(float(floor[name][i]) for name in ORDERS), float(ratios[i])]
                    for i, size in enumerate(config.sizes)
                ],
            )
        ],
        [
            f"{config.examples} upper examples with {config.conditions} lower ones each, {config.numbers} numbers, "
            f"{config.seeds} seeds of the orders; steps of y and z 0.1, {config.inner} passes over the lower examples, "
            f"which makes {cost} examples a pass for every order.",
            "Too few passes over the lower examples leave an error that no order mends; large batches take the gain "
            "away.",
            "Other examples have other floors: only that they fall faster with the step is to be expected elsewhere.",
        ],
        "Li, Huang, Provably Faster Algorithms for Bilevel Optimization via Without-Replacement Sampling, arXiv "
        "2411.05868, NeurIPS 2024",
        seconds,
    )
