"""The tables of a study, and the numbers behind its figures, for the page and as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from upperhand.report.writing import number

POINTS = 200
"""Points of a figure that its table tells; of more, evenly chosen ones. parts/study.json has them all."""
LONG = 40
"""Letters from which a text may take several lines."""


class Shown(NamedTuple):
    """A table as it is printed."""

    title: str
    columns: Sequence[tuple[str, str]]  # (name, "" for numbers, "text", or "long" text)
    rows: Sequence[Sequence[str]]
    note: str = ""


def cell(value: Any) -> str:
    """A cell: words as they are, whole numbers whole, other numbers with four significant digits, None as a dash."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, int) and abs(value) < 10**15:
        return f"{value:,}".replace("-", "−")
    is_plain = value is None or value == 0 or 1e-3 <= abs(value) < 1e6
    return number(value, 4 if is_plain else 5)  # beside a power of ten, `number` shows one digit less


def tables(told: dict[str, Any]) -> list[Shown]:
    """The tables of the study, as they were told."""
    return [shown(one["title"], one["columns"], one["rows"], one["note"]) for one in told["tables"]]


def shown(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], note: str = "") -> Shown:
    """A table from its values; a column is of numbers where no cell of it is a text."""
    kinds = [_kind([row[at] for row in rows]) for at in range(len(columns))]
    return Shown(title, list(zip(columns, kinds, strict=True)), [[cell(value) for value in row] for row in rows], note)


def _kind(values: Sequence[Any]) -> str:
    texts = [value for value in values if isinstance(value, str)]
    return "" if not texts else "long" if max(map(len, texts)) > LONG else "text"


def points(figure: dict[str, Any]) -> list[Shown]:
    """The numbers behind a figure: lines that share their x in one table, and the marks.

    Args:
      figure: as parts/study.json has it.
    """
    together: dict[tuple, list[dict[str, Any]]] = {}
    for line in figure["lines"]:
        together.setdefault(tuple(line["x"]), []).append(line)
    found = [_of_lines(figure, x, lines) for x, lines in together.items()]
    if figure["marks"]:
        rows = [(mark["label"], mark["y"]) for mark in figure["marks"]]
        found.append(shown("", ("mark", figure["y_label"]), rows))
    return found


def _of_lines(figure: dict[str, Any], x: tuple, lines: Sequence[dict[str, Any]]) -> Shown:
    columns, parts = [figure["x_label"] or "x"], [x]
    for line in lines:
        label = line["label"] or figure["y_label"]
        columns.append(label)
        parts.append(line["y"])
        if line["low"] is not None:
            columns += [f"{label}, {end}" for end in ("low", "high")]
            parts += [line["low"], line["high"]]
    rows, N = list(zip(*parts, strict=True)), len(x)
    kept = rows if N <= POINTS else [rows[at * (N - 1) // (POINTS - 1)] for at in range(POINTS)]
    note = "" if N <= POINTS else f"{POINTS} of {N:,} points; parts/study.json has them all."
    return shown("", columns, kept, note)


def markdown(told: dict[str, Any]) -> str:
    """The answer, every table with its title and its note, and the numbers behind the figures."""
    parts = [f"# {told['title']}", told["question"], told["answer"]]
    parts += [part for one in tables(told) for part in (f"**{one.title}**", _lines(one), one.note)]
    for figure in told["figures"]:
        parts.append(f"**Figure {figure['name']}: {figure['title']}**")
        parts += [part for one in points(figure) for part in (_lines(one), one.note)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _lines(one: Shown) -> str:
    rules = ["---" if kind else "---:" for _, kind in one.columns]
    return "\n".join(_line(texts) for texts in ([name for name, _ in one.columns], rules, *one.rows))


def _line(texts: Iterable[str]) -> str:
    return f"| {' | '.join(' '.join(text.split()).replace('|', '¦') for text in texts)} |"
