"""The least of the largest loss of several tasks, by MORMA-SOBA, against equal weights, on `three_targets`.

Without noise at several pulls (the weight that holds the tasks' weights together), where the saddle is known for each
of them; with noise at pull 1; and MA-SOBA on the mean of the tasks.

Takes: under a minute on two cores.
Reference: derived, for "Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed Smoothness Conditions"
(arXiv 2306.12067; JMLR 25), its min-max method.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, tell
from upperhand.problems.three_targets import three_targets
from upperhand.solvers.ma_soba import ma_soba
from upperhand.solvers.morma_soba import morma_soba
from upperhand.types import Scaled

TARGETS = (0.0, 1.0, 4.0)
SHOWN = 100
"""Points of a curve."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 3  # of the noisy runs.
    pulls: tuple[float, ...] = (0.5, 1.0, 3.0, 6.0)  # weights of ½‖p − 1/n‖², without noise.
    updates: int = 20_000  # without noise.
    noisy_updates: int = 80_000  # with noise.
    noise: float = 0.3  # of each task's derivatives.

    def __post_init__(self):
        for name, least in (("seeds", 1), ("updates", SHOWN), ("noisy_updates", SHOWN)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name.replace('_', '-')} must be at least {least}: got {getattr(self, name)}.")
        if not self.pulls or not all(0 < pull < float("inf") for pull in self.pulls):
            raise BadInput(f"--pulls must be finite numbers above 0, one at least: got {self.pulls}.")
        if not 0 <= self.noise < float("inf"):
            raise BadInput(f"--noise must be a finite number of at least 0: got {self.noise}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """All runs. Returns: path of the page."""
    began = time.perf_counter()
    say(f"without noise: {config.updates:,} updates; with noise: {config.noisy_updates:,}")
    found = measured(config)
    return tell(out, study(config, found, time.perf_counter() - began))


def measured(config: Config) -> dict[str, np.ndarray]:
    """`still` [pulls, SHOWN, 4], `equal` [SHOWN, 1]: x, p on the way; `noisy` [seeds, 4]: means of the second half."""

    def way(solver, problem, updates, key, tell):
        def body(state, count):
            state = solver.update(jax.random.fold_in(key, count), state)[0]
            return state, tell(state)

        return jax.lax.scan(body, solver.init(*problem.init(key)), jnp.arange(updates))[1]

    def morma(problem, a, pull, updates, key):
        steps = {"x_step": 0.3, "p_step": 0.1, "pace": a, "y_step": 4 * a, "z_step": 4 * a, "average": min(2 * a, 1.0)}
        solver = morma_soba(problem, pull=Scaled(1.0, pull), **steps)
        return way(solver, problem, updates, key, lambda state: jnp.append(state.x, state.p))

    with jax.enable_x64(True):
        problem, noisy = three_targets(targets=TARGETS), three_targets(targets=TARGETS, noise=config.noise)
        mean = problem._replace(
            upper=lambda x, y, batch: jnp.mean(problem.upper(x, y, batch)),
            lower=lambda x, y, batch: jnp.sum(problem.lower(x, y, batch)),
            tasks=0,
        )
        place = config.updates * np.arange(1, SHOWN + 1) // SHOWN - 1
        one = lambda pull: morma(problem, 0.05, pull, config.updates, jax.random.key(0))[place]  # noqa: E731
        still = jax.jit(jax.vmap(one))(jnp.asarray(config.pulls))
        equal = way(ma_soba(mean), mean, config.updates, jax.random.key(0), lambda state: state.x)[place]
        half, a = config.noisy_updates // 2, 2 / config.noisy_updates**0.5
        other = lambda key: morma(noisy, a, 1.0, config.noisy_updates, key)[half:].mean(0)  # noqa: E731
        keys = jax.vmap(jax.random.key)(jnp.arange(config.seeds))
        return {
            "still": np.asarray(still),
            "equal": np.asarray(equal),
            "noisy": np.asarray(jax.jit(jax.vmap(other))(keys)),
        }


def worst(x: float | np.ndarray) -> np.ndarray | np.float64:
    """The largest of the tasks' losses at x."""
    return np.max((np.asarray(x)[..., None] - np.array(TARGETS)) ** 2 / 2, -1)


def saddle(pull: float) -> tuple[float, np.ndarray]:
    """x and p of the saddle, by bisection: x = Σ pᵢ cᵢ with p the best for x."""
    c = np.array(TARGETS)

    def weights(x):
        v = np.sort(1 / c.size + (x - c) ** 2 / 2 / pull)[::-1]
        held = (np.cumsum(v) - 1) / np.arange(1, c.size + 1)
        return np.maximum(1 / c.size + (x - c) ** 2 / 2 / pull - held[np.flatnonzero(v > held)[-1]], 0)

    low, high = c.min(), c.max()
    for _ in range(100):
        x = (low + high) / 2
        low, high = (x, high) if weights(x) @ (x - c) < 0 else (low, x)
    return x, weights(x)


def study(config: Config, found: dict[str, np.ndarray], seconds: float) -> Study:
    """What the page tells."""
    ends, best = found["still"][:, -1], (min(TARGETS) + max(TARGETS)) / 2
    known = [saddle(pull) for pull in config.pulls]
    small = np.abs(ends[:, 0] - best).argmin()
    equal, away = float(worst(found["equal"][-1, 0])), np.abs(ends[:, 0] - np.array([x for x, _ in known]))
    is_better = bool(worst(ends[small, 0]) < equal)
    x, p = found["noisy"][:, 0], found["noisy"][:, 1:].mean(0)
    answer = (
        f"{'Yes' if is_better else 'NO'}: at pull {config.pulls[small]:g} MORMA-SOBA ends with a largest loss "
        f"of {worst(ends[small, 0]):.5g} (x = {ends[small, 0]:.6g}; the least possible is {worst(best):.5g}, "
        f"at {best:g}), equal weights with {equal:.5g} (x = {found['equal'][-1, 0]:.5g}). After "
        f"{config.updates:,} updates x is "
        + ", ".join(f"{gap:.1e}" for gap in away)
        + f" away from the known saddle at pulls {', '.join(f'{pull:g}' for pull in config.pulls)}. With noise "
        f"{config.noise:g} and pull 1, means of the second half of {config.noisy_updates:,} updates are x from "
        f"{x.min():.4f} to {x.max():.4f} and p = ({', '.join(f'{one:.2f}' for one in p)})."
    )
    shown = config.updates * np.arange(1, SHOWN + 1) // SHOWN
    lines = [
        Line(f"pull {pull:g}", shown, worst(way[:, 0])) for pull, way in zip(config.pulls, found["still"], strict=True)
    ]
    lines.append(Line("equal weights", shown, worst(found["equal"][:, 0])))
    figure = Figure(
        "worst", "The largest loss of the tasks", "update", "largest loss", lines, [Mark("least", float(worst(best)))]
    )
    rows: list[list[Any]] = [
        [f"{pull:g}", *end, float(worst(end[0])), x_star, gap]
        for pull, end, (x_star, _), gap in zip(config.pulls, ends.tolist(), known, away.tolist(), strict=True)
    ]
    rows += [["equal weights", found["equal"][-1, 0], 1 / 3, 1 / 3, 1 / 3, equal, float(np.mean(TARGETS)), None]]
    noisy = [
        [f"1, noise, seed {seed}", *row, float(worst(row[0])), saddle(1.0)[0], None]
        for seed, row in enumerate(found["noisy"].tolist())
    ]
    columns = ["pull", "x", "p₁", "p₂", "p₃", "largest loss", "x of the saddle", "away"]
    note = "Noisy rows are means over the second half of the run. Up to pull 3 the saddle is the minimax x, 2."
    notes = [
        "Steps: x_step 0.3, p_step 0.1, pace a, y_step = z_step = 4a, average = 2a; a = 0.05, with noise 2/√updates.",
        "Nothing here compares with MORBiT, or tells how the cost grows with the number of tasks.",
    ]
    reference = (
        "X. Chen, Xiao, Balasubramanian, Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed "
        "Smoothness Conditions, arXiv 2306.12067; JMLR 25"
    )
    question = "Can the loss of the task that fares worst be made smaller than with equal weights, and by how much?"
    table = Table("Where the runs end", columns, rows + noisy, note)
    return Study("The task that fares worst", question, answer, [figure], [table], notes, reference, seconds)
