"""How fast do two-time-scale methods converge? Slopes of the errors of x and of y, with and without averaging.

Three problems with known answers: the scalar one coupled by |y − x|; the same coupling with a Φ that is not convex
but gradient-dominated, x² + 3 sin²x; and gradient TD, which is linear. Means over replicates, all from one start; a
slope is fitted to log(mean) against log(k) from `begin` on. Besides the two methods: the standard form with y's step
falling as 1/k too, at three sizes, which is what the averaging has to beat.

OUT/parts: PROBLEM.json: {"steps": [k], METHOD: {"slow": [mean error of x], "fast": [of y]}}.

Takes: about 1 minute on two cores.
Reference: Zeng, Doan, "Fast Two-Time-Scale Stochastic Gradient Method with Applications in Reinforcement Learning"
(arXiv 2405.09660); rates and the scalar instance recalled, the other instances ours; no number of the paper is known.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Study, Table, kept, tell
from upperhand.forms import Equations
from upperhand.problems.absolute import absolute
from upperhand.problems.gradient_td import gradient_td
from upperhand.run import run
from upperhand.schedule import Power
from upperhand.solver import Solver
from upperhand.solvers.fast_two_time_scale import fast_two_time_scale
from upperhand.solvers.two_time_scale import two_time_scale
from upperhand.wrappers import vmapped

OFFSET = 50.0
METHODS: dict[str, Callable[[Equations], Solver]] = {
    "standard": two_time_scale,
    "fast": fast_two_time_scale,
    **{
        f"1/k, {size:g}": lambda problem, size=size: two_time_scale(problem, y_step=Power(size, -1.0, OFFSET))
        for size in (1.0, 2.0, 8.0)
    },
}
PROBLEMS = {"absolute": "|y − x|", "waves": "|y − x|, not convex", "gradient_td": "gradient TD, linear"}


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    replicates: int = 200  # of every method and problem.
    steps: int = 100_000  # updates of each.
    begin: int = 2000  # the first update that slopes are fitted to.
    seed: int = 0  # of all draws.

    def __post_init__(self):
        for name, least in (("replicates", 2), ("steps", 400), ("begin", 1), ("seed", 0)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name} must be at least {least}: got {getattr(self, name)}.")
        if self.begin * 4 > self.steps:
            raise BadInput(f"--begin must be at most a quarter of the {self.steps} steps: got {self.begin}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every problem by every method; what is done is not done again. Returns: path of the page."""
    found = {}
    for name, title in PROBLEMS.items():
        line = f"{title}: {len(METHODS)} methods, {config.replicates} replicates"
        found[name] = kept(out, name, partial(measured, config, named(name)), say, line)
    return tell(out, study(config, found, sum(part["seconds"] for part in found.values())))


def named(name: str) -> Equations:
    """A problem whose metrics are the two errors that are told."""
    if name == "gradient_td":
        return gradient_td()
    problem = absolute()
    if name == "absolute":
        return problem
    slope = lambda x: 2 * x + 3 * jnp.sin(2 * x)  # noqa: E731
    return problem._replace(
        slow=lambda x, y, batch: slope(x) + jnp.abs(y - x) + batch[0],
        metrics=lambda x, y: {"slow_error": slope(x) ** 2, "fast_error": (y - x) ** 2},
        exact=None,
    )


def measured(config: Config, problem: Equations) -> dict[str, Any]:
    """Mean errors after every 200th part of the updates, by method."""
    every, found = config.steps // 200, {}
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(config.seed), config.replicates)
        x, y = jax.vmap(problem.init)(keys)
        mean = jax.jit(lambda x, y: jax.tree.map(jnp.mean, jax.vmap(problem.metrics)(x, y)))
        for name, method in METHODS.items():
            rows: list[tuple[int, dict[str, Any]]] = []
            solver = vmapped(method(problem))
            note = lambda row, state, rows=rows: rows.append((row["step"], mean(state.x, state.y)))  # noqa: E731
            run(solver, keys, solver.init(x, y), steps=200 * every, every=every, sinks=[note])
            found["steps"] = [step for step, _ in rows[1:]]
            found[name] = {kind: [float(told[f"{kind}_error"]) for _, told in rows[1:]] for kind in ("slow", "fast")}
    return found


def slope(steps: list[int], errors: list[float], begin: int) -> float:
    """Of log(error) against log(step), from an update on, by least squares."""
    steps, errors = np.asarray(steps), np.asarray(errors)
    late = steps >= begin
    return float(np.polyfit(np.log(steps[late]), np.log(errors[late]), 1)[0])


def study(config: Config, found: dict[str, dict[str, Any]], seconds: float) -> Study:
    """What the page tells."""
    slopes = {
        (place, method, kind): slope(part["steps"], part[method][kind], config.begin)
        for place, part in found.items()
        for method in METHODS
        for kind in ("slow", "fast")
    }
    last = {at: found[at[0]][at[1]][at[2]][-1] for at in slopes}
    rows = [
        [
            PROBLEMS[place],
            method,
            slopes[place, method, "slow"],
            last[place, method, "slow"],
            slopes[place, method, "fast"],
            last[place, method, "fast"],
        ]
        for place in found
        for method in METHODS
    ]
    kinds = {"slow": "x", "fast": "y"}
    return Study(
        "Two time scales: errors with averaged equations, and with a y step that falls as 1/k",
        "The standard method's fast step falls as k^(−⅔), and its errors with it. Does averaging make them fall "
        "as 1/k?",
        answered(slopes, last),
        [
            Figure(
                f"errors-of-{kinds[kind]}",
                f"Mean squared error of {kinds[kind]}, |y − x| problem",
                "update",
                "mean square",
                [Line(method, found["absolute"]["steps"], found["absolute"][method][kind]) for method in METHODS],
                x_log=True,
                y_log=True,
            )
            for kind in kinds
        ],
        [
            Table(
                f"Slopes from update {config.begin} on, and errors at the end",
                ["problem", "method", "slope of x", "end", "slope of y", "end"],
                rows,
                "Errors of x: (x − x*)², of the problem that is not convex (∇Φ)²; of y: (y − y*(x))².",
            )
        ],
        [
            f"{config.replicates} replicates, {config.steps} updates, steps 2/(k + 50) of x; of y 1/(k + 50)^⅔ "
            "(standard), 8/(k + 50) with averages of 16/(k + 50) (fast), and 1, 2 and 8/(k + 50) without (1/k).",
            "The rates are upper bounds; a linear problem is faster than the standard method's bound in x.",
            "No rate is claimed for a Φ that is convex and no more: the authors withdrew it.",
        ],
        "Zeng, Doan, Fast Two-Time-Scale Stochastic Gradient Method with Applications in Reinforcement Learning, "
        "arXiv 2405.09660",
        seconds,
    )


def answered(slopes: dict[tuple[str, str, str], float], last: dict[tuple[str, str, str], float]) -> str:
    """The answer as it came out."""
    of = lambda method, kind, place="absolute": slopes[place, method, kind]  # noqa: E731
    end = lambda method, kind, place="absolute": last[place, method, kind]  # noqa: E731
    more = lambda kind, place="absolute": end("standard", kind, place) / end("fast", kind, place)  # noqa: E731
    is_so = all(of("fast", kind) < -0.9 and of("standard", kind) > -0.85 for kind in ("slow", "fast"))
    text = (
        f"{'Yes' if is_so else 'It did NOT come out'}, where x depends on |y − x|: mean square errors of x and y fall "
    )
    text += f"with slopes {of('fast', 'slow'):.2f} and {of('fast', 'fast'):.2f} with averaging, with "
    text += f"{of('standard', 'slow'):.2f} and {of('standard', 'fast'):.2f} in the standard form, whose x ends with "
    text += f"{more('slow'):.1f} times the error. "
    steep = [name for name in METHODS if name.startswith("1/k") and of(name, "slow") < -0.95]
    if steep:
        best = min(steep, key=lambda name: end(name, "slow"))
        text += f"But y's step does it, not the averaging: without any, a y step of {best.split()[1]}/(k + 50) gives "
        text += (
            f"{of(best, 'slow'):.2f}, and ends with {end(best, 'slow') / end('fast', 'slow'):.2f} times the averaged "
        )
        text += f"method's error of x; 1/(k + 50), which is too small, gives {of('1/k, 1', 'slow'):.2f}. "
    else:
        text += "None of the 1/k steps without averaging was as steep. "
    linear, waves = [more(kind, "gradient_td") for kind in ("slow", "fast")], "waves"
    text += (
        f"In the linear problem the standard method has {linear[0]:.2f} (x) and {linear[1]:.1f} (y) times the error "
    )
    text += f"of the fast one. Not convex: slopes of ‖∇Φ‖² {of('fast', 'slow', waves):.2f} with averaging, "
    return text + f"{of('standard', 'slow', waves):.2f} in the standard form."
