"""Variance reduction at equal cost: asbio_bred against sbio_bred where the truth is known.

Both on noisy_lasso, at three steps, with as many estimates of the hypergradient an update on average; and sbio_bred
with large batches at the same budget, the rival that must not be hidden. Measured is ‖G‖² with
G = (x − M(x, ∇F(x)))/x_step and the exact gradient: 0 where x is best.

Takes: about two minutes on two cores.
Reference: ours, for "Enhanced Bilevel Optimization via Bregman Distance" (arXiv 2107.12301).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy import stats

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Study, Table, kept, tell
from upperhand.hypergradients.mirrors import soft
from upperhand.problems.noisy_lasso import noisy_lasso
from upperhand.report.statistics import student
from upperhand.solver import Solver
from upperhand.solvers.asbio_bred import asbio_bred
from upperhand.solvers.sbio_bred import sbio_bred
from upperhand.types import Scaled

SERIES = {"terms": 12, "smoothness": 3.0}
FAIR, LARGE = 40, 1000
"""Estimates of an update of sbio_bred; of a restart of asbio_bred and of the large-batch rival."""
SMALL, RESTART = 10, 50
MEAN = (LARGE + 2 * (RESTART - 1) * SMALL) / RESTART
"""Estimates of asbio_bred an update, on average: 39.6."""
ARMS = ("sbio_bred", "asbio_bred", "sbio_bred, large batches")


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 8  # of every arm.
    budget: int = 90_000  # estimates of a seed.
    sizes: tuple[float, ...] = (0.1, 0.02, 0.005)  # x_step; y_step is three times it.

    def __post_init__(self):
        if self.seeds < 2 or self.budget < 10 * LARGE:
            raise BadInput(f"--seeds must be at least 2 and --budget {10 * LARGE}: got {self.seeds} and {self.budget}.")
        if not self.sizes or not all(0 < size < float("inf") for size in self.sizes):
            raise BadInput(f"--sizes must be numbers above 0, one at least: got {self.sizes}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every arm, then the page. Returns: its path."""
    parts = {name: kept(out, place(name), partial(part, name, config), say, name) for name in ARMS}
    return tell(out, told(config, parts))


def place(name: str) -> str:
    """The file of an arm's part."""
    return name.replace(",", "").replace(" ", "-")


def built(name: str, size: jax.Array) -> Solver:
    """An arm at a step that may be traced."""
    shared = SERIES | {"x_step": Scaled(1.0, size), "y_step": Scaled(3.0, size)}
    if name == "asbio_bred":
        return asbio_bred(noisy_lasso(), batch=(LARGE, SMALL), restart=RESTART, **shared)
    return sbio_bred(noisy_lasso(), batch=LARGE if "large" in name else FAIR, **shared)


def part(name: str, config: Config) -> dict[str, Any]:
    """‖G‖² of an arm: {"late", "end": [sizes][seeds], "curve": [sizes][50], the mean over the seeds, …}."""
    each = MEAN if name == "asbio_bred" else LARGE if "large" in name else FAIR
    squares = residuals(name, config, int(config.budget / each))
    steps = squares.shape[-1]
    cuts = np.linspace(0, steps, min(50, steps) + 1).astype(int)
    curve = np.stack([squares[..., a:b].mean((1, 2)) for a, b in zip(cuts, cuts[1:], strict=False)], -1)
    return {
        "steps": steps,
        "late": squares[..., steps // 2 :].mean(-1).tolist(),
        "end": squares[..., -max(steps // 10, 1) :].mean(-1).tolist(),
        "spent": (each * (cuts[:-1] + cuts[1:]) / 2).tolist(),
        "curve": curve.tolist(),
    }


def residuals(name: str, config: Config, steps: int) -> np.ndarray:
    """‖G‖² [sizes, seeds, steps] where each update began."""
    problem = noisy_lasso()

    def one(size, key):
        solver = built(name, size)

        def body(state, count):
            d = problem.exact.hypergradient(state.x)
            move = (state.x - soft(state.x - size * d, size * problem.l1)) / size
            return solver.update(jax.random.fold_in(key, count), state)[0], jnp.sum(move**2)

        return jax.lax.scan(body, solver.init(*problem.init(key)), jnp.arange(steps))[1]

    keys = jax.random.split(jax.random.key(0), config.seeds)
    lanes = jax.vmap(jax.vmap(one, (None, 0)), (0, None))
    return np.asarray(jax.jit(lanes)(jnp.asarray(config.sizes), keys))


def told(config: Config, parts: dict[str, dict[str, Any]]) -> Study:
    """The study, its answer from what was measured."""
    late = {name: [student(one) for one in found["late"]] for name, found in parts.items()}
    end = {name: [student(one) for one in found["end"]] for name, found in parts.items()}
    ratio = [a.mean / b.mean for a, b in zip(late["sbio_bred"], late["asbio_bred"], strict=True)]
    pairs = zip(parts["sbio_bred"]["late"], parts["asbio_bred"]["late"], strict=True)
    chance = [float(stats.ttest_ind(a, b, equal_var=False).pvalue) for a, b in pairs]
    said = ", ".join(f"{one:.1f} at {size:g}" for one, size in zip(ratio, config.sizes, strict=True))
    clear = all(one < 0.05 for one in chance)
    verdict = "Yes, at every step tried" if min(ratio) > 1 and clear else "Not clearly at every step tried"
    least = {name: min(zip([one.mean for one in each], config.sizes, strict=True)) for name, each in end.items()}
    large, reduced = least["sbio_bred, large batches"], least["asbio_bred"]
    better = "is better still" if large[0] < reduced[0] else "is not better"
    answer = (
        f"{verdict}: at equal cost the mean ‖G‖² of sbio_bred in the second half is that of asbio_bred times {said} "
        f"(x_step). But sbio_bred with batches of {LARGE} {better}: in the last tenth its least is {large[0]:.1e} "
        f"(x_step {large[1]:g}), asbio_bred's {reduced[0]:.1e} (x_step {reduced[1]:g}). Variance reduction does not "
        "always win on a problem as easy as this."
    )
    columns = ["method", "x_step", "updates", "second half", "low", "high", "last tenth", "low", "high"]
    rows = [
        [name, size, parts[name]["steps"], *late[name][at], *end[name][at]]
        for at, size in enumerate(config.sizes)
        for name in ARMS
    ]
    tables = [
        Table("Mean ‖G‖²", columns, rows, f"Means of {config.seeds} seeds with Student's 95% intervals."),
        Table("sbio_bred over asbio_bred, second half", ["x_step", "ratio", "Welch's p"],
              [list(row) for row in zip(config.sizes, ratio, chance, strict=True)]),
    ]  # fmt: skip
    figures = [
        Figure(f"step-{at}", f"x_step = {size:g}", "estimates spent", "‖G‖², mean of the seeds",
               [Line(name, parts[name]["spent"], parts[name]["curve"][at]) for name in ARMS], y_log=True)
        for at, size in enumerate(config.sizes)
    ]  # fmt: skip
    notes = [
        f"{config.budget} estimates a seed. sbio_bred: {FAIR} an update. asbio_bred: {LARGE} at each restart, every "
        f"{RESTART} updates, else {SMALL} at two points each, {MEAN:g} an update. An estimate sees one upper sample "
        f"and {SERIES['terms']} of lower; L = {SERIES['smoothness']:g}; y_step is three times x_step.",
        "noisy_lasso at its defaults: ten numbers, curvatures 1 to 2, noise of ±30% in lower's curvature, "
        "±50% in upper's, and of deviation 0.5 in lower's gradient. The steps that the theorems allow are far smaller "
        "than these.",
        "No rate is concluded: on a strongly convex Φ of ten numbers a slope says nothing of the general case.",
    ]
    question = "At equal cost, is asbio_bred's recursive variance reduction worth it against sbio_bred's plain samples?"
    reference = "“Enhanced Bilevel Optimization via Bregman Distance”, arXiv 2107.12301; problem and measure ours."
    seconds = sum(found["seconds"] for found in parts.values())
    return Study("Variance reduction", question, answer, figures, tables, notes, reference, seconds)
