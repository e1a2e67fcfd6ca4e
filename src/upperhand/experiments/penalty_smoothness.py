"""Must x's step shrink with the penalty weight? ALT-PBGD, whose penalty is a function of x alone, and V-PBGD.

On quadratics, from the same start, until ‖∇Φ‖ is small: updates of ALT-PBGD with one step size for every w, and of
V-PBGD, a joint penalty method, with the largest step that its smoothness allows, w/(λ + w), λ the largest curvature of
lower in (x, y).

Takes: about 2 minutes on two cores, nearly all of them for V-PBGD at the smallest w.
Reference: derived, for "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates, and Flatness
Condition" (arXiv 2511.16796): the claim is the paper's (its Theorem 3.1, by its first author's public page), the
problem is ours.
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
from upperhand.forms import Bilevel
from upperhand.problems.tilted_quadratic import tilted_quadratic
from upperhand.solver import Solver
from upperhand.solvers.alt_pbgd import alt_pbgd
from upperhand.solvers.v_pbgd import v_pbgd
from upperhand.types import Scaled


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    weights: tuple[float, ...] = (0.1, 0.01, 0.001)  # penalty weights w.
    loops: tuple[int, ...] = (1, 5, 60)  # inner steps of ALT-PBGD; V-PBGD takes the largest.
    step: float = 0.5  # x's step of ALT-PBGD, for every w.
    small: float = 1e-3  # ‖∇Φ‖ at which a method has arrived.
    updates: int = 200_000  # at most.
    numbers: int = 20  # length of x and of y.
    seed: int = 0  # of the problem.

    def __post_init__(self):
        for name in ("updates", "numbers"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name} must be at least 1: got {getattr(self, name)}.")
        for name in ("step", "small"):
            if not 0 < getattr(self, name) < 2:
                raise BadInput(f"--{name} must be between 0 and 2: got {getattr(self, name)}.")
        if not self.weights or not all(0 < w <= 1 for w in self.weights):
            raise BadInput(f"--weights must be numbers above 0, at most 1: got {self.weights}.")
        if not self.loops or min(self.loops) < 1:
            raise BadInput(f"--loops must be whole numbers of at least 1: got {self.loops}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every method at every w; what is done is not done again. Returns: path of the page."""
    makers = {"alt": alternating, "joint": joint, "bold": bold}
    parts, many = {}, len(config.weights)
    for name, make in makers.items():
        measure = jax.enable_x64(True)(partial(make, config))
        parts[name] = kept(out, name, measure, say, f"{name}: {many} penalty weights")
    return tell(out, study(config, parts))


def arrived(config: Config, problem: Bilevel, made: Callable[[Any], Solver], updates: int) -> dict[str, list[float]]:
    """Updates until ‖∇Φ‖ is small, or `updates`, and ‖∇Φ‖ then, at every w.

    Args:
      config: the settings.
      problem: with its oracle.
      made: w, which may be traced, → Solver.
      updates: at most.
    """

    def follow(w):
        solver = made(w)
        size = lambda state: jnp.linalg.norm(problem.exact.hypergradient(state.x))  # noqa: E731
        body = lambda state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
        is_going = lambda state: (size(state) > config.small) & (size(state) < 1e6) & (state.count < updates)  # noqa: E731
        end = jax.lax.while_loop(is_going, body, solver.init(*problem.init(jax.random.key(0))))
        return end.count, size(end)

    counts, sizes = jax.jit(jax.vmap(follow))(jnp.asarray(config.weights, float))
    return {
        "updates": np.asarray(counts).tolist(),
        "size": np.nan_to_num(np.asarray(sizes), nan=1e300, posinf=1e300).tolist(),
    }


def curvature(problem: Bilevel, numbers: int) -> float:
    """λ, the largest curvature of lower in (x, y) together."""
    whole = lambda z: problem.lower(z[:numbers], z[numbers:], None)  # noqa: E731
    return float(np.linalg.eigvalsh(jax.hessian(whole)(jnp.zeros(2 * numbers)))[-1])


def alternating(config: Config) -> dict[str, Any]:
    """ALT-PBGD for every number of inner steps."""
    problem = tilted_quadratic(numbers=config.numbers, seed=config.seed)

    def rows(loops):
        made = lambda w: alt_pbgd(  # noqa: E731
            problem, loops=loops, x_step=config.step, y_step=0.2, penalty=Scaled(1.0, w)
        )
        return arrived(config, problem, made, min(config.updates, 10_000))

    return {"rows": [{"loops": loops} | rows(loops) for loops in config.loops]}


def joint(config: Config) -> dict[str, Any]:
    """V-PBGD with the step that its smoothness allows."""
    problem = tilted_quadratic(numbers=config.numbers, seed=config.seed)
    most = curvature(problem, config.numbers)

    def made(w):
        step = Scaled(1.0, 1 / (most + w))  # times min(w, 1)
        loops = max(config.loops)
        return v_pbgd(problem, loops=loops, x_step=step, y_step=step, omega_step=0.2, penalty=Scaled(1.0, w))

    return {"curvature": most} | arrived(config, problem, made, config.updates)


def bold(config: Config) -> dict[str, Any]:
    """V-PBGD with the step of ALT-PBGD."""
    problem = tilted_quadratic(numbers=config.numbers, seed=config.seed)

    def made(w):
        step = Scaled(config.step, 1 / w)  # times min(w, 1)
        loops = max(config.loops)
        return v_pbgd(problem, loops=loops, x_step=step, y_step=step, omega_step=0.2, penalty=Scaled(1.0, w))

    return arrived(config, problem, made, 1000)


def reached(config: Config, row: dict[str, Any]) -> list[int | None]:
    """Updates at every w; None where the method had not arrived."""
    return [count if size <= config.small else None for count, size in zip(row["updates"], row["size"], strict=True)]


def answered(config: Config, parts: dict[str, Any], alt: dict[int, list[int | None]], joint: list[int | None]) -> str:
    """The answer, as it came out."""
    weights, shown = config.weights, ", ".join("-" if count is None else str(count) for count in alt[max(alt)])
    counts = [count for row in alt.values() for count in row]
    is_flat = None not in counts and max(counts) <= 1.25 * min(counts)
    grows = all(
        late is None or (early is not None and late / early > 0.5 * a / b)
        for early, late, a, b in zip(joint, joint[1:], weights, weights[1:], strict=False)
    )
    most = f"more than {config.updates:,}"
    told = ", ".join(
        f"{count:,} at w = {w:g}" if count is not None else f"{most} at w = {w:g} (‖∇Φ‖ still {size:.2g})"
        for count, w, size in zip(joint, weights, parts["joint"]["size"], strict=True)
    )
    diverged = sum(size >= 1e6 for size in parts["bold"]["size"])
    return (
        f"ALT-PBGD took {shown} updates at w = {', '.join(f'{w:g}' for w in weights)} with one step size"
        f"{'' if is_flat else ', but NOT as many with every number of inner steps'}; the joint method, with steps "
        f"that shrink with w, took {told}, which {'grows about like 1/w' if grows else 'does NOT grow like 1/w'}. With "
        f"the step of ALT-PBGD it diverged at {diverged} of {len(weights)} weights."
    )


def study(config: Config, parts: dict[str, Any]) -> Study:
    """What the page tells."""
    weights, joint = np.array(config.weights), reached(config, parts["joint"])
    alt = {row["loops"]: reached(config, row) for row in parts["alt"]["rows"]}
    product = [None if count is None else count * w for count, w in zip(joint, config.weights, strict=True)]
    order = np.argsort(weights)

    def curve(label, row):
        return Line(label, weights[order], [np.nan if row[i] is None else row[i] for i in order])

    answer = answered(config, parts, alt, joint)
    columns = ["w", *(f"ALT-PBGD, {loops} inner" for loops in alt), "V-PBGD", "its ‖∇Φ‖", "its updates · w"]
    numbers = f"{config.step:g} for ALT-PBGD; w/(λ + w) for V-PBGD, λ = {parts['joint']['curvature']:.4g}"
    return Study(
        "One step size for every penalty weight",
        "A joint penalty method is as stiff as 1/w. Is a penalty that is a function of x alone?",
        answer,
        [
            Figure(
                "updates", f"Updates until ‖∇Φ‖ ≤ {config.small:g}", "penalty weight w", "updates",
                [*(curve(f"ALT-PBGD, {loops} inner", row) for loops, row in alt.items()), curve("V-PBGD", joint)],
                x_log=True, y_log=True,
            )
        ],
        [
            Table(
                "Updates until the gradient is small", columns,
                [
                    [w, *(row[i] for row in alt.values()), joint[i], parts["joint"]["size"][i], product[i]]
                    for i, w in enumerate(config.weights)
                ],
                f"Steps of x: {numbers}. A dash: not within the updates allowed.",
            )
        ],
        [
            "Updates are counted, not gradients: with K inner steps one costs 3K + 3 in ALT-PBGD, K + 5 in V-PBGD.",
            "On quadratics the errors of both inner copies cancel from the same start, so that one inner step does. "
            "This is not so in general: see flat_upper.",
            "∇F_w = ∇Φ here at every w, since upper is linear in y: the penalty has no error of its own.",
        ],
        "Jiang, Xiao, L. Chen, T. Chen, Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel Updates, and "
        "Flatness Condition, arXiv 2511.16796",
        sum(part["seconds"] for part in parts.values()),
    )  # fmt: skip
