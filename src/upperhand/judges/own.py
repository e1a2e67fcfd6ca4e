"""A person by whatever names one: nothing, a function, or a function in a file of yours."""

import importlib.util
import sys
from pathlib import Path

from upperhand.errors import BadInput
from upperhand.judges.checked import Person, named
from upperhand.judges.vader import vader

FORM = "FILE.py:FUNCTION, a function texts → numbers"


def person_of(told: Person | str | None) -> Person:
    """Who scores texts.

    Args:
      told: a function, or "FILE.py:FUNCTION", or None for VADER's compound score.
    Returns: texts → numbers. Raises: BadInput in one line, where the file or the function is not there, or the file
      fails. The file is a program: it is run.
    """
    if told is None:
        return vader()
    if not isinstance(told, str):
        return told
    file, colon, name = told.rpartition(":")
    path = Path(file).expanduser()
    if not colon or path.suffix != ".py" or not name.isidentifier():
        raise BadInput(f"person must be {FORM}: got {told!r}.")
    if not path.is_file():
        raise BadInput(f"there is no file {path}: person must be {FORM}.")
    spec = importlib.util.spec_from_file_location(f"person_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent.absolute()))  # what it imports from beside it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise BadInput(f"{path} failed: {named(error)}.") from error
    finally:
        sys.path.pop(0)
    found = getattr(module, name, None)
    if not callable(found):
        raise BadInput(f"{path} has no function {name}: person must be {FORM}.")
    return found
