"""`upperhand run` and `upperhand resume`: flags to a run folder, and a run folder to its end."""

import dataclasses
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from upperhand.cli.drawing import page
from upperhand.cli.listing import advice, first_line, kind, says, tried
from upperhand.cli.stopping import stoppable
from upperhand.cli.wording import complain, leading
from upperhand.settings import PLANNED, build, builder, names, resolve, restored, settings, settled, stored

SOLVER = "actor_critic"
"""The method where none is given, and the documentation of the problem's file has no line `Try: NAME`."""


def chosen(words: Sequence[str], problem: str = "") -> str:
    """The solver that the words of a command line name, by which its flags are known."""
    found = (tried(problem) if problem else "") or SOLVER
    for word, after in zip(words, [*words[1:], ""], strict=False):
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

    suits = advice(problem).get(solver, {})
    of_solver = {
        key: setting._replace(default=suits.get(key, setting.default))
        for key, setting in settings(builder("solver", solver)).items()
    }
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
    problem_name = resolve("problem", found[0])
    solver_name = chosen(found[1], problem_name)
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
        for_problem, for_solver = settled(vars(given.problem)), dict(vars(given.method))
        if PLANNED in settings(builder("solver", solver_name)):
            for_solver[PLANNED] = given.steps
        problem = build("problem", problem_name, for_problem)
        solver = build("solver", solver_name, for_solver, problem)
        plan = planned(problem, solver, steps=given.steps, every=given.every, seeds=given.seeds)
        config = {"problem": problem_name, "solver": solver_name}
        if kind("problem", problem_name) in ("general", "single"):
            config["says"] = says(problem_name, solver_name)
        config |= {"problem_settings": stored(for_problem), "solver_settings": stored(for_solver)}
        command = shlex.join(["upperhand", "run", *words])
        store.create(out, config | described(plan) | {"command": command})
        return concluded(out, plan.steps, lambda sinks: carry_out(plan, out, sinks))


def resume(out: Path) -> int:
    """`upperhand resume OUT` of a run, or of an arm of a comparison, which is guarded."""
    from upperhand import store

    config = store.read_config(out)
    problem_name, solver_name = resolve("problem", config["problem"]), resolve("solver", config["solver"])
    import jax

    from upperhand.solve import resume as continued
    from upperhand.wrappers import guarded

    with jax.enable_x64(config["precision"] == "float64"):
        for_problem = restored("problem", problem_name, config["problem_settings"])
        problem = build("problem", problem_name, for_problem)
        for_solver = restored("solver", solver_name, config["solver_settings"])
        solver = build("solver", solver_name, for_solver, problem)
        solver = guarded(solver) if config.get("guarded") is True else solver
        return concluded(out, config["steps"], lambda sinks: continued(problem, solver, out, sinks=sinks))


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
