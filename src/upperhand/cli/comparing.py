"""`upperhand compare`: arms to the folder of a comparison, and such a folder to its end."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from upperhand.cli.arm_words import SYNTAX, arm_of
from upperhand.cli.drawing import page
from upperhand.cli.flags import group, parse
from upperhand.cli.listing import first_line, kind, says
from upperhand.cli.stopping import stoppable
from upperhand.cli.wording import complain, leading
from upperhand.errors import BadInput
from upperhand.settings import build, builder, names, resolve, restored, settings, stored

USAGE = (
    "upperhand compare PROBLEM --solvers ARM ARM … [--samples N | --gradients N | --seconds T] [--seeds N] "
    "[--trials K] [--tuning-seeds N] [--out OUT] [--problem.NAME V]"
)
ABOUT = """Runs every arm on the problem at equal cost, each tuned before with the same trials on seeds of its own: as
given, and with x_step, temperature and penalty scaled. A seed that diverges is counted, and stops nothing."""


class Settled(NamedTuple):
    """A comparison whose settings were checked."""

    contest: Any
    out: Path
    precision: str
    about: dict[str, Any]  # problem, problem_settings, command


def options(problem: str) -> Any:
    """The dataclass of the flags of `compare`."""
    import tyro

    def flag(name, kind, default, text, otherwise=None):
        shown = None if otherwise is None else f"(default: {otherwise})"
        return name, Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint=shown)], default

    of_problem = group(problem, settings(builder("problem", problem)))
    fields = [
        flag("solvers", tuple[str, ...], (), "the arms, one at least.", "none"),
        flag("samples", float | None, None, "budget of each seed, in transitions.", "200000, if no other is given"),
        flag("gradients", float | None, None, "budget of each seed, in gradients and second-order products.", "none"),
        flag("seconds", float | None, None, "budget of all seeds together, in seconds of updates.", "none"),
        flag("seeds", int, 8, "how many starts of each arm run side by side."),
        flag("trials", int, 8, "of tuning, for each arm; 1 for none."),
        flag("tuning_seeds", int, 4, "how many starts of each trial, others than those of the report."),
        flag("out", str | None, None, "the folder, new or empty.", "runs/compare-PROBLEM-TIME"),
        flag("precision", Literal["float32", "float64"], "float32", "of the runs; what judges them is float64."),
        ("problem", of_problem, of_problem()),
    ]
    return dataclasses.make_dataclass("Options", fields, frozen=True)


def compare(words: list[str]) -> int:
    """`upperhand compare PROBLEM`."""
    found = leading(words, "PROBLEM", USAGE)
    if found is None:
        print(f"\n{ABOUT}\n\n{SYNTAX}")
        print(f"\nproblems: {', '.join(names('problem'))}\nsolvers: {', '.join(names('solver'))}")
        return 0
    import jax

    one = settled(words)
    with jax.enable_x64(one.precision == "float64"):
        opened(one)
        return concluded(one.contest, one.out)


def settled(words: list[str]) -> Settled:
    """The comparison that the words of `compare` ask for. Raises: BadInput, before anything is written."""
    problem_name = resolve("problem", words[0])
    about = f"{first_line('problem', problem_name)}\n\n{ABOUT}\n\n{SYNTAX}"
    given = parse(options(problem_name), words[1:], prog=f"upperhand compare {problem_name}", description=about)
    if not given.solvers:
        raise BadInput(f"--solvers is missing, the arms: {', '.join(names('solver'))}.")
    arms = [arm_of(word) for word in given.solvers]
    import jax

    from upperhand import store
    from upperhand.compare import agreed

    out = Path(given.out or f"runs/compare-{problem_name}-{time.strftime('%Y%m%d-%H%M%S')}")
    store.vacant(out)
    budget = {name: getattr(given, name) for name in ("samples", "gradients", "seconds")}
    counts = {"seeds": given.seeds, "trials": given.trials, "tuning_seeds": given.tuning_seeds}
    with jax.enable_x64(given.precision == "float64"):
        problem = build("problem", problem_name, vars(given.problem))
        contest = agreed(problem, arms, budget=budget, **counts)
    told = {"problem": problem_name, "problem_settings": stored(vars(given.problem))}
    if kind("problem", problem_name) in ("general", "single"):
        told["says"] = says(problem_name)
    told["command"] = shlex.join(["upperhand", "compare", *words])
    return Settled(contest, out, given.precision, told)


def opened(one: Settled) -> None:
    """The folder of a comparison, with its compare.json."""
    from upperhand.compare import begin

    begin(one.contest, one.out, one.about)


def resume(out: Path) -> int:
    """`upperhand resume OUT` of a comparison."""
    import jax

    one = reopened(out)
    with jax.enable_x64(one.precision == "float64"):
        return concluded(one.contest, out)


def reopened(out: Path) -> Settled:
    """The comparison of a folder. Raises: BadInput where the folder is damaged."""
    import jax

    from upperhand.arms import armed
    from upperhand.compare import agreed
    from upperhand.comparison_store import read

    config = read(out)
    problem_name = resolve("problem", config["problem"])
    with jax.enable_x64(config["precision"] == "float64"):
        problem = build("problem", problem_name, restored("problem", problem_name, config["problem_settings"]))
        arms = []
        for told in config["arms"]:
            name = resolve("solver", told["solver"])
            full = restored("solver", name, told["defaults"] | told["solver_settings"])
            arm = armed(told["label"], builder("solver", name), full)
            arms.append(arm._replace(given=tuple(told["solver_settings"])))
        counts = {"seeds": config["seeds"], "trials": config["tuning"]["trials"]}
        budget = {config["currency"]: config["budget"]}
        contest = agreed(problem, arms, budget=budget, **counts, tuning_seeds=config["tuning"]["seeds"])
    return Settled(contest, out, config["precision"], {})


def concluded(contest: Any, out: Path) -> int:
    """A comparison carried out; after Ctrl-C, how to go on."""
    try:
        carried(contest, out)
    except KeyboardInterrupt:
        return complain(f"interrupted; what was done is in {out}. Continue with `upperhand resume {out}`.", 130)
    return 0


def carried(contest: Any, out: Path) -> None:
    """A comparison carried out, then what it found is printed and its page drawn. KeyboardInterrupt goes through."""
    from upperhand import console
    from upperhand.compare import fulfil
    from upperhand.store import read_summary

    is_terminal = sys.stdout.isatty()

    def watching(stop: Callable) -> Callable:
        def watch(label, phase, steps):
            name = f"{label}: {phase}" if phase == "tuning" else label
            return [stop] if is_terminal else [console.plain_lines(steps, name), stop]

        return watch

    with stoppable() as stop:
        fulfil(contest, out, watching(stop))
    drawn = page(out)
    console.ranking(read_summary(out))
    print(f"page: {drawn}")
