"""The command line: list, run, check, resume, report."""

import contextlib
import dataclasses
import shlex
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from upperhand.cli.listing import first_line
from upperhand.errors import BadInput, Diverged
from upperhand.settings import (
    PLANNED,
    build,
    builder,
    names,
    resolve,
    restored,
    settings,
    stored,
    unknown,
)

SOLVER = "actor_critic"
"""The method where none is given."""
USAGE = """usage: upperhand COMMAND ...

Bilevel reinforcement learning: choose the reward, knowing that the agent will do what is best for itself.

  list             problems and solvers, a line each
  run PROBLEM      run a solver on a problem from several seeds, into a run folder
  check PROBLEM    the hypergradients against the exact one
  resume OUT       continue a run that was stopped
  report OUT       draw the figures and the page of a run folder

upperhand COMMAND --help tells more; upperhand --version tells the version.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
      argv: the words after `upperhand`; those of the process where not given.
    Returns: the exit code: 0, 1 where a run diverged, 2 for bad input (one line on stderr), 130 after Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # overflows, which Diverged tells of
        warnings.showwarning = lambda message, *rest: complain(f"warning: {message}")
        try:
            return dispatch(words)
        except (BadInput, OSError) as error:
            return complain(error, 2)
        except Diverged as error:
            return complain(error, 1)
        except KeyboardInterrupt:
            return complain("interrupted.", 130)
        except SystemExit as stop:  # tyro ends so after its help
            return int(stop.code or 0)


def complain(message: object, code: int = 0) -> int:
    """Print one line on stderr; returns the exit code."""
    print(f"upperhand: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def dispatch(words: list[str]) -> int:
    """The command that the first word names, with the others."""
    if not words or words[0] in ("-h", "--help", "help"):
        print(USAGE, end="")
        return 0
    if words[0] in ("--version", "version"):
        from importlib.metadata import version

        print(f"upperhand {version('upperhand')}")
        return 0
    commands = {"list": list_all, "run": run, "check": check, "resume": resume, "report": report}
    if words[0] not in commands:
        raise unknown("command", words[0], commands, f"It must be one of {', '.join(commands)}.")
    return commands[words[0]](words[1:])


def list_all(words: list[str]) -> int:
    """`upperhand list`."""
    if {"-h", "--help"} & set(words):
        print("usage: upperhand list\n\nProblems and solvers, each with the first line of its documentation.")
        return 0
    if words:
        raise BadInput(f"list takes no argument: got {words[0]!r}.")
    from upperhand.console import table

    for room in ("problem", "solver"):
        table(f"{room}s", [room, ""], [[name, first_line(room, name)] for name in names(room)], left=2)
    print("upperhand run PROBLEM --solver SOLVER --help shows their settings.")
    return 0


def leading(words: list[str], what: str, usage: str) -> tuple[str, list[str]] | None:
    """The first word and the rest; None after the help was printed, where it was asked for first."""
    if words and words[0] in ("-h", "--help"):
        print(f"usage: {usage}")
        return None
    if not words or words[0].startswith("-"):
        raise BadInput(f"{what} is missing: {usage}.")
    return words[0], words[1:]


def chosen(words: Sequence[str]) -> str:
    """The solver that the words of a command line name, by which its flags are known."""
    found = SOLVER
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--solver="):
            found = word.split("=", 1)[1]
        elif word == "--solver":
            found = after
    return resolve("solver", found)


def options(problem: str, solver: str) -> Any:
    """The dataclass of the flags of `run`."""
    import tyro

    from upperhand.cli.flags import group

    def flag(name, kind, default, text, otherwise=None):
        shown = None if otherwise is None else f"(default: {otherwise})"
        return name, Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint=shown)], default

    of_solver = settings(builder("solver", solver))
    groups = {"problem": group(problem, settings(builder("problem", problem))), "method": group(solver, of_solver)}
    planned = of_solver[PLANNED].default if PLANNED in of_solver else 1000
    fields = [
        flag("solver", str, solver, "the method; its settings are the --method flags."),
        flag("seeds", int, 8, "how many starts run side by side; a seed fixes its start and every draw."),
        flag("steps", int, planned, "updates, over which the method's schedules attenuate."),
        flag("every", int | None, None, "updates between two rows.", "a hundredth of the steps"),
        flag("out", str | None, None, "the run folder, new or empty.", "runs/PROBLEM-SOLVER-TIME"),
        flag("precision", Literal["float32", "float64"], "float32", "of the run; what judges it is float64."),
    ]
    fields += [(name, kind, kind()) for name, kind in groups.items()]
    return dataclasses.make_dataclass("Options", fields, frozen=True)


def run(words: list[str]) -> int:
    """`upperhand run PROBLEM`."""
    usage = (
        "upperhand run PROBLEM [--solver S] [--seeds N] [--steps N] [--out OUT] [--problem.NAME V] [--method.NAME V]"
    )
    found = leading(words, "PROBLEM", usage)
    if found is None:
        print(f"\nproblems: {', '.join(names('problem'))}\nsolvers: {', '.join(names('solver'))}")
        print("\nupperhand run PROBLEM --solver SOLVER --help shows their settings.")
        return 0
    problem_name, solver_name = resolve("problem", found[0]), chosen(found[1])
    from upperhand.cli.flags import parse

    prog = f"upperhand run {problem_name} --solver {solver_name}"
    about = f"{first_line('problem', problem_name)}\n\nSolver {solver_name}: {first_line('solver', solver_name)}"
    given = parse(options(problem_name, solver_name), found[1], prog=prog, description=about)
    import jax

    from upperhand import store
    from upperhand.solve import carry_out, described, planned, whole_number

    for name in ("seeds", "steps", *(["every"] if given.every is not None else [])):
        whole_number(f"--{name}", getattr(given, name))
    out = Path(given.out or f"runs/{problem_name}-{solver_name}-{time.strftime('%Y%m%d-%H%M%S')}")
    store.vacant(out)
    with jax.enable_x64(given.precision == "float64"):
        for_problem, for_solver = vars(given.problem), dict(vars(given.method))
        if PLANNED in settings(builder("solver", solver_name)):
            for_solver[PLANNED] = given.steps
        problem = build("problem", problem_name, for_problem)
        solver = build("solver", solver_name, for_solver, problem)
        plan = planned(problem, solver, steps=given.steps, every=given.every, seeds=given.seeds)
        config = {"problem": problem_name, "solver": solver_name}
        config |= {"problem_settings": stored(for_problem), "solver_settings": stored(for_solver)}
        command = shlex.join(["upperhand", "run", *words])
        store.create(out, config | described(plan) | {"command": command})
        return concluded(out, plan.steps, lambda sinks: carry_out(plan, out, sinks))


def resume(words: list[str]) -> int:
    """`upperhand resume OUT`."""
    out = only_folder(words, "resume", "Continues a run that was stopped; it ends as if it had not been stopped.")
    if out is None:
        return 0
    from upperhand import store

    config = store.read_config(out)
    problem_name, solver_name = resolve("problem", config["problem"]), resolve("solver", config["solver"])
    import jax

    from upperhand.solve import resume as continued

    with jax.enable_x64(config["precision"] == "float64"):
        for_problem = restored("problem", problem_name, config["problem_settings"])
        problem = build("problem", problem_name, for_problem)
        for_solver = restored("solver", solver_name, config["solver_settings"])
        solver = build("solver", solver_name, for_solver, problem)
        return concluded(out, config["steps"], lambda sinks: continued(problem, solver, out, sinks=sinks))


def only_folder(words: list[str], command: str, about: str) -> Path | None:
    """The run folder that is a command's only argument; None after the help was printed."""
    usage = f"upperhand {command} OUT"
    found = leading(words, "OUT", usage)
    if found is None or {"-h", "--help"} & set(found[1]):
        print(f"\n{about}" if found is None else f"usage: {usage}\n\n{about}")
        return None
    if found[1]:
        raise BadInput(f"{command} takes one folder and nothing else: got {found[1][0]!r} besides.")
    return Path(found[0])


def concluded(out: Path, steps: int, job: Callable) -> int:
    """A job done, then what it found is printed and its page drawn; after Ctrl-C, how to go on."""
    from upperhand import console, store

    lines = [] if sys.stdout.isatty() else [console.plain_lines(steps)]
    try:
        with stoppable() as stop:
            result = job([*lines, stop])
    except KeyboardInterrupt:
        return complain(f"interrupted; what was done is in {out}. Continue with `upperhand resume {out}`.", 130)
    seeds = store.read_config(out)["seeds"]
    console.results(store.read_summary(out), result.rows[: len(seeds)])
    print(f"page: {page(out)}")
    return 0


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[Any, Any], None]]:
    """A sink that stops the run after Ctrl-C, once the chunk under way is done; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda row, state: None
        return
    asked = []

    def ask(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    def sink(row, state):
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield sink
    finally:
        signal.signal(signal.SIGINT, before)


def page(out: Path) -> Path:
    """The page of a run folder, drawn. Raises: BadInput where the folder is damaged."""
    from upperhand.report.page import write

    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error


def report(words: list[str]) -> int:
    """`upperhand report OUT`."""
    out = only_folder(words, "report", "Draws the figures and the page of a run folder.")
    if out is not None:
        print(f"page: {page(out)}")
    return 0


def check(words: list[str]) -> int:
    """`upperhand check PROBLEM`."""
    found = leading(words, "PROBLEM", "upperhand check PROBLEM [--points N] [--temperatures T ...] [--weights W ...]")
    if found is None:
        print(f"\nproblems: {', '.join(names('problem'))}")
        return 0
    from upperhand.cli.inquiry import inquire

    return inquire(resolve("problem", found[0]), found[1])
