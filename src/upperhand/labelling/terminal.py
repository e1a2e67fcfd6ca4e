"""Labelling in the terminal: a pair, a key, the next pair. A label is on disk before the next pair is shown."""

import contextlib
from collections.abc import Callable
from typing import Any

from upperhand.labelling.book import Book, Label, Pair, meant, sides
from upperhand.labelling.journal import NotWritten
from upperhand.labelling.keys import Keys

CHOICES = {"1": 1, "2": 2, "t": "tie", "s": "skip"}
SAID = {1: "left is better", 2: "right is better", "tie": "a tie", "skip": "skipped"}
HELP = "1 left is better · 2 right is better · t tie · s skip · u undo · q quit"
JOINER = "\u200d"
"""Joins the parts of one emoji; the only invisible letter that is shown as it is."""


def sitting(
    book: Book, keys: Keys, console: Any, *, by: str, once: bool, is_finished: Callable[[], bool]
) -> tuple[int, int]:
    """Show pairs and write what is said of them, until somebody quits or nothing is left to ask.

    Args:
      book: of the labels.
      keys: of the person.
      console: of rich.
      by: who labels.
      once: end where no pair is open, instead of waiting for new ones.
      is_finished: whether nobody will ask any more.
    Returns: labels given, undone ones left out, and pairs that are still open.
    Raises: NotWritten where the disk is full and the keys come from a pipe; a terminal is told, and may try again.
    """
    done, again, shown = [], None, None
    while True:
        book.look()
        pair = again or next(iter(book.open()), None)
        if pair is None:
            key = idle(keys, console, book, lambda: once or is_finished())
        else:
            if pair != shown:
                keys.forget()
                draw(console, book, pair, by)
            key = keys.next(0.5)
        shown = pair
        if key == "q":
            return len(done), len(book.open())
        try:
            if key == "u":
                again, shown = undone(book, console, done), None
            elif pair is not None and key in CHOICES:
                label = book.label(pair, meant(pair, CHOICES[key]), by)
                done += [label] if label else []
                console.print(SAID[CHOICES[key]] if label else "somebody has labelled it meanwhile", style="dim")
                again = None
            elif pair is not None and key:
                console.print(HELP, style="dim", markup=False)
        except NotWritten as error:
            if not keys.is_terminal:
                raise
            console.print(str(error), style="bold red", markup=False, highlight=False)


def undone(book: Book, console: Any, done: list[Label]) -> Pair | None:
    """The pair whose label, the last one given here, was taken back; None where there is none."""
    if not done:
        console.print("nothing to undo", style="dim")
        return None
    is_back = book.take_back(done[-1])
    label = done.pop()
    console.print("taken back" if is_back else "somebody has labelled it anew; that stays", style="dim")
    return book.pairs.get(label.id) if is_back else None


def idle(keys: Keys, console: Any, book: Book, is_over: Callable[[], bool]) -> str | None:
    """What is pressed while no pair is open, `q` where nobody will ask any more; None once a pair is open."""
    told = f"no pair is open, {book.given()} labelled: waiting for the run to ask (u undo · q quit)"
    if not console.is_terminal and not is_over():
        console.print(told, markup=False)
    with console.status(told) if console.is_terminal else contextlib.nullcontext():
        while not book.open():
            if is_over():
                return "q"
            key = keys.while_idle(0.3)
            if key in ("q", "u"):
                return key
            book.look()
    return None


def draw(console: Any, book: Book, pair: Pair, by: str) -> None:
    """The two texts side by side, below what they answer; all as they are: no markup in them means anything."""
    from rich import box
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    texts = [Text(visible(side) or "(empty)", style="" if side else "dim") for side in sides(pair)]
    width = max(10, (console.width - 1) // 2 - 6)
    height = 4 + max(len(text.wrap(console, width)) for text in texts)
    grid = Table.grid(expand=True, padding=(0, 1, 0, 0))
    panels = []
    for number, (text, colour) in enumerate(zip(texts, ("cyan", "magenta"), strict=True), 1):
        grid.add_column(ratio=1)
        title = Text(f" {number} ", style=f"bold reverse {colour}")
        panels.append(Panel(text, title=title, border_style=colour, box=box.ROUNDED, padding=(1, 2), height=height))
    grid.add_row(*panels)
    console.print()
    console.print(
        f"{len(book.open())} open · {book.given()} labelled · {by}", style="dim", markup=False, highlight=False
    )
    if pair.prompt:
        told = Text(visible(pair.prompt))
        console.print(Panel(told, title="both answer", title_align="left", border_style="dim", padding=(0, 2)))
    console.print(grid)
    console.print(HELP, style="dim", markup=False, highlight=False)


def visible(text: str) -> str:
    """A text without letters that would steer the terminal or hide in it."""
    return "".join(letter if letter.isprintable() or letter in ("\n", JOINER) else "·" for letter in text)
