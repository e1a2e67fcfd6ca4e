"""`upperhand reproduce`: an experiment carried out in a folder, and such a folder to its end."""

import ast
import dataclasses
import inspect
import json
import re
import shlex
import time
import typing
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from upperhand.cli.comparing import carried, opened, reopened, settled
from upperhand.cli.drawing import experiment, page
from upperhand.cli.flags import parse
from upperhand.cli.listing import documentation, first_line
from upperhand.cli.wording import complain, leading
from upperhand.errors import BadInput
from upperhand.experiments.cell import Cell
from upperhand.settings import argument_texts, as_tuple, files, names, stored, unknown
from upperhand.store import EXPERIMENT, is_comparison, is_experiment, vacant, versions, write_whole

USAGE = "upperhand reproduce NAME [--seeds N] [--out OUT] …"
ABOUT = """Carries out an experiment in a folder: figure.png, table.json, table.md and a page. The same command again
with the same OUT goes on where it was stopped, and what is finished is not run again."""


def experiments() -> list[str]:
    """The files of the room of experiments that have a Config, by their names; none is imported."""

    def is_one(name):
        body = ast.parse(files("experiment")[name][0].read_text(encoding="utf-8")).body
        return any(isinstance(node, ast.ClassDef) and node.name == "Config" for node in body)

    return [name for name in names("experiment") if is_one(name)]


def lasting(name: str) -> str:
    """The line `Takes: …` of an experiment's documentation, or nothing."""
    lines = documentation("experiment", name).splitlines()
    return next((line for line in lines if line.startswith("Takes: ")), "")


def list_all() -> int:
    """`upperhand reproduce` alone."""
    from upperhand.console import table

    rows = [[name, "\n".join(filter(None, [first_line("experiment", name), lasting(name)]))] for name in experiments()]
    table("experiments", ["experiment", ""], rows, left=2)
    print("upperhand reproduce NAME --help shows its settings.")
    return 0


def reproduce(words: list[str]) -> int:
    """`upperhand reproduce NAME`."""
    if not words:
        return list_all()
    found = leading(words, "NAME", USAGE)
    if found is None:
        print(f"\n{ABOUT}\n\nexperiments: {', '.join(experiments())}")
        return 0
    name = known(found[0])
    program = experiment(name)
    about = f"{first_line('experiment', name)}\n{lasting(name)}\n\n{ABOUT}"
    given = parse(options(program.Config, name), found[1], prog=f"upperhand reproduce {name}", description=about)
    config = program.Config(**{field.name: getattr(given, field.name) for field in dataclasses.fields(program.Config)})
    out = Path(given.out or f"runs/{name}-{time.strftime('%Y%m%d-%H%M%S')}")
    return pursued(program, name, config, out, shlex.join(["upperhand", "reproduce", *words]))


def known(name: str) -> str:
    """The experiment's name, dashes allowed. Raises: BadInput with the nearest name."""
    there = experiments()
    if name.replace("-", "_") not in there:
        raise unknown("experiment", name, there, "`upperhand reproduce` shows what there is.")
    return name.replace("-", "_")


def options(config: type, name: str) -> Any:
    """The dataclass of the flags: the fields of an experiment's Config, and the folder."""
    import tyro

    comments = dict(re.findall(r"^    (\w+): .*?  # (.*)$", inspect.getsource(config), re.MULTILINE))
    texts, hints = argument_texts(inspect.getdoc(config) or "") | comments, typing.get_type_hints(config)
    shown = lambda default: "" if default == () else None  # noqa: E731
    fields = [
        (
            field.name,
            Annotated[
                hints[field.name],
                tyro.conf.arg(help=texts.get(field.name), help_behavior_hint=shown(field.default)),
            ],
            field.default,
        )
        for field in dataclasses.fields(config)
    ]
    hint, text = f"(default: runs/{name}-TIME)", "the folder, new, or of the same experiment, which goes on."
    out = ("out", Annotated[str | None, tyro.conf.arg(help=text, help_behavior_hint=hint)], None)
    return dataclasses.make_dataclass("Options", [*fields, out], frozen=True)


def resume(out: Path) -> int:
    """`upperhand resume OUT` of an experiment."""
    told = read(out)
    program = experiment(known(told["experiment"]))
    try:
        config = program.Config(**{field: as_tuple(value) for field, value in told["config"].items()})
    except TypeError:
        raise BadInput(
            f"{out / EXPERIMENT} has settings that {told['experiment']} does not know: continue with the version of "
            "upperhand that it names."
        ) from None
    return pursued(program, told["experiment"], config, out, told["command"])


def read(out: Path) -> dict[str, Any]:
    """experiment.json. Raises: BadInput where it is damaged."""
    from upperhand.report.experiment_folder import about

    try:
        return about(out)
    except ValueError as error:
        raise BadInput(str(error)) from None


def pursued(program: ModuleType, name: str, config: Any, out: Path, command: str) -> int:
    """An experiment begun or continued, to its page; after Ctrl-C, how to go on."""
    is_own = hasattr(program, "carry_out")
    cells = {} if is_own else program.build(config)
    told = {"experiment": name, "config": stored(dataclasses.asdict(config)), "command": command}
    told["cells"] = [{"name": place, "title": cell.title} for place, cell in cells.items()]
    told = json.loads(json.dumps(told if is_own else told | {"question": program.QUESTION._asdict()}))
    if is_experiment(out):
        before = read(out)
        if other := [part for part in ("experiment", "config", "cells") if before[part] != told[part]]:
            raise BadInput(f"{out} holds an experiment with another {other[0]}: choose another --out.")
    else:
        vacant(out)
    jobs = {place: job(cell, out / "cells" / place) for place, cell in cells.items()}
    if not is_experiment(out):
        begin(out, told)
    try:
        if is_own:
            drawn = program.carry_out(config, out, say)
        else:
            for number, (place, run) in enumerate(jobs.items(), 1):
                say(f"{cells[place].title} ({number} of {len(jobs)}){'' if run else ': is done'}")
                if run:
                    run()
            drawn = page(out)
    except KeyboardInterrupt:
        return complain(f"interrupted; what was done is in {out}. Continue with `upperhand resume {out}`.", 130)
    print(f"page: {drawn}")
    return 0


def say(text: str) -> None:
    """A line of progress."""
    print(text, flush=True)


def begin(out: Path, told: Mapping[str, Any]) -> None:
    """A new folder with its experiment.json. Raises: BadInput where it cannot be written."""
    full = dict(told) | {"versions": versions(), "started": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        out.mkdir(parents=True, exist_ok=True)
        write_whole(out / EXPERIMENT, json.dumps(full, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    except OSError as error:
        raise BadInput(f"{out} cannot be written ({error.strerror}): choose another --out.") from None


def job(cell: Cell, out: Path) -> Callable[[], None] | None:
    """What is left to do of a cell, checked; None where it is done.

    Args:
      cell: a comparison.
      out: its folder.
    """
    import jax

    if is_comparison(out) and is_done(out):
        return None
    is_new = not is_comparison(out)
    if is_new:
        for empty in (out / "arms", out / "tuning", out):  # left by a kill before compare.json was there
            if empty.is_dir():
                empty.rmdir()
    one = settled(words_of(cell, out)) if is_new else reopened(out)

    def run():
        with jax.enable_x64(one.precision == "float64"):
            if is_new:
                opened(one)
            carried(one.contest, out)

    return run


def is_done(out: Path) -> bool:
    """Whether every arm of a comparison has finished and its page is there."""
    from upperhand.report.comparison_folder import read as read_comparison

    if not (out / "report.html").exists():
        return False
    try:
        arms = read_comparison(out).arms
    except ValueError as error:
        raise BadInput(str(error)) from None
    return all(arm.state == "finished" and (out / "arms" / arm.label / "summary.json").exists() for arm in arms)


def words_of(cell: Cell, out: Path) -> list[str]:
    """The words of `upperhand compare` for a cell."""
    budget = {"samples": cell.samples, "seeds": cell.seeds, "trials": cell.trials, "tuning-seeds": cell.tuning_seeds}
    found = [cell.problem, "--solvers", *cell.arms]
    for name, value in (budget | {f"problem.{name}": value for name, value in cell.settings.items()}).items():
        parts = value if isinstance(value, tuple) else (value,)
        found += [f"--{name}", *map(str, parts)]
    return [*found, "--out", str(out)]
