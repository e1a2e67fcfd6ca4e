"""Where V-PBGD ends from many starts on a winding valley, and how far from a minimum its penalty leaves it.

Each start is followed until its projected gradient (of the penalised objective, in x and y) is small. Claimed: every
one ends near a local minimum of Φ, and its distance is proportional to w.

Takes: about 20 seconds on two cores.
Reference: Shen, T. Chen, "On Penalty-based Bilevel Gradient Descent Method" (arXiv 2302.05185): problem, starts, steps
and stopping from the authors' code, with the right derivative of upper.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments.study import Figure, Line, Mark, Study, Table, tell
from upperhand.problems.valley import minima, valley
from upperhand.solvers.v_pbgd import v_pbgd
from upperhand.types import Scaled


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    starts: int = 1000  # drawn uniformly.
    weights: tuple[float, ...] = (0.1, 0.03, 0.01)  # penalty weights w, from the largest.
    step: float = 0.1  # of x and y, times w, and of the second copy of y.
    loops: int = 5  # steps of the second copy in an update.
    small: float = 1e-5  # projected gradient at which a start has ended.
    updates: int = 100_000  # at most.
    seed: int = 0  # of the starts.

    def __post_init__(self):
        for name in ("starts", "loops", "updates"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name} must be at least 1: got {getattr(self, name)}.")
        for name in ("step", "small"):
            if not 0 < getattr(self, name) < 1:
                raise BadInput(f"--{name} must be between 0 and 1: got {getattr(self, name)}.")
        falls = all(first > second for first, second in zip(self.weights, self.weights[1:], strict=False))
        if len(self.weights) < 2 or not falls or not all(0 < w <= 1 for w in self.weights):
            raise BadInput(f"--weights must be two or more falling numbers above 0, at most 1: got {self.weights}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """All starts at every w. Returns: path of the page."""
    began = time.perf_counter()
    say(f"{config.starts} starts at {len(config.weights)} penalty weights")
    found = measured(config)
    return tell(out, study(config, found, time.perf_counter() - began))


def measured(config: Config) -> dict[str, np.ndarray]:
    """x [weights, starts] where each start ended, y, and how many updates that took; `updates` where it did not end."""
    problem = valley()

    def follow(w, key):
        step = config.step
        solver = v_pbgd(problem, loops=config.loops, x_step=step, y_step=step, omega_step=step, penalty=Scaled(1.0, w))

        def is_going(carry):
            return (carry[1] > config.small) & (carry[0].count < config.updates)

        def body(carry):
            state = carry[0]
            after = solver.update(key, state)[0]
            move = jnp.concatenate([after.x - state.x, after.y - state.y])
            return after, jnp.linalg.norm(move) / (step * w)

        state, size = jax.lax.while_loop(is_going, body, body((solver.init(*problem.init(key)), jnp.inf)))
        return {"x": state.x[0], "y": state.y[0], "updates": state.count, "ended": size <= config.small}

    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(config.seed), config.starts)
        many = jax.jit(jax.vmap(follow, (None, 0)))
        found = [many(jnp.asarray(w, float), keys) for w in config.weights]
        return {name: np.stack([np.asarray(part[name]) for part in found]) for name in found[0]}


def distances(found: dict[str, np.ndarray]) -> np.ndarray:
    """[weights, starts] from x to the nearest local minimum of Φ."""
    return np.abs(found["x"][..., None] - minima()).min(-1)


def study(config: Config, found: dict[str, np.ndarray], seconds: float) -> Study:
    """What the page tells."""
    away, gaps = distances(found), np.abs(found["x"] + found["y"])
    rows = [
        [w, int(found["ended"][i].sum()), away[i].mean(), away[i].max(), gaps[i].max(), found["updates"][i].mean()]
        for i, w in enumerate(config.weights)
    ]
    ratio, weights = away.max(1) / away.max(1)[-1], np.array(config.weights)
    expected = weights / weights[-1]
    is_linear = bool(np.all(np.abs(ratio / expected - 1) < 0.15))
    said = f"from {away[0].max():.2g} at w = {weights[0]:g} to {away[-1].max():.2g} at w = {weights[-1]:g}"
    is_all = bool(found["ended"].all()) and away[0].max() < 0.1
    answer = (
        f"{'All' if is_all else 'Not all'} {config.starts} starts ended within 0.1 of a local minimum of Φ. The "
        f"largest distance went {said}: {ratio[0]:.1f} times less for {expected[0]:g} times less w, which is "
        f"{'proportional' if is_linear else 'NOT proportional'} (within 15 %). The price is updates: "
        f"{found['updates'][0].mean():.0f} against {found['updates'][-1].mean():.0f} on average."
    )
    shares = np.stack([(np.abs(found["x"] - x) < 0.1).mean(1) for x in minima()], 1)
    values = [float(valley().exact.value(jnp.asarray([x]))) for x in minima()]
    return Study(
        "Distance to a minimum is proportional to the penalty weight",
        "Where does V-PBGD end on a problem with three local minima, and how far off does a finite penalty leave it?",
        answer,
        [
            Figure(
                "distance", "Distance of x to the nearest local minimum", "penalty weight w", "distance",
                [Line("largest", weights, away.max(1)), Line("mean", weights, away.mean(1))], x_log=True, y_log=True,
            ),
            Figure(
                "ends", f"Where starts end, w = {weights[-1]:g}", "start, in order of its end", "x at the end",
                [Line("starts", np.arange(config.starts), np.sort(found["x"][-1]), dots=True)],
                [Mark(f"local minimum {x:.4f}", float(x)) for x in minima()],
            ),
        ],
        [
            Table(
                "At every penalty weight",
                ["w", "ended", "mean distance", "largest distance", "largest |y − y*(x)|", "mean updates"], rows,
                "distance: of x to the nearest local minimum of Φ.",
            ),
            Table(
                "Where starts ended", ["local minimum", "Φ", *(f"share at w = {w:g}" for w in weights)],
                [[x, value, *share] for x, value, share in zip(minima(), values, shares.T, strict=True)],
            ),
        ],
        [
            f"A start has ended where its projected gradient is at most {config.small:g}; steps are {config.step:g}·w "
            f"in x and y, {config.step:g} in the second copy of y, which takes {config.loops} in an update.",
            "Which minimum is reached depends on the start: ending at a local one is the claim, not at the best.",
            "A finite w is never exact: y is off by a multiple of w.",
        ],
        "Shen, T. Chen, On Penalty-based Bilevel Gradient Descent Method, arXiv 2302.05185, ICML 2023",
        seconds,
    )  # fmt: skip
