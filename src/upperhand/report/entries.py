"""Tables whose cells hold a text, small print and whether it is bold; the same as Markdown."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Entry(NamedTuple):
    """A cell of a table."""

    text: str
    small: Sequence[str] = ()  # lines of small print
    strong: bool = False
    wide: bool = False  # words, which may take several lines


class Table(NamedTuple):
    """A table with a heading of its own."""

    title: str
    columns: Sequence[str]  # the first is of the labels
    rows: Sequence[tuple[str, Sequence[Entry]]]
    note: str


NONE = Entry("–")


def markdown(tables: Iterable[Table]) -> str:
    """Every table with its title and its note."""
    return "\n".join(f"**{one.title}**\n\n{_lines(one)}\n\n{one.note}\n" for one in tables)


def _lines(one: Table) -> str:
    lines = [list(one.columns), ["---"] * len(one.columns)]
    lines += [[label, *map(_plain, entries)] for label, entries in one.rows]
    return "\n".join(f"| {' | '.join(text.replace('|', ' ') for text in line)} |" for line in lines)


def _plain(entry: Entry) -> str:
    text = f"**{entry.text}**" if entry.strong else entry.text
    small = [f"({one})" if " to " in one else one for one in entry.small]
    return " ".join([text, *small])
