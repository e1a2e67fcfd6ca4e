"""The words of an arm: NAME, or LABEL=NAME:setting=value,setting=value."""

import dataclasses
from typing import Any

from upperhand.arms import Arm, armed
from upperhand.cli.flags import group, parse
from upperhand.errors import BadInput
from upperhand.settings import PLANNED, builder, resolve, settings, unknown

SYNTAX = (
    "An arm is SOLVER, or LABEL=SOLVER:setting=value,setting=value: fixed=actor_critic:temperature=0.1 is the actor-"
    "critic with its temperature fixed, and wide=actor_critic:temperature=8:0.05,batch=64:4 has two ends and a pair, "
    "their numbers joined by a colon. A setting that an arm gives is not tuned, except its temperature, so that a "
    "fixed one is a fair rival."
)


def arm_of(word: str) -> Arm:
    """An arm from its word.

    Args:
      word: as SYNTAX tells; dashes may stand for underscores in names.
    Returns: Arm, whose label is the solver's name where none is given.
    Raises: BadInput in one line for a word of another form, an unknown solver or setting, or a value of another type.
    """
    head, colon, tail = word.partition(":")
    label, equals, name = head.rpartition("=")
    if (equals and not label) or not name or (colon and not tail):
        raise BadInput(f"the arm {word!r} must be SOLVER or LABEL=SOLVER:setting=value,setting=value.")
    name = resolve("solver", name)
    try:
        return armed(label or name, builder("solver", name), values(name, tail))
    except BadInput as error:
        raise BadInput(f"in the arm {word!r}: {error}") from None


def values(name: str, tail: str) -> dict[str, Any]:
    """The settings of `setting=value,setting=value`, each of its own type, as the flags of `run` have it."""
    known = {key: setting for key, setting in settings(builder("solver", name)).items() if key != PLANNED}
    argv, given = [], []
    for part in tail.split(",") if tail else ():
        setting, equals, value = part.partition("=")
        setting = setting.strip().replace("-", "_")
        if setting == PLANNED:
            raise BadInput(f"{PLANNED} follows from the budget: leave it out.")
        if setting not in known:
            raise unknown(f"setting of {name}", setting, known, f"It has {', '.join(known) or 'none'}.")
        if not equals or setting in given:
            raise BadInput(f"{setting} must be given once, as {setting}=value.")
        given.append(setting)
        argv += words(setting, value.strip(), known[setting].default)
    made = group(name, known)
    lacking = set(given) - {field.name for field in dataclasses.fields(made)}
    if lacking:
        raise BadInput(f"{', '.join(sorted(lacking))} of {name} cannot be given as text: use it from Python.")
    parsed = parse(made, argv, prog=f"upperhand run PROBLEM --solver {name}", description="") if argv else made()
    return {setting: getattr(parsed, setting) for setting in given}


def words(setting: str, value: str, default: Any) -> list[str]:
    """A setting as the words of its flag."""
    if isinstance(default, bool):
        if value.lower() not in ("true", "false"):
            raise BadInput(f"{setting} must be true or false: got {value!r}.")
        return [f"--{'' if value.lower() == 'true' else 'no-'}{setting.replace('_', '-')}"]
    return [f"--{setting.replace('_', '-')}", *value.split(":")]
