"""`upperhand check PROBLEM`: the hypergradients against the exact one, as a table."""

import dataclasses
from typing import Annotated, Any

import numpy as np
import tyro

from upperhand.cli.flags import group, parse
from upperhand.cli.listing import first_line
from upperhand.console import table
from upperhand.errors import BadInput
from upperhand.settings import build, builder, settings


def options(problem: str) -> Any:
    """The dataclass of the flags of `check`."""

    def flag(name, kind, default, text):
        return name, Annotated[kind, tyro.conf.arg(help=text)], default

    of_problem = group(problem, settings(builder("problem", problem)))
    fields = [
        flag("points", int, 5, "random x, drawn as the problem draws starts."),
        flag("seed", int, 0, "of the draws."),
        flag("temperatures", tuple[float, ...], (0.1, 0.02), "τ, in units of reward."),
        flag("weights", tuple[float, ...], (1.0, 0.1, 0.01), "penalty weights w."),
        ("problem", of_problem, of_problem()),
    ]
    return dataclasses.make_dataclass("Options", fields, frozen=True)


def inquire(problem_name: str, words: list[str]) -> int:
    """Check and print.

    Args:
      problem_name: a problem.
      words: the flags.
    Returns: exit code 0. Raises: BadInput in one line.
    """
    prog = f"upperhand check {problem_name}"
    about = f"The hypergradients of {problem_name} against the exact one. {first_line('problem', problem_name)}"
    given = parse(options(problem_name), words, prog=prog, description=about)
    for name in ("temperatures", "weights"):
        values = getattr(given, name)
        if not values or not all(0 < value < float("inf") for value in values):
            raise BadInput(f"--{name} must be finite numbers above 0, one at least: got {values!r}.")
    if given.points < 1 or not 0 <= given.seed < 2**32 - 1:
        raise BadInput(f"--points must be above 0 and --seed not below: got {given.points} and {given.seed}.")
    import jax

    from upperhand.cli.check import check

    with jax.enable_x64(True):
        problem = build("problem", problem_name, vars(given.problem))
        try:
            findings = check(
                problem, temperatures=given.temperatures, weights=given.weights, points=given.points, seed=given.seed
            )
        except ValueError as error:
            raise BadInput(f"{problem_name}: {error}") from error
    rows = [
        [
            f"{found.temperature:g}",
            found.method,
            "" if found.weight is None else f"{found.weight:g}",
            f"{np.min(found.cosine):.6f}",
            f"{np.median(found.error):.1e}",
            f"{np.max(found.error):.1e}",
        ]
        for found in findings
    ]
    heads = ["τ", "hypergradient", "w", "worst cosine", "median error", "worst error"]
    table(f"{problem_name} at {given.points} random x, float64", heads, rows)
    print("Errors are relative to the exact hypergradient; `exact` itself is against central differences of Φ_τ.")
    return 0
