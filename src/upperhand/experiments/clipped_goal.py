"""Does clipping the hypergradient help the sampled actor-critic where the penalty weight w is small?

`goal_placement` at w held small, by the one-stream estimator (the default) and by the paper's two streams, whose noise
grows as 1/w. x's step is Adam's as ever; before it nothing, a running quantile of the lengths, or a fixed level. The
error of the hypergradient is told along the runs that are not clipped, against the exact one at the same x and τ.

Takes: 1.7 minutes of processor time, 4.6 minutes on two cores that other work used too.
Reference: ours. Clipping is that of `upperhand.clipping`; no theorem covers it on a biased hypergradient.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from upperhand.clipping import clip_norm, clip_quantile
from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Study, Table, kept, tell
from upperhand.hoist import hoist
from upperhand.hypergradients.streams import one_stream, two_stream
from upperhand.problems.goal_placement import goal_placement
from upperhand.report.statistics import student
from upperhand.schedule import geometric
from upperhand.solvers.rl.actor_critic import actor_critic

ESTIMATORS = {"one stream": one_stream, "two streams": two_stream}
LEVEL = 0.02
"""Of the fixed clipping: about twice the median length of the one-stream hypergradient."""
ARMS = {
    "no clipping": optax.identity,
    "half of them pass": lambda: clip_quantile(0.5),
    "90 % pass": lambda: clip_quantile(0.9),
    "fixed level": lambda: clip_norm(LEVEL),
}
NEAR, NORMAL = 0.03, np.sqrt(np.log(1000) / np.log(2))
"""A gap that counts as near; the 99.9 % quantile over the median, of the length of two independent normal numbers."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 25  # starts of each arm.
    updates: int = 1600  # of a run, of 128 transitions a stream.
    weights: tuple[float, ...] = (0.02, 0.005)  # w, held over the run.
    width: float = 4.0  # of the goal's reward, in cells.
    points: int = 40  # of a run at which the hypergradient is compared, over its second half.

    def __post_init__(self):
        for name, least in (("seeds", 2), ("updates", 2), ("points", 1)):
            if getattr(self, name) < least:
                raise BadInput(f"--{name} must be at least {least}: got {getattr(self, name)}.")
        if self.points > self.updates // 2:
            raise BadInput(f"--points must be at most half of the updates, {self.updates // 2}: got {self.points}.")
        if not self.weights or len(set(self.weights)) < len(self.weights) or not min(self.weights) > 0:
            raise BadInput(f"--weights must be different numbers above 0, one at least: got {self.weights}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every estimator, weight and arm; what is done is not done again. Returns: path of the page."""
    problem, found = goal_placement(width=config.width), {}
    for estimator in ESTIMATORS:
        for w in config.weights:
            part, measure = f"{estimator.replace(' ', '-')}-{w:g}", partial(measured, config, problem, estimator, w)
            line = f"{estimator}, w = {w:g}: {len(ARMS)} arms of {config.seeds} starts"
            found[estimator, w] = kept(out, part, measure, say, line)
    return tell(out, study(config, found, sum(part["seconds"] for part in found.values())))


def measured(config: Config, problem: Any, estimator: str, w: float) -> dict[str, Any]:
    """The gap of every start of every arm, and lengths of errors and truth along the runs without clipping."""
    told, oracle, best = {"gaps": {}}, problem.exact, problem.exact.best()[1]
    places = np.linspace(config.updates // 2, config.updates - 1, config.points).astype(int)
    for arm, clipping in ARMS.items():
        step = optax.chain(clipping(), optax.adam(geometric(0.1, 0.002, config.updates)))
        x, seen = followed(config, actor_critic, problem, ESTIMATORS[estimator], w, step)
        told["gaps"][arm] = (in_turn(lambda x: oracle.value(x, oracle.temperature), x) - best).tolist()
        if arm == "no clipping":
            xs, dxs, taus = (np.asarray(leaf)[:, places].reshape(-1, *leaf.shape[2:]) for leaf in seen)
            truth = in_turn(oracle.hypergradient, xs, taus)
            told["errors"] = np.linalg.norm(dxs - truth, axis=1).tolist()
            told["lengths"] = np.linalg.norm(truth, axis=1).tolist()
    return told


def in_turn(function: Callable, *args: Any) -> np.ndarray:
    """A function of the oracle over the first axis of its arguments, in float64."""
    with jax.enable_x64(True):
        wide = tuple(jnp.asarray(np.asarray(leaf), jnp.float64) for leaf in args)
        return np.asarray(hoist(lambda *args: jax.lax.map(lambda one: function(*one), args), *wide)(*wide))


def followed(config: Config, method: Callable, problem: Any, estimator: Any, w: float, step: Any) -> tuple:
    """x at the end [seeds, 2]; and of every update x, its hypergradient and τ."""
    solver = method(problem, steps=config.updates, penalty=w, x_step=step, estimator=estimator)

    def run(key):
        start, key = jax.random.split(key)

        def body(state, k):
            after, info = solver.update(jax.random.fold_in(key, k), state)
            return after, (state.x, info.hypergradient, info.scheduled["temperature"])

        state, seen = jax.lax.scan(body, solver.init(*problem.init(start)), jnp.arange(config.updates))
        return state.x, seen

    keys = jax.random.split(jax.random.key(0), config.seeds)
    return hoist(jax.vmap(run), keys)(keys)


def study(config: Config, found: dict[tuple[str, float], dict], seconds: float) -> Study:
    """What the page tells."""
    gaps, errors = [], []
    better, worse, tails = [], [], {}
    for (estimator, w), part in found.items():
        plain = np.array(part["gaps"]["no clipping"])
        for arm in ARMS:
            values = np.array(part["gaps"][arm])
            told = student(values - plain)
            shown = "–" if arm == "no clipping" else f"{told.mean:+.4f} ({told.low:+.4f} to {told.high:+.4f})"
            near = int(np.sum(values < NEAR))
            gaps.append([estimator, w, arm, float(np.median(values)), float(values.max()), near, shown])
            if arm != "no clipping" and (told.high < 0 or told.low > 0):
                (better if told.high < 0 else worse).append(f"{estimator}, w = {w:g}, {arm} ({told.mean:+.4f})")
        quantiles = np.quantile(part["errors"], (0.5, 0.99, 0.999))
        tails[estimator, w] = quantiles[2] / quantiles[0]
        row = [*map(float, quantiles), float(tails[estimator, w]), float(np.median(part["lengths"]))]
        errors.append([estimator, w, *row])
    is_light = max(tails.values()) < 2 * NORMAL
    answer = (
        f"{'There is little to clip' if is_light else 'There are long tails'}: the 99.9 % quantile of the error of the "
        f"hypergradient over its median is {min(tails.values()):.3g} to {max(tails.values()):.3g}; of two normal "
        f"numbers it is {NORMAL:.3g}. Against no clipping, start by start, the gap is lower beyond chance "
        f"{verdict(better, len(found))}, and higher {verdict(worse, len(found))} (95 % intervals, not corrected for "
        f"their number). {growth(config, errors)}"
    )
    notes = [
        f"{config.seeds} starts each, {config.updates:,} updates of 128 transitions a stream, width {config.width:g}; "
        "w is held, τ and x's step are those of the method's defaults. Arms begin at the same starts and keys.",
        f"Errors at {config.points} updates of each run's second half, ‖dx − ∇Φ_τ(x)‖, bias included; ∇Φ_τ is exact.",
        "Adam divides by the size of what it gets: a fixed level far below all lengths leaves only directions.",
        "Rewards and samples of a finite world are bounded, so its tails end somewhere. This is one problem; where "
        "rewards have long tails themselves the answer may differ. No theorem covers clipping a biased hypergradient.",
    ]
    columns = ["estimator", "w", "before Adam", "median gap", "worst gap", f"below {NEAR:g}", "against no clipping"]
    heads = ["estimator", "w", "median", "99 %", "99.9 %", "99.9 % over median", "median ‖∇Φ_τ‖"]
    tables = [Table("Gaps, exact", columns, gaps), Table("Error of the hypergradient", heads, errors)]
    question = "The noise of a penalty hypergradient may grow as w falls. Are its tails long, and does clipping help?"
    reference = "ours; clipping as in Gorbunov et al., arXiv 2106.05958, outside of what it proves"
    figures = [tail_figure(found), *(gap_figure(key, part) for key, part in found.items())]
    return Study("Clipping a hypergradient", question, answer, figures, tables, notes, reference, seconds)


def verdict(cells: list[str], pairs: int) -> str:
    """How many of the clipped arms, and which."""
    return f"in {len(cells)} of {pairs * (len(ARMS) - 1)}" + (f": {'; '.join(cells)}" if cells else "")


def growth(config: Config, errors: list[list]) -> str:
    """What a smaller w does to the whole of the error, and what the truth is beside it."""
    low, high = min(config.weights), max(config.weights)
    told = []
    for estimator in ESTIMATORS:
        of = {row[1]: row for row in errors if row[0] == estimator}
        told.append(
            f"{estimator}: median error {of[high][2]:.3g} at w = {high:g} and {of[low][2]:.3g} at {low:g}, against a "
            f"median ‖∇Φ_τ‖ of {of[low][6]:.3g}"
        )
    return f"What w does is done to every update, not to a few ({'; '.join(told)})."


def tail_figure(found: dict[tuple[str, float], dict]) -> Figure:
    """The share of updates whose error is above so many medians."""
    lines, shares = [], np.geomspace(1e-3, 1, 50)
    for (estimator, w), part in found.items():
        errors = np.asarray(part["errors"])
        over = np.quantile(errors, 1 - shares) / np.median(errors)
        lines.append(Line(f"{estimator}, w = {w:g}", over.tolist(), shares.tolist()))
    lines.append(Line("two normal numbers", np.sqrt(np.log(1 / shares) / np.log(2)).tolist(), shares.tolist()))
    title = "How long the tails of the hypergradient's error are"
    return Figure("tails", title, "error over its median", "share of updates above", lines, (), False, True)


def gap_figure(key: tuple[str, float], part: dict) -> Figure:
    """The gaps of every start, ascending."""
    estimator, w = key
    lines = [Line(arm, list(range(1, len(gaps) + 1)), sorted(gaps)) for arm, gaps in part["gaps"].items()]
    title = f"Gaps of all starts, ascending: {estimator}, w = {w:g}"
    return Figure(f"gaps-{estimator.split()[0]}-{w:g}".replace(".", "-"), title, "start", "gap", lines, (), False, True)
