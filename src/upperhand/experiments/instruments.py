"""How strong should the penalty be? F2BMLD on confounded data at many and at few rows, against two baselines.

`npiv` with the step target, at each lambda_pen = 1/w and each number of rows; the same network by noisy descent on
½(h(a) − y)², which takes the confounding for an effect; and two-stage least squares of polynomials, degree 5 on degree
7. Then |a| at one setting, where the polynomials win. Told is the mean squared error to h0 on 400 points of [−3, 3].

Takes: about 70 s of one core; 2.6 minutes on two cores that others used.
Reference: ours, for Z. Chen, Nitanda, Gretton, Suzuki, "Towards a Unified Analysis of Neural Networks in Nonparametric
Instrumental Variable Regression: Optimization and Generalization" (arXiv 2511.14710), whose abstract has the trade-off
between optimisation and statistics through lambda_pen. No number of the paper is reproduced.
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
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, kept, tell
from upperhand.hypergradients.langevin import langevin
from upperhand.policies.neurons import tanh_neurons
from upperhand.problems.npiv import GRID, TARGETS, Sample, instrumental, stages
from upperhand.report.statistics import student
from upperhand.solvers.f2bmld import f2bmld
from upperhand.types import Scaled

BATCH, STEP, RIDGE, ENTROPY, NOISE = 128, 0.5, 1e-5, 1e-6, 0.1
DEGREES = 7, 5
"""Of the polynomials of z and of a."""
BASELINES = {"direct": "direct regression", "polynomial": "polynomial 2SLS"}


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 10  # of data and starts.
    rows: tuple[int, int] = (2000, 200)  # many and few examples of either stage.
    strengths: tuple[float, ...] = (0.01, 0.1, 0.3, 1.0, 10.0)  # lambda_pen = 1/w.
    steps: int = 2000  # updates, of F2BMLD and of the direct regression.
    particles: int = 50  # neurons of a network.

    def __post_init__(self):
        for name, least in (("seeds", 2), ("steps", 1), ("particles", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name} must be at least {least}: got {getattr(self, name)}.")
        if not self.rows[0] > self.rows[1] >= 10:
            raise BadInput(f"--rows must be two numbers, the second at least 10 and below the first: got {self.rows}.")
        ordered = sorted(set(self.strengths)) == list(self.strengths)
        if not ordered or len(self.strengths) < 2 or not self.strengths[0] > 0 or self.strengths[-1] > 1e6:
            raise BadInput(f"--strengths must be two or more rising numbers above 0: got {self.strengths}.")


def cases(config: Config) -> dict[str, tuple[str, int, tuple[float, ...]]]:
    """Name of a part → target, rows, strengths."""
    many, few = config.rows
    parts = {f"step-{rows}": ("step", rows, config.strengths) for rows in (many, few)}
    return parts | {f"abs-{many}": ("abs", many, (1.0,))}


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every case; what is done is not done again. Returns: path of the page."""
    found = {}
    for name, (target, rows, strengths) in cases(config).items():
        line = f"{target}, {rows:,} rows: {len(strengths)} strengths, {config.seeds} seeds, {config.steps:,} updates"
        found[name] = kept(out, name, partial(measured, config, target, rows, strengths), say, line)
    return tell(out, study(config, found, sum(part["seconds"] for part in found.values())))


def measured(config: Config, target: str, rows: int, strengths: tuple[float, ...]) -> dict[str, Any]:
    """Mean squared errors of a case, and the functions that the first seed found.

    Returns: {"error": {"f2bmld": [strengths][seeds], BASELINE: [seeds]}, "found": {"f2bmld": [400], BASELINE: [400]},
      "shown": the strength of that f2bmld}.
    """
    data = [stages(target, rows, NOISE, seed) for seed in range(config.seeds)]
    above, below = (
        Sample(*map(jnp.asarray, map(np.stack, zip(*each, strict=True)))) for each in zip(*data, strict=True)
    )
    wanted, grid = TARGETS[target](GRID), jnp.asarray(GRID)[:, None]
    network, inside = tanh_neurons().network, {"particles": config.particles, "batch": BATCH, "ridge": RIDGE}

    def penalised(first, second, key, w):
        problem = instrumental(first.z, first.a, second.y, z_upper=second.z, **inside)
        solver = f2bmld(problem, x_step=STEP, y_step=STEP, penalty=Scaled(1.0, w), entropy=(ENTROPY, ENTROPY))
        step = lambda count, state: solver.update(jax.random.fold_in(key, count), state)[0]  # noqa: E731
        return network(jax.lax.fori_loop(0, config.steps, step, solver.init(*problem.init(key))).x, grid)

    def direct(second, key):
        problem = instrumental(second.a, second.a, second.y, **inside)  # its upper loss, with a in the place of z
        moves = langevin("step", STEP, lambda x: x, steps=1, particles=config.particles, entropy=ENTROPY)

        def step(count, carry):
            key_batch, key_noise = jax.random.split(jax.random.fold_in(key, count))
            loss = lambda x: problem.upper(x, x, problem.draw_upper(key_batch, x, x))  # noqa: E731
            return moves.move(jax.grad(loss)(carry[0]), *carry, key_noise, count, 1.0)

        x = problem.init(key)[0]
        return network(jax.lax.fori_loop(0, config.steps, step, (x, moves.start(x)))[0], grid)

    keys, weights = jax.vmap(jax.random.key)(jnp.arange(config.seeds)), 1 / jnp.asarray(strengths, float)
    seeds = jax.vmap(penalised, (0, 0, 0, None))
    program = jax.jit(lambda *args: (jax.vmap(seeds, (None, None, None, 0))(*args), jax.vmap(direct)(*args[1:3])))
    ours, plain = map(np.asarray, program(above, below, keys, weights))
    found = {"f2bmld": ours, "direct": plain, "polynomial": np.stack([polynomial(*pair) for pair in data])}
    errors = {name: ((each - wanted) ** 2).mean(-1).tolist() for name, each in found.items()}
    shown = int(np.argmin(np.mean(errors["f2bmld"], 1)))  # the strength that is best on average
    first = {"f2bmld": ours[shown, 0], "direct": plain[0], "polynomial": found["polynomial"][0]}
    first = {name: each.tolist() for name, each in first.items()}
    return {"error": errors, "found": first, "shown": strengths[shown]}


def polynomial(first: Sample, second: Sample) -> np.ndarray:
    """Two-stage least squares: powers of a on powers of z in stage I, y on what they predict in stage II. h [400]."""
    of_z, of_a = DEGREES
    powers = lambda t, degree: np.vander(np.ravel(t) / 3, degree + 1)  # noqa: E731
    predicted = np.linalg.lstsq(powers(first.z, of_z), powers(first.a, of_a), rcond=None)[0]
    return powers(GRID, of_a) @ np.linalg.lstsq(powers(second.z, of_z) @ predicted, second.y, rcond=None)[0]


def study(config: Config, found: dict[str, dict], seconds: float) -> Study:
    """What the page tells."""
    error = {name: {which: np.array(each) for which, each in part["error"].items()} for name, part in found.items()}
    columns = ["target", "rows", *(f"lambda_pen {strength:g}" for strength in config.strengths), *BASELINES.values()]
    rows = []
    for name, (target, size, strengths) in cases(config).items():
        ours = dict(zip(strengths, error[name]["f2bmld"].mean(1), strict=True))
        rows.append([target, size, *(ours.get(strength) for strength in config.strengths)])
        rows[-1] += [float(error[name][which].mean()) for which in BASELINES]
    figures = [_errors(config, error[name], rows) for name, rows in zip(cases(config), config.rows, strict=False)]
    figures += [_functions(found[name], target, size) for name, (target, size, _) in cases(config).items()]
    return Study(
        "How strong the penalty should be",
        "The penalty 1/w trades optimisation against statistics: is a larger lambda_pen = 1/w better with many rows, a "
        "smaller one with few? And does the method beat plain regression, and polynomials?",
        answered(config, error),
        figures,
        [Table("Mean squared error to h0", columns, rows, f"Means over {config.seeds} seeds of data and start.")],
        [
            f"{config.steps:,} updates of {config.particles} neurons, batches of {BATCH}, step {STEP}, ridge {RIDGE:g}"
            f", entropy {ENTROPY:g}, five lower steps an update. The direct regression makes as many steps of the same "
            "network. Stages are drawn apart; the direct regression sees a and y of stage II.",
            "Nothing here says that F2BMLD is better than two-stage least squares: that depends on the target, and the "
            "degrees of the polynomials were not tuned. No number of the paper is reproduced.",
        ],
        "Z. Chen, Nitanda, Gretton, Suzuki, Towards a Unified Analysis of Neural Networks in Nonparametric "
        "Instrumental Variable Regression: Optimization and Generalization, arXiv 2511.14710",
        seconds,
    )


def answered(config: Config, error: dict[str, dict[str, np.ndarray]]) -> str:
    """The answer as it came out."""
    many, few, absolute = (error[name] for name in cases(config))
    ours = [each["f2bmld"].mean(1) for each in (many, few)]
    best = [config.strengths[int(np.argmin(each))] for each in ours]
    ends = [student(each["f2bmld"][-1] - each["f2bmld"][0]) for each in (many, few)]
    is_so, is_sure = best[1] < best[0] and ends[1].mean > 0, ends[1].low > 0
    text = "Yes" if is_so and is_sure else "Only in the means over these seeds" if is_so else "It did NOT come out"
    text += ": the error is least at lambda_pen = " + " and at ".join(
        f"{least:g} with {rows:,} rows ({', '.join(f'{number:.4f}' for number in each)})"
        for least, rows, each in zip(best, config.rows, ours, strict=True)
    )
    text += f", of lambda_pen {', '.join(f'{strength:g}' for strength in config.strengths)}. "
    for rows, apart in zip(config.rows, ends, strict=True):
        text += f"With {rows:,} rows the largest has {apart.mean:.3f} ({apart.low:.3f} to {apart.high:.3f}) more than "
        text += "the smallest. "
    for rows, each, mine in zip(config.rows, (many, few), ours, strict=True):
        rivals = [f"{label} has {each[which].mean():.4f}" for which, label in BASELINES.items()]
        text += f"With {rows:,} rows {' and '.join(rivals)}, against {mine.min():.4f}. "
    mine, line, plain = (absolute[which].mean() for which in ("f2bmld", "polynomial", "direct"))
    who = "the polynomials win" if line < mine else "the polynomials do NOT win"
    return text + f"On |a|, {who}: {line:.3f} against {mine:.3f} of F2BMLD and {plain:.3f} of direct regression."


def _errors(config, error, rows):
    """Errors over lambda_pen, with the baselines; bands from the least to the greatest seed."""
    ours = error["f2bmld"]
    lines = [Line("F2BMLD, and its seeds' range", config.strengths, ours.mean(1), ours.min(1), ours.max(1))]
    marks = [Mark(label, float(error[which].mean())) for which, label in BASELINES.items()]
    title = f"Mean squared error to the step with {rows:,} rows, over the strength of the penalty"
    return Figure(f"errors-{rows}", title, "lambda_pen = 1/w", "mean squared error to h0", lines, marks, True, True)


def _functions(part, target, rows):
    """What the first seed found, against the truth."""
    ours, thin = part["found"]["f2bmld"], slice(None, None, 5)
    lines = [Line("truth", GRID[thin], TARGETS[target](GRID)[thin]), Line("F2BMLD", GRID[thin], ours[thin])]
    lines += [Line(label, GRID[thin], part["found"][which][thin]) for which, label in BASELINES.items()]
    title = f"What the first seed found in {rows:,} rows, target {target}; F2BMLD at lambda_pen = {part['shown']:g}"
    return Figure(f"functions-{target}-{rows}", title, "a", "h(a)", lines)
