"""`upperhand check PROBLEM`: the hypergradients against the exact one, as a table."""

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import tyro

from upperhand.cli.flags import group, parse
from upperhand.cli.listing import first_line
from upperhand.console import table, waiting
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
        flag("temperatures", tuple[float, ...], (0.1, 0.02), "τ, in units of reward; of worlds."),
        flag("weights", tuple[float, ...], (1.0, 0.1, 0.01), "penalty weights w."),
        flag("draws", int, 40, "estimates of each sampled estimator at each x, of worlds; 0 leaves them out."),
        flag("batch", tuple[int, int], (32, 4), "chains and their steps in an estimate; or so many whole episodes."),
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
    if given.draws < 0 or given.draws == 1 or min(given.batch) < 1:
        raise BadInput(f"--draws must be 0 or above 1 and --batch above 0: got {given.draws} and {given.batch}.")
    import jax

    from upperhand.cli.check import check
    from upperhand.forms import Bilevel, BilevelRL, Minimise, Return, Tabular

    with jax.enable_x64(True):
        problem = build("problem", problem_name, vars(given.problem))
        if isinstance(problem, Bilevel | Minimise):
            return show_general(problem_name, problem, given)
        if not isinstance(problem, BilevelRL):
            what = f"{problem_name} is of the form {type(problem).__name__}"
            raise BadInput(f"check is for Bilevel and Minimise problems and finite worlds, and {what}.")
        if not isinstance(problem.upper, Return | Tabular):
            raise BadInput(f"check is for finite worlds, and {problem_name} is one of texts.")
        options_of = {"temperatures": given.temperatures, "weights": given.weights}
        try:
            show(problem_name, given.points, check(problem, **options_of, points=given.points, seed=given.seed))
            if given.draws and isinstance(problem.upper, Return):
                sample(problem, given, options_of)
        except ValueError as error:
            raise BadInput(f"{problem_name}: {error}") from error
    if given.draws and not isinstance(problem.upper, Return):
        print("No sampled estimator takes an upper objective that is not linear in the occupancy.")
    return 0


def show_general(problem_name: str, problem: Any, given: Any) -> int:
    """Check a general problem and print how its hypergradients do. Returns: exit code 0. Raises: BadInput."""
    from upperhand.cli.general_check import BATCHES, check_general, is_noisy
    from upperhand.forms import Minimise

    try:
        findings = check_general(problem, weights=given.weights, points=given.points, seed=given.seed)
    except ValueError as error:
        raise BadInput(f"{problem_name}: {error}") from error
    table(f"{problem_name} at {given.points} random x, float64", HEADS, list(map(cells, findings)), left=1)
    print(
        "Errors are relative to the exact hypergradient; `exact` itself is against central differences of Φ"
        f"{' without l1 ‖x‖₁' if getattr(problem, 'l1', 0) else ''}."
    )
    if isinstance(problem, Minimise):
        print("There is no lower level: `exact` is the gradient.")
    elif len(findings) == 1:
        why = "x and y are coupled by constraints" if problem.constraint is not None else "it has several tasks"
        print(f"{why[:1].upper()}{why[1:]}, which `implicit` and `value_penalty` are not made for.")
    elif is_noisy(problem):
        print(f"`implicit` and `value_penalty` are of means over {BATCHES} batches, the same for all x: noise is left.")
    if any(np.isnan(found.error).any() for found in findings):
        print("A dash: the y that minimises w upper + lower is not an allowed one.")
    return 0


HEADS = ["hypergradient", "w", "worst cosine", "median error", "worst error"]


def cells(found: Any) -> list[str]:
    """A finding under HEADS; a dash where a figure is not a number."""
    figures = ((np.min(found.cosine), ".6f"), (np.median(found.error), ".1e"), (np.max(found.error), ".1e"))
    told = ["–" if np.isnan(figure) else format(figure, form) for figure, form in figures]
    return [found.method, "" if found.weight is None else f"{found.weight:g}", *told]


def show(problem_name: str, points: int, findings: Sequence[Any]) -> None:
    """Print how the exact hypergradients do."""
    rows = [[f"{found.temperature:g}", *cells(found)] for found in findings]
    table(f"{problem_name} at {points} random x, float64", ["τ", *HEADS], rows)
    print("Errors are relative to the exact hypergradient; `exact` itself is against central differences of Φ_τ.")


def sample(problem: Any, given: Any, options_of: dict[str, Any]) -> None:
    """Measure the sampled estimators and print how they do, an estimator as it is done."""
    from upperhand.cli.check import drawn
    from upperhand.cli.sampled import measure

    xs, rows, stated = drawn(problem, given.points, given.seed), [], {}
    with waiting("sampling") as say:
        for found in measure(problem, xs, **options_of, draws=given.draws, batch=given.batch, seed=given.seed):
            say(f"{found.method} at τ = {found.temperature:g}")
            stated[found.method] = found.words
            rows.append(
                [
                    found.method,
                    f"{found.temperature:g}",
                    "" if found.weight is None else f"{found.weight:g}",
                    f"{np.min(found.cosine):.3f}",
                    f"{np.median(found.bias):.3f}",
                    f"{np.median(found.stated):.3f}",
                    f"{found.off:+.1f}",
                    f"{np.median(found.noise):.3g}",
                ]
            )
    rows.sort(key=lambda row: -float(row[1]))
    heads = ["estimator", "τ", "w", "cosine", "bias", "stated", "off", "noise"]
    table(f"sampled, {given.draws} estimates at each x", heads, rows, left=1)
    print(
        "At exact policies, nothing learnt; relative to ‖∇Φ_τ‖, medians over x.\n"
        "cosine, bias: of the mean estimate.  stated: the bias that theory gives it.\n"
        "off: distance of the mean to that, along ∇Φ_τ over all x, in standard errors.\n"
        "noise: standard deviation of an estimate, times the root of its transitions."
    )
    print("Stated biases: " + ".  ".join(f"{name}: {words}" for name, words in stated.items()) + ".")
