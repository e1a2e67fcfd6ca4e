"""When may the path through y be dropped? PBGD-Free against ALT-PBGD where upper is flat in y, and where it is less so.

A shared backbone is trained for a head that another task fits; `shift` says how different the two tasks' heads are.
Every partial gradient of either loss is a call. Several draws of both tasks and of the start, each the same for all
methods.

Takes: about 1 minute on two cores.
Reference: derived, for "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates, and Flatness
Condition" (arXiv 2511.16796): the condition is the paper's (its first author's public page), the problem is ours.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, tell
from upperhand.problems.shared_backbone import backbone, tasks
from upperhand.solvers.alt_pbgd import alt_pbgd
from upperhand.solvers.pbgd_free import pbgd_free


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    draws: int = 10  # of the tasks and the start.
    shifts: tuple[float, ...] = (0.0, 0.3, 1.0)  # between the heads of the two tasks, the first 0.
    loops: tuple[int, ...] = (1, 5, 20)  # inner steps of ALT-PBGD; PBGD-Free takes 1.
    updates: int = 1000  # of every method.
    level: float = 0.01  # of Φ, which is reached at shift 0.
    penalty: float = 0.1  # w.
    step: float = 0.3  # of x and of y.

    def __post_init__(self):
        for name in ("draws", "updates"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name} must be at least 1: got {getattr(self, name)}.")
        for name in ("level", "penalty", "step"):
            if not 0 < getattr(self, name) <= 1:
                raise BadInput(f"--{name} must be above 0, at most 1: got {getattr(self, name)}.")
        if len(self.shifts) < 2 or self.shifts[0] or not all(0 <= shift < float("inf") for shift in self.shifts):
            raise BadInput(
                f"--shifts must be two or more finite numbers of at least 0, the first 0: got {self.shifts}."
            )
        if not self.loops or min(self.loops) < 1:
            raise BadInput(f"--loops must be whole numbers of at least 1: got {self.loops}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every method on every draw. Returns: path of the page."""
    began = time.perf_counter()
    found = measured(config, say)
    return tell(out, study(config, found, time.perf_counter() - began))


def measured(config: Config, say: Callable[[str], None]) -> dict[str, tuple[float, np.ndarray]]:
    """Method → calls an update, and Φ [shifts, draws, updates] after each; not finite once it has diverged."""
    ridge, settings = 0.05, {"x_step": config.step, "y_step": config.step, "penalty": config.penalty}
    methods = {"PBGD-Free": (pbgd_free, {"loops": 1} | settings)}
    methods |= {f"ALT-PBGD, K = {loops}": (alt_pbgd, {"loops": loops} | settings) for loops in config.loops}
    grid = [[tasks(shift, 200, 20, 3, 0.1, draw) for draw in range(config.draws)] for shift in config.shifts]
    Z, t = (np.array([[pair[i] for pair in row] for row in grid]) for i in range(2))
    starts = 0.3 * np.stack([np.random.default_rng([draw, 1]).normal(size=(20, 3)) for draw in range(config.draws)])

    def follow(builder, options, Z, t, W):
        problem = backbone(Z, t, ridge)
        solver = builder(problem, **options)

        def body(state, _):
            state, info = solver.update(jax.random.key(0), state)
            return state, (problem.exact.value(state.x), info.cost.gradients)

        return jax.lax.scan(body, solver.init(W, jnp.zeros(3)), None, config.updates)[1]

    found = {}
    with jax.enable_x64(True):
        for name, method in methods.items():
            say(f"{name}: {len(config.shifts)} shifts, {config.draws} draws")
            over = jax.jit(jax.vmap(jax.vmap(partial(follow, *method)), (0, 0, None)))
            values, calls = over(jnp.asarray(Z), jnp.asarray(t), jnp.asarray(starts))
            found[name] = (float(calls[0, 0, 0]), np.asarray(values))
    return found


def calls_to(level: float, calls: float, values: np.ndarray) -> np.ndarray:
    """Calls until Φ is at most a level, inf where it never is: values [..., updates]."""
    is_there = values <= level
    return np.where(is_there.any(-1), calls * (is_there.argmax(-1) + 1), np.inf)


def ends(values: np.ndarray) -> np.ndarray:
    """Φ after the last update; inf where the method has diverged."""
    last = values[..., -1]
    return np.where(np.isfinite(last) & (last < 1e6), last, np.inf)


def study(config: Config, found: dict[str, tuple[float, np.ndarray]], seconds: float) -> Study:
    """What the page tells."""
    speed = {name: calls_to(config.level, calls, values[0]) for name, (calls, values) in found.items()}
    last = {name: ends(values) for name, (_, values) in found.items()}
    median = lambda numbers: float(np.median(numbers)) if np.isfinite(np.median(numbers)) else None  # noqa: E731
    free, most = "PBGD-Free", f"ALT-PBGD, K = {max(config.loops)}"
    rivals = [name for name in found if name != free]
    is_faster = all(bool(np.all(speed[free] < speed[name])) for name in rivals)
    ratio = median(speed[most] / speed[free]) if np.isfinite(speed[free]).all() else None
    best = np.min([last[name] for name in rivals], 0)  # of ALT-PBGD, on each draw
    worse = (last[free] > 1.001 * best).mean(1)
    shown = lambda numbers: "none" if median(numbers) is None else f"{median(numbers):.3g}"  # noqa: E731
    answer = f"Flat (shift 0): Φ ≤ {config.level:g} after {shown(speed[free])} calls of PBGD-Free (median), "
    answer += ", ".join(f"{shown(speed[name])} of {name}" for name in rivals)
    answer += f" (K inner steps); PBGD-Free was {'' if is_faster else 'NOT '}always the first"
    answer += f", {ratio:.1f} times as fast as {most}. " if ratio else ". "
    answer += "Not flat: " + "; ".join(
        f"at shift {shift:g} PBGD-Free ended above the best of ALT-PBGD in {100 * worse[i]:.0f} % of the draws "
        f"(medians {shown(last[free][i])} and {shown(best[i])})"
        for i, shift in list(enumerate(config.shifts))[1:]
    )
    lost = [[int(np.isinf(last[name][i]).sum()) for i in range(len(config.shifts))] for name in found]
    answer += f". Diverged of {config.draws} draws, at shifts {', '.join(f'{s:g}' for s in config.shifts)}: "
    answer += "; ".join(f"{name}: {', '.join(map(str, row))}" for name, row in zip(found, lost, strict=True)) + "."
    worst = len(config.shifts) - 1
    return Study(
        "Dropping the path through y is fast where upper is flat in y, and biased where it is not",
        "PBGD-Free needs a flat upper loss. How much faster is it then, and what does it cost where upper is not flat?",
        answer,
        [_figure(config, found, 0), _figure(config, found, worst)],
        [
            Table(
                f"Calls until Φ ≤ {config.level:g}, shift 0",
                ["method", "calls an update", "median", "least", "most", "reached"],
                [
                    [name, found[name][0], *map(median, (each, each.min(), each.max())), int(np.isfinite(each).sum())]
                    for name, each in speed.items()
                ],
            ),
            Table(
                f"Φ after {config.updates} updates, median",
                ["method", *(f"shift {shift:g}" for shift in config.shifts)],
                [[name, *map(median, last[name])] for name in found],
                "A dash: more than half of the draws diverged.",
            ),
        ],
        [
            f"{config.draws} draws of tasks and start; w = {config.penalty:g}, steps {config.step:g}, heads from 0.",
            "Φ is exact: the head is solved for. The norm of PBGD-Free's own direction tells nothing of its bias.",
            "How ALT-PBGD fares at small K, and where a method diverges, depends on the draw.",
            "A diverged run counts as worse than any.",
        ],
        "Jiang, Xiao, L. Chen, T. Chen, Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates, and "
        "Flatness Condition, arXiv 2511.16796",
        seconds,
    )  # fmt: skip


def _figure(config, found, at):
    """Median Φ against calls at one shift."""

    def line(name):
        calls, values = found[name]
        middle = np.median(np.where(np.isfinite(values[at]), values[at], np.inf), 0)
        shown = np.unique(np.geomspace(1, config.updates, 120).astype(int)) - 1
        return Line(name, calls * (shown + 1), np.where(middle[shown] < 1e3, middle[shown], np.nan))

    shift = config.shifts[at]
    marks = [Mark(f"{config.level:g}", config.level)] if not at else []
    title = f"Median Φ at shift {shift:g}"
    lines = [line(name) for name in found]
    return Figure(f"shift-{at}", title, "calls of a partial gradient", "Φ", lines, marks, True, True)
