"""A study: a question, what was measured as figures and tables, and the answer as it came out."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.errors import BadInput
from upperhand.store import read_part, write_part

Cell = str | float | int | None


class Line(NamedTuple):
    """A curve, with a band where there are both ends; NaN leaves a gap."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None  # of the band, with `high`
    high: Sequence[float] | None = None
    dots: bool = False  # points without a curve between them


class Mark(NamedTuple):
    """A horizontal line: what is known, or what theory says."""

    label: str
    y: float


class Figure(NamedTuple):
    """One picture."""

    name: str  # of its file: letters, digits and dashes
    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    marks: Sequence[Mark] = ()
    x_log: bool = False
    y_log: bool = False


class Table(NamedTuple):
    """One table; numbers are shown with four digits, None as a dash."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


class Study(NamedTuple):
    """What a page tells."""

    title: str
    question: str  # one or two sentences
    answer: str  # as it came out, with the figures that were measured
    figures: Sequence[Figure]
    tables: Sequence[Table]
    notes: Sequence[str]  # how it was measured; what must not be concluded
    reference: str
    seconds: float  # of all of it


def kept(
    out: Path, name: str, measure: Callable[[], dict[str, Any]], say: Callable[[str], None], line: str
) -> dict[str, Any]:
    """A part of a study, measured once.

    Args:
      out: the folder.
      name: of the part.
      measure: what gives it, as JSON holds it.
      say, line: what the terminal is told before it is measured.
    Returns: the part, and the seconds that it took, then or in the run that this one goes on with.
    """
    if (found := read_part(out, name)) is None:
        say(line)
        began = time.perf_counter()
        write_part(out, name, measure() | {"seconds": time.perf_counter() - began})
        found = read_part(out, name)
    return found


def plain(value: Any) -> Any:
    """NamedTuples as objects and arrays as lists, at every depth: JSON; numbers that are not finite as null."""
    if hasattr(value, "_asdict"):
        return {name: plain(part) for name, part in value._asdict().items()}
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not -1e300 < value < 1e300 else value


def tell(out: Path, study: Study) -> Path:
    """OUT/parts/study.json, OUT/table.md, OUT/figures and the page. Returns: its path."""
    from upperhand.report.study_page import write

    write_part(out, "study", plain(study))
    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
