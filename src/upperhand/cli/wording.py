"""What commands share: a line of complaint, the first word, the only folder."""

import errno
import sys
from pathlib import Path

from upperhand.errors import BadInput


def complain(message: object, code: int = 0) -> int:
    """Print one line on stderr; returns the exit code."""
    print(f"upperhand: {' '.join(str(message).split())}", file=sys.stderr)
    return code


def of_disk(error: OSError) -> str:
    """What an error of the system is told as; a full disk with what to do, for nothing is lost by it."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: free some space, then continue with `upperhand resume OUT`; what was written is kept."
    return str(error)


def leading(words: list[str], what: str, usage: str) -> tuple[str, list[str]] | None:
    """The first word and the rest; None after the help was printed, where it was asked for first."""
    if words and words[0] in ("-h", "--help"):
        print(f"usage: {usage}")
        return None
    if not words or words[0].startswith("-"):
        raise BadInput(f"{what} is missing: {usage}.")
    return words[0], words[1:]


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
