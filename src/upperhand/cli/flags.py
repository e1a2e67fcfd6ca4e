"""Flags of the command line, from the builders' typed settings."""

import contextlib
import dataclasses
import io
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import PrimitiveConstructorSpec

from upperhand.errors import BadInput
from upperhand.settings import PLANNED, Setting, choice, choices, members, told, unknown

PLAIN = (int, float, bool, str, type(None))


def flagged(setting: Setting) -> Any:
    """The type that tyro shall parse a setting as, or None where no text could give it.

    Of a union with functions or transformations in it, the numbers count, or else the text, and the default stays what
    it is. A NamedTuple whose module names values of it is one of these names.
    """
    kinds = members(setting.hint)
    if named := choices(setting.hint):
        kind = Annotated[Any, one_of(named)]
    elif all(map(is_plain, kinds)):
        kind = setting.hint
    elif any(kind in (int, float) for kind in kinds):
        kind = Annotated[Any, numbers(2 if any(typing.get_origin(kind) is tuple for kind in kinds) else 1)]
    elif str in kinds:
        kind = str | None
    else:
        return None
    return Annotated[kind, tyro.conf.arg(help=setting.help)]


def is_plain(kind: Any) -> bool:
    """Whether tyro reads a type from text."""
    if typing.get_origin(kind) in (tuple, list, Literal):
        return typing.get_origin(kind) is Literal or all(
            is_plain(part) for part in typing.get_args(kind) if part is not Ellipsis
        )
    return kind in PLAIN


def numbers(most: int) -> PrimitiveConstructorSpec:
    """One number, or up to two; anything as the default."""

    def parsed(words: Sequence[str]) -> Any:
        found = tuple(map(float, words))
        if not 1 <= len(found) <= most:
            raise ValueError(f"wanted {'one number' if most == 1 else 'one or two numbers'}, got {len(found)}")
        return found if len(found) > 1 else found[0]

    def shown(value: Any) -> list[str]:
        return [told(part) for part in value] if isinstance(value, tuple) else [told(value)]

    metavar = "FLOAT" if most == 1 else "FLOAT [FLOAT]"
    return PrimitiveConstructorSpec("*" if most > 1 else 1, metavar, parsed, lambda value: True, shown)


def one_of(named: Mapping[str, Any]) -> PrimitiveConstructorSpec:
    """A value by its name."""

    def parsed(words: Sequence[str]) -> Any:
        if words[0] not in named:
            raise ValueError(f"invalid choice: {words[0]!r} (choose from {', '.join(named)})")
        return named[words[0]]

    metavar = "{" + ",".join(named) + "}"
    return PrimitiveConstructorSpec(
        1, metavar, parsed, lambda value: True, lambda value: [choice(value) or told(value)]
    )


def group(name: str, settings: Mapping[str, Setting]) -> Any:
    """A frozen dataclass of the settings that text can give; the planned steps are the run's own."""
    kinds = {key: (flagged(setting), setting.default) for key, setting in settings.items() if key != PLANNED}
    fields = [(key, kind, default) for key, (kind, default) in kinds.items() if kind is not None]
    made = dataclasses.make_dataclass(name, fields, frozen=True)
    made.__doc__ = f"Settings of {name}."
    return made


def names(kind: Any, prefix: str = "") -> list[str]:
    """The flags of a dataclass, groups opened."""
    found = []
    for field in dataclasses.fields(kind):
        named = [part.name for part in getattr(field.type, "__metadata__", ()) if getattr(part, "name", None)]
        flag = f"{prefix}{(named or [field.name])[0].replace('_', '-')}"
        inner = field.type
        if dataclasses.is_dataclass(inner):
            found += names(inner, f"{flag}.")
        else:
            found += [f"--{flag}"] + [f"--{prefix}no-{field.name.replace('_', '-')}"] * isinstance(field.default, bool)
    return found


def parse(kind: Any, argv: Sequence[str], *, prog: str, description: str) -> Any:
    """A dataclass from the words of a command line.

    Args:
      kind: the dataclass; fields that are dataclasses themselves are groups of flags.
      argv: the words after the command.
      prog, description: for the help.
    Returns: an instance. Raises: BadInput in one line; SystemExit(0) after the help was printed.
    """
    known = [*names(kind), "--help"]
    for word in argv:
        flag = word.split("=")[0].replace("_", "-")
        if word.startswith("--") and flag not in known:
            raise unknown("flag", word.split("=")[0], known, f"`{prog} --help` shows them all.")
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(kind, args=list(argv), prog=prog, description=description)
    except SystemExit as stop:
        if not stop.code:
            raise
    raise BadInput(f"{complaint(said.getvalue())} See `{prog} --help`.")


def complaint(box: str) -> str:
    """The first part of the box that tyro draws, as a sentence."""
    lines = [line.strip("│ ").strip() for line in box.splitlines()[1:]]
    words = []
    for line in lines:
        if line.startswith(("─", "╰", "Got errors")):
            break
        words.append(line)
    wanted = [line for line in lines if line.startswith("--")]
    text = " ".join(words).strip().removeprefix("Error parsing ").rstrip(".")
    return f"{text} (wanted {wanted[0]})." if wanted and text.startswith("--") else f"{text}."
