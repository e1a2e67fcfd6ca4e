"""What problems and methods can be built, with which settings, found by walking their rooms."""

import difflib
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.errors import BadInput
from upperhand.forms import Bilevel, BilevelRL, Conditional, Equations, Minimise, Population, Preference, Score
from upperhand.policy_gradients.lower import as_bilevel
from upperhand.schedule import Power

HERE = Path(__file__).parent
ROOMS = {
    "problem": [(HERE / "problems", "upperhand.problems"), (HERE / "prepared", "upperhand.prepared")],
    "solver": [
        (HERE / "solvers", "upperhand.solvers"),
        (HERE / "solvers" / "rl", "upperhand.solvers.rl"),
        (HERE / "solvers" / "text", "upperhand.solvers.text"),
        (HERE / "solvers" / "single", "upperhand.solvers.single"),
    ],
    "experiment": [(HERE / "experiments", "upperhand.experiments")],
}
"""Where builders and experiments live: folders, and the packages that they are."""
PLANNED = "steps"
"""The setting of a solver that tells the planned updates; the run fills it."""

PLACES = ("corpus", "labels", "model", "person", "prompts", "save")
"""Settings that name a place on disk, alone or first: kept absolute, so that a run goes on from anywhere."""


class Setting(NamedTuple):
    """A keyword argument of a builder."""

    hint: Any  # its annotation
    default: Any
    help: str  # its meaning, from the docstring


def files(room: str) -> dict[str, tuple[Path, str]]:
    """The builders of a room by name: their files and modules."""
    return {
        path.stem: (path, f"{package}.{path.stem}")
        for folder, package in ROOMS[room]
        for path in sorted(folder.glob("*.py"))
        if not path.stem.startswith("_")
    }


def names(room: str) -> list[str]:
    """The builders of a room, `problem` or `solver`, by their file names."""
    return list(files(room))


def unknown(kind: str, name: str, known: Iterable[str], remedy: str) -> BadInput:
    """One line for a name that does not exist, with the nearest that does."""
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return BadInput(f"unknown {kind} {name!r}: {f'did you mean {near[0]!r}? ' if near else ''}{remedy}")


def resolve(room: str, name: str) -> str:
    """The builder's name, dashes allowed. Raises: BadInput with the nearest name."""
    known = names(room)
    if name.replace("-", "_") not in known:
        raise unknown(room, name, known, "`upperhand list` shows what there is.")
    return name.replace("-", "_")


def builder(room: str, name: str) -> Callable:
    """The builder of a room, imported."""
    name = resolve(room, name)
    return getattr(importlib.import_module(files(room)[name][1]), name)


def settings(function: Callable) -> dict[str, Setting]:
    """The keyword-only arguments of a builder that have defaults, in its order."""
    hints, texts = typing.get_type_hints(function), argument_texts(inspect.getdoc(function) or "")
    return {
        name: Setting(hints.get(name, Any), parameter.default, texts.get(name, ""))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty
    }


def argument_texts(doc: str) -> dict[str, str]:
    """What the Args block of a docstring tells of each argument; `a, b: text` tells it of both."""
    block = re.search(r"^Args:[ ]*\n((?:[ ]+.*\n|\s*\n)+)", doc + "\n", re.MULTILINE)
    found, names = {}, ()
    for line in block.group(1).splitlines() if block else ():
        head = re.match(r"  (\w+(?:, \w+)*): *(.*)", line)
        if head:
            names = head.group(1).split(", ")
        for name in names:
            found[name] = head.group(2) if head else f"{found[name]} {line.strip()}".strip()
    return found


def members(hint: Any) -> tuple[Any, ...]:
    """The members of a union, or the hint alone."""
    is_union = isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
    return typing.get_args(hint) if is_union else (hint,)


def build(room: str, name: str, given: Mapping[str, Any], *args: Any) -> Any:
    """A problem or a solver from its name and settings.

    Args:
      room: `problem` or `solver`.
      name: of the builder.
      given: settings by name; the rest keep their defaults.
      args: the problem, for a solver.
    Returns: BilevelRL or Solver. Raises: BadInput, in one line, for an unknown setting or one that the builder refuses.
    """
    function = builder(room, name)
    known = settings(function)
    for setting in given:
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known, f"It has {', '.join(known) or 'none'}.")
    if room == "solver":
        args = (fitted(function, args[0]), *args[1:])
    try:
        return function(*args, **given)
    except (ValueError, TypeError) as error:
        raise BadInput(f"{name}: {' '.join(str(error).split())}") from error


def is_of_texts(problem: Any) -> bool:
    """Whether a problem's upper objective is a person's word on whole texts."""
    return isinstance(problem, BilevelRL) and isinstance(problem.upper, Score | Population | Preference)


def forms(function: Callable) -> tuple[tuple[type, ...], bool]:
    """The problem forms that a solver's builder takes, by its first annotation, and whether it is one for texts."""
    first = next(iter(inspect.signature(function).parameters), None)
    hint = typing.get_type_hints(function).get(first)
    known = (Bilevel, BilevelRL, Conditional, Equations, Minimise)
    kinds = tuple(kind for kind in members(hint) if kind in known)
    return kinds, function.__module__.startswith("upperhand.solvers.text.")


def takes(function: Callable, problem: Any) -> bool:
    """Whether a builder takes a problem, as it is or through `as_bilevel`; one without annotations takes any."""
    kinds, for_texts = forms(function)
    if not kinds:
        return True
    is_text, is_bridged = is_of_texts(problem), isinstance(problem, BilevelRL) and BilevelRL not in kinds
    return is_text == for_texts and (Bilevel in kinds if is_bridged else isinstance(problem, kinds))


def fitted(function: Callable, problem: Any) -> Any:
    """The problem in the form that a solver's builder takes: as it is, or a world through `as_bilevel`.

    Raises: BadInput, with the solvers that do, where it takes neither.
    """
    if not takes(function, problem):
        others = [name for name in names("solver") if takes(builder("solver", name), problem)]
        kind = "a problem of texts" if is_of_texts(problem) else f"a {type(problem).__name__} problem"
        if isinstance(problem, BilevelRL) and not is_of_texts(problem):
            kind = "a problem on a finite world"
        raise BadInput(f"{function.__name__} is not for {kind}: choose {', '.join(others)}.")
    kinds, _ = forms(function)
    return as_bilevel(problem) if kinds and isinstance(problem, BilevelRL) and BilevelRL not in kinds else problem


def choices(kind: Any) -> dict[str, Any]:
    """The values of a NamedTuple class that the class's own module defines, by their names there; else nothing."""
    if not (isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")):
        return {}
    return {name: value for name, value in vars(sys.modules[kind.__module__]).items() if isinstance(value, kind)}


def choice(value: Any) -> str | None:
    """The name of a value that the module of its NamedTuple class defines, or None."""
    return next((name for name, known in choices(type(value)).items() if known is value), None)


def stored(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON: numbers, texts and sequences of them as they are, {"power": [scale, exponent, offset]} for a
    Power (no offset of 1), {"number": "inf"} where JSON has none, {"choice": name} for a value that its own module
    names, {"default": repr} for the rest."""

    def one(value):
        if isinstance(value, Power):
            return {"power": [value.scale, value.exponent, *([value.offset] if value.offset != 1 else [])]}
        if isinstance(value, float) and abs(value) == float("inf"):
            return {"number": str(value)}
        if (name := choice(value)) is not None:
            return {"choice": name}
        return value if is_primitive(value) else {"default": told(value)}

    return {name: one(value) for name, value in values.items()}


def settled(values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings whose places on disk are absolute."""

    def one(value):
        if isinstance(value, tuple):
            return (one(value[0]), *value[1:])
        return value if value is None or not value else str(Path(value).expanduser().absolute())

    return {name: one(value) if name in PLACES else value for name, value in values.items()}


def told(value: Any) -> str:
    """The name or the repr of a value, without addresses in memory."""
    return choice(value) or re.sub(r" at 0x[0-9a-f]+", "", repr(value))


def is_primitive(value: Any) -> bool:
    """Whether JSON can hold a value."""
    if isinstance(value, tuple | list):
        return all(map(is_primitive, value))
    return value is None or isinstance(value, bool | int | float | str)


def restored(room: str, name: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Settings from JSON.

    Raises: BadInput where a builder's default is no longer the one that the run began with, where a choice is unknown,
      or where a value is none that `stored` writes.
    """
    known = settings(builder(room, name))

    def one(setting, value):
        if not isinstance(value, dict):
            return as_tuple(value)
        if value in ({"number": "inf"}, {"number": "-inf"}):
            return float(value["number"])
        if "power" in value:
            return power(f"the setting {setting} of {name}", value["power"])
        if "choice" in value and setting in known:
            named = choices(known[setting].hint)
            if value["choice"] not in named:
                raise unknown(setting, str(value["choice"]), named, f"{name} knows {', '.join(named) or 'none'}.")
            return named[value["choice"]]
        now = told(known[setting].default) if setting in known else "gone"
        if now != value.get("default"):
            raise BadInput(
                f"the default of {name}'s {setting} is now {now}, and the run began with {value.get('default')}: "
                "continue with the version of upperhand that config.json names."
            )
        return known[setting].default

    return {setting: one(setting, value) for setting, value in values.items()}


def power(what: str, value: Any) -> Power:
    """A Power from its two or three numbers in JSON. Raises: BadInput where they are none."""
    if not isinstance(value, list) or len(value) not in (2, 3) or any(type(part) not in (int, float) for part in value):
        raise BadInput(f"{what} is a power, numbers [scale, exponent] or [scale, exponent, offset]: got {value!r:.60}.")
    return Power(*value)


def as_tuple(value: Any) -> Any:
    """Lists as tuples, at every depth."""
    return tuple(map(as_tuple, value)) if isinstance(value, list) else value
