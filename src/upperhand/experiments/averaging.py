"""What does a moving average of the hypergradient buy? MA-SOBA against SOBA with the same steps, over lengths of a run.

Both on `quadratic` with noise 1 and on `kinked` with noise 0.5, whose ∇Φ is known: K updates with a = scale/√K constant
over the run, x_step = 0.3 a (SOBA) or 0.3 with pace a (MA-SOBA), y_step = z_step = 2a, average = a.

Takes: about 1 minute on two cores.
Reference: derived, for "Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed Smoothness Conditions"
(arXiv 2306.12067; JMLR 25), whose rate of both figures is recalled: 1/√K. No number of the paper is reproduced here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Study, Table, kept, tell
from upperhand.forms import Bilevel
from upperhand.problems.kinked import kinked
from upperhand.problems.quadratic import quadratic
from upperhand.report.statistics import student
from upperhand.solver import Solver
from upperhand.solvers.ma_soba import ma_soba
from upperhand.solvers.soba import soba
from upperhand.types import Scalar, Scaled

STEP = 0.3
FIGURES = {"gradient": "mean of ‖∇Φ(x)‖² over the run", "direction": "mean of ‖direction − ∇Φ(x)‖², second half"}


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 4  # of the quadratic problem.
    kinked_seeds: int = 32  # of the problem of one number.
    lengths: tuple[int, ...] = (1000, 4000, 16_000, 64_000)  # K, updates of a run.
    scale: float = 4.0  # a = scale/√K.

    def __post_init__(self):
        for name in ("seeds", "kinked_seeds"):
            if getattr(self, name) < 2:
                raise BadInput(f"--{name.replace('_', '-')} must be at least 2: got {getattr(self, name)}.")
        if len(set(self.lengths)) < 2 or min(self.lengths) < 2:
            raise BadInput(f"--lengths must be two or more different numbers of at least 2: got {self.lengths}.")
        if not 0 < self.scale <= min(self.lengths) ** 0.5 / 4:
            most = min(self.lengths) ** 0.5 / 4
            raise BadInput(f"--scale must be above 0, at most a quarter of √K, {most:g}: got {self.scale}.")


def averaged(problem: Bilevel, a: Scalar) -> Solver:
    """MA-SOBA as the theory has it."""
    once, twice = Scaled(1.0, a), Scaled(2.0, a)
    return ma_soba(problem, x_step=STEP, pace=once, y_step=twice, z_step=twice, average=once)


def raw(problem: Bilevel, a: Scalar) -> Solver:
    """SOBA with the same steps."""
    return soba(problem, x_step=Scaled(STEP, a), y_step=Scaled(2.0, a), z_step=Scaled(2.0, a))


METHODS = {"MA-SOBA": averaged, "SOBA": raw}


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every method on both problems; what is done is not done again. Returns: path of the page."""
    found = {}
    for name, problem, seeds in problems(config):
        for method in METHODS:
            line = f"{name}, {method}: {seeds} seeds, up to {max(config.lengths):,} updates"
            measure = partial(measured, config, problem, method, seeds)
            found[name, method] = kept(out, f"{name}-{method}", measure, say, line)
    return tell(out, study(config, found, sum(part["seconds"] for part in found.values())))


def problems(config: Config) -> list[tuple[str, Bilevel, int]]:
    """Name, problem and seeds."""
    with jax.enable_x64(True):
        return [("quadratic", quadratic(noise=1.0), config.seeds), ("kinked", kinked(noise=0.5), config.kinked_seeds)]


def measured(config: Config, problem: Bilevel, method: str, seeds: int) -> dict[str, list[list[float]]]:
    """Both FIGURES, [lengths][seeds], in float64."""

    def run(K, key):
        solver = METHODS[method](problem, config.scale / jnp.sqrt(K))
        size = lambda x: jnp.sum(x**2)  # noqa: E731

        def body(count, carry):
            state, gradient, direction = carry
            slope = problem.exact.hypergradient(state.x)
            after, info = solver.update(jax.random.fold_in(key, count), state)
            off = jnp.where(2 * count >= K, size(info.hypergradient - slope), 0.0)
            return after, gradient + size(slope), direction + off

        start = (solver.init(*problem.init(key)), jnp.zeros(()), jnp.zeros(()))
        _, gradient, direction = jax.lax.fori_loop(0, K, body, start)
        return gradient / K, direction / (K - (K + 1) // 2)

    with jax.enable_x64(True):
        program = jax.jit(jax.vmap(run, (None, 0)))
        keys = jax.vmap(jax.random.key)(jnp.arange(seeds))
        pairs = [program(jnp.asarray(K), keys) for K in config.lengths]
        return {name: [np.asarray(pair[i]).tolist() for pair in pairs] for i, name in enumerate(FIGURES)}


def slope(lengths: tuple[int, ...], values: list[list[float]]) -> float:
    """Of the mean over seeds against K, both as logarithms: least squares."""
    return float(np.polyfit(np.log(lengths), np.log(np.mean(values, 1)), 1)[0])


def study(config: Config, found: dict[tuple[str, str], dict], seconds: float) -> Study:
    """What the page tells."""
    rate = {(*pair, figure): slope(config.lengths, part[figure]) for pair, part in found.items() for figure in FIGURES}
    names = list(dict.fromkeys(name for name, _ in found))
    same = all(-0.65 <= rate[name, method, "gradient"] <= -0.4 for name, method in found)
    falls = all(rate[name, "MA-SOBA", "direction"] < -0.35 for name in names)
    stays = all(rate[name, "SOBA", "direction"] > -0.15 for name in names)
    yes = lambda claim: "" if claim else "NOT "  # noqa: E731
    told = lambda figure: "; ".join(  # noqa: E731
        f"{name}: " + ", ".join(f"{method} {rate[name, method, figure]:.2f}" for method in METHODS) for name in names
    )
    last = {pair: np.mean(part["gradient"][-1]) for pair, part in found.items()}
    worse = all(last[name, "MA-SOBA"] > last[name, "SOBA"] for name in names)
    answer = (
        f"The error of MA-SOBA's direction does {yes(falls)}fall with the length of the run, and SOBA's does "
        f"{yes(stays)}stay as it is (log-log slopes: {told('direction')}). The squared gradient does {yes(same)}fall "
        f"as about 1/√K for both (slopes: {told('gradient')}); over the longest run its mean is "
        + ", ".join(f"{last[name, 'MA-SOBA']:.3g} against {last[name, 'SOBA']:.3g} ({name})" for name in names)
        + (": MA-SOBA's is the larger one. What averaging buys is a direction that can be trusted." if worse else ".")
    )
    figures = [_figure(config, found, name, figure) for name in names for figure in ("direction", "gradient")]
    columns = ["problem", "method", *(f"K = {K:,}" for K in config.lengths), "slope"]
    tables = [
        Table(
            title[0].upper() + title[1:],
            columns,
            [[*pair, *np.mean(part[figure], 1).tolist(), rate[*pair, figure]] for pair, part in found.items()],
            "Means over seeds; the slope is of these means against K, both as logarithms.",
        )
        for figure, title in FIGURES.items()
    ]
    notes = [
        f"{config.seeds} seeds of quadratic (noise 1), {config.kinked_seeds} of kinked (noise 0.5); bands are 95% "
        "intervals over seeds. ∇Φ is exact. The direction is the one that moved x, compared where x was.",
        "Nothing here says that MA-SOBA reaches a smaller gradient than SOBA; no experiment of the paper is repeated.",
    ]
    question = "MA-SOBA averages its hypergradient where SOBA takes it as one batch gives it. What is better for it?"
    reference = (
        "X. Chen, Xiao, Balasubramanian, Optimal Algorithms for Stochastic Bilevel Optimization under Relaxed "
        "Smoothness Conditions, arXiv 2306.12067; JMLR 25"
    )
    return Study("What a moving average buys", question, answer, figures, tables, notes, reference, seconds)


def _figure(config, found, name, figure):
    """One figure of one problem against K, with bands."""

    def line(method):
        middle = [student(values) for values in found[name, method][figure]]
        ends = [max(one.low, one.mean / 100) for one in middle], [one.high for one in middle]
        return Line(method, list(config.lengths), [one.mean for one in middle], *ends)

    title = FIGURES[figure][0].upper() + FIGURES[figure][1:]
    lines = [line(method) for method in METHODS]
    return Figure(f"{name}-{figure}", f"{title}: {name}", "K, updates of the run", figure, lines, (), True, True)
