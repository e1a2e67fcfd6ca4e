"""`upperhand label`: people say which of two texts is better, in the terminal, in a browser, or from a file."""

import dataclasses
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

from upperhand import store
from upperhand.cli.flags import parse
from upperhand.cli.wording import leading
from upperhand.errors import BadInput
from upperhand.labelling.book import ASKED, LABELS, Book, login
from upperhand.labelling.desk import Desk
from upperhand.labelling.page import serving
from upperhand.labelling.people import ASKS

USAGE = "upperhand label OUT [--once] [--by NAME] [--from FILE] [--page [--port N] [--host H --allow-host]]"
ABOUT = """Shows the pairs of texts that a run asks about, and writes which of the two is better. OUT is the folder of
the run, or the folder of the labels itself. Each label is on disk before the next pair is shown: stop at any time."""


def options() -> Any:
    """The dataclass of the flags."""
    import tyro

    def flag(field, kind, default, text, otherwise=None, **more):
        shown = None if otherwise is None else f"(default: {otherwise})"
        return field, Annotated[kind, tyro.conf.arg(help=text, help_behavior_hint=shown, **more)], default

    fields = [
        flag("once", bool, False, "end where no pair is open, instead of waiting for the run to ask."),
        flag("by", str | None, None, "who labels.", "the login name"),
        flag("source", str | None, None, "import the labels of a file, a JSON object a line.", "none", name="from"),
        flag("page", bool, False, "label in a browser, at the address that is printed."),
        flag("port", int, 0, "of the page; 0 for a free one."),
        flag("host", str, "127.0.0.1", "of the page, an address in numbers."),
        flag("allow_host", bool, False, "let the host be one that other machines reach."),
    ]
    return dataclasses.make_dataclass("Options", fields, frozen=True)


def label(words: list[str]) -> int:
    """`upperhand label OUT`. Raises: BadInput where the folder asks nobody, is damaged, or cannot be written."""
    found = leading(words, "OUT", USAGE)
    if found is None:
        print(f"\n{ABOUT}\n\nupperhand label OUT --help tells more.")
        return 0
    given = parse(options(), found[1], prog="upperhand label OUT", description=ABOUT)
    out = Path(found[0])
    folder = place(out, is_new=given.source is not None)
    by = (given.by or login()).strip()
    if given.source is not None and given.page:
        raise BadInput("--from imports a file and --page serves a page: give one of them.")
    book = Book(folder)
    book.look()
    if given.source is not None:
        return imported(book, Path(given.source), by)
    if given.page:
        return served(book, by, given)
    from rich.console import Console

    from upperhand.labelling.keys import keys  # these two need a Unix terminal
    from upperhand.labelling.terminal import sitting

    with keys() as pressed:
        labels, left = sitting(book, pressed, Console(), by=by, once=given.once, is_finished=finished(out))
    print(f"{counted(labels)} given, {left} pair{'s' * (left != 1)} open; kept in {folder}")
    return 0


def place(out: Path, is_new: bool) -> Path:
    """The labels folder that is meant.

    Args:
      out: a run folder or a labels folder.
      is_new: whether a labels folder may be one that does not exist yet.
    Raises: BadInput where it is neither.
    """
    if (out / store.CONFIG).is_file():
        labels = store.read_config(out)["problem_settings"].get("labels")
        labels = labels[0] if isinstance(labels, list) and labels else labels
        if not isinstance(labels, str):
            labels = asks(out)
        if labels is None:
            raise BadInput(
                f"{out / store.CONFIG} names no folder of labels: give the labels folder itself, or "
                "run with --problem.labels FOLDER."
            )
        return Path(labels)
    if not out.exists() and is_new:
        return out
    if not out.is_dir():
        raise BadInput(f"there is no folder {out}: give that of a run, or the one of --problem.labels once a run asks.")
    if not any((out / name).is_file() for name in (ASKED, LABELS)) and any(out.iterdir()):
        raise BadInput(f"{out} is neither a run folder nor a labels folder: it has no {store.CONFIG} and no {ASKED}.")
    return out


def asks(out: Path) -> str | None:
    """Where a run that Python began asks, which only it knew; None where it has not asked yet."""
    try:
        found = json.loads((out / ASKS).read_bytes())
        return found["labels"] if isinstance(found["labels"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def finished(out: Path) -> Callable[[], bool]:
    """Whether the run of a folder has reached its last step; never, of a folder of labels alone."""

    def is_finished():
        try:
            return store.read_summary(out)["seeds"][0]["step"] >= store.read_config(out)["steps"]
        except (OSError, ValueError, KeyError, TypeError, IndexError):
            return False

    return is_finished if (out / store.CONFIG).is_file() else lambda: False


def imported(book: Book, source: Path, by: str) -> int:
    """The labels of a file, taken into the book and counted."""
    labels, same = book.take(source, by)
    told = f"{counted(labels - same)} imported" + (f", {same} said nothing new" if same else "")
    print(f"{told}; {len(book.open())} pairs open, {book.strangers()} labels of pairs not asked about yet")
    return 0


def served(book: Book, by: str, given: Any) -> int:
    """The page, until Ctrl-C."""
    desk = Desk(book, by)
    with serving(desk, host=given.host, port=given.port, beyond=given.allow_host) as server:
        print(f"label at {server.address}\nCtrl-C ends it.", flush=True)
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            print(file=sys.stderr)
    print(f"{counted(desk.given())} given; kept in {book.folder}")
    return 0


def counted(labels: int) -> str:
    """So many labels, in words."""
    return f"{labels} label{'s' * (labels != 1)}"
