"""What a person sees in the terminal: progress and tables."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

WIDE = 120
"""Columns of a table that goes to a file or a pipe."""
LINES = 10
"""Lines of progress of a whole run where the terminal is not interactive."""
FIGURES = {"value": "value", "gap": "gap", "upper": "upper", "temperature": "τ", "penalty": "w"}


def middle(value: Any) -> float:
    """The interquartile mean over seeds, or the number itself."""
    from upperhand.report.statistics import iqm

    return float(iqm(value)) if np.ndim(value) else float(value)


def told(row: Mapping[str, Any]) -> str:
    """The figures of a row that matter while it runs: value and gap, else the method's own upper loss; τ and w."""
    names = [name for name in FIGURES if name in row and not (name == "upper" and "value" in row)]
    return "  ".join(f"{FIGURES[name]} {middle(row[name]):.4g}" for name in names)


def rate(row: Mapping[str, Any], earlier: Mapping[str, Any]) -> str:
    """Samples per second of all seeds since an earlier row; not from step 0, whose chunk is compiled first."""
    if earlier["step"] == 0:
        return ""
    seconds = row["seconds"] - earlier["seconds"]
    samples = float(np.sum(row["samples"]) - np.sum(earlier["samples"]))
    return f"{samples / seconds:.3g} samples/s" if samples and seconds > 0 else ""


@contextmanager
def bar(steps: int, name: str = "running") -> Iterator[Callable[[Mapping[str, Any], Any], None]]:
    """A sink that draws a progress bar, named so, where the terminal is interactive, and does nothing elsewhere."""
    from rich import progress
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield lambda row, state: None
        return
    columns = [
        progress.TextColumn("{task.description}"),
        progress.BarColumn(bar_width=24),
        progress.TextColumn("{task.completed:.0f}/{task.total:.0f}"),
        progress.TimeRemainingColumn(),
        progress.TextColumn("{task.fields[told]}"),
    ]
    with progress.Progress(*columns, console=console, transient=True) as drawn:
        task = drawn.add_task(f"{name}: preparing" if name != "running" else "preparing", total=steps, told="")
        before = []

        def sink(row, state):
            words = told(row) + ("  " + rate(row, before[-1]) if before else "")
            before[:] = [row]
            drawn.update(task, completed=row["step"], description=name, told=words)

        yield sink


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """A spinner with a word on what is done, where the terminal is interactive; nothing elsewhere."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        yield lambda done: None
        return
    with console.status(what) as status:
        yield lambda done: status.update(f"{what}: {done} done")


def plain_lines(steps: int, name: str = "") -> Callable[[Mapping[str, Any], Any], None]:
    """A sink that prints a line each tenth of the run, which begins with a name where one is given."""
    printed = []

    def sink(row, state):
        tenth = row["step"] * LINES // steps
        if not printed or tenth > printed[-1][0]:
            words = [name, f"step {row['step']}/{steps}", told(row), rate(row, printed[-1][1]) if printed else ""]
            print("  ".join(word for word in words if word), flush=True)
            printed.append((tenth, row))

    return sink


def numbers(value: Any, most: int = 4) -> str:
    """A number, or the first few of several."""
    if isinstance(value, list | tuple):
        return ", ".join(numbers(entry) for entry in value[:most]) + (", …" if len(value) > most else "")
    return f"{value:,.0f}" if isinstance(value, int) or float(value).is_integer() else f"{value:.4g}"


def table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 0, unbroken: bool = False
) -> None:
    """Print a table; the first `left` columns are words, the others numbers, which stay in one line if `unbroken`."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    drawn = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", collapse_padding=unbroken)
    for index, head in enumerate(heads):
        is_word = index < left
        drawn.add_column(
            head, justify="left" if is_word else "right", overflow="fold", no_wrap=unbroken and not is_word
        )
    for row in rows:
        drawn.add_row(*row)
    Console(width=None if sys.stdout.isatty() else WIDE).print(drawn)


def results(summary: Mapping[str, Any], first: Sequence[Mapping[str, Any]]) -> None:
    """Print what each seed found, and what they say together.

    Args:
      summary: of summary.json.
      first: the row of step 0 of each seed.
    """
    starts = {row["seed"]: row.get("x") for row in first}
    names = [name for name in ("value", "gap", "upper", "samples") if all(name in row for row in summary["seeds"])]
    names = [name for name in names if not (name == "upper" and "value" in names)]
    heads = ["seed", "start", "found x", *names]
    rows = [
        [str(row["seed"]), shown(starts.get(row["seed"])), shown(row.get("x")), *(numbers(row[name]) for name in names)]
        for row in summary["seeds"]
    ]
    table(f"{summary['solver']} on {summary['problem']}, {summary['seeds'][0]['step']} steps", heads, rows, left=1)
    for name in ("gap", "value", "upper"):
        if name in names and name in summary["aggregate"]:
            found = summary["aggregate"][name]
            low, high = found["low"], found["high"]
            print(f"{name}: interquartile mean {found['iqm']:.4g}, 95% interval {low:.4g} to {high:.4g}")


def shown(x: Any) -> str:
    """A found x in brackets, its first numbers only."""
    return "" if x is None else f"({numbers(x)})"


def ranking(summary: Mapping[str, Any]) -> None:
    """Print how the arms of a comparison ended, the best first.

    Args:
      summary: of summary.json, as the page's `summary` tells it.
    """
    heads = ["arm", summary["score"], "95% from", "to", "near", "failed", "samples", "seconds"]
    rows = [
        [
            arm["label"],
            entry(arm["iqm"]),
            entry(arm["low"]),
            entry(arm["high"]),
            "" if arm["near"] is None else f"{arm['near']}/{arm['seeds']}",
            str(arm["failures"]),
            "none" if arm["samples"] == 0 else entry(arm["samples"]),
            entry(arm["seconds"]),
        ]
        for arm in summary["arms"]
    ]
    budget = f"{summary['budget']:g} {summary['currency']} {'in all' if summary['currency'] == 'seconds' else 'a seed'}"
    title = f"{summary['problem']}, {budget}: interquartile means, lower is better"
    table(title, heads, rows, left=1, unbroken=True)
    free = [f"{arm['label']} ({arm['steps']} steps)" for arm in summary["arms"] if spends_nothing(arm, summary)]
    if free:
        print(f"no {summary['currency']} drawn, so run for the method's own length: {', '.join(free)}.")


def spends_nothing(arm: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Whether an arm of a comparison spent nothing of what the comparison holds equal."""
    columns = ("gradients", "products") if summary["currency"] == "gradients" else (summary["currency"],)
    return bool(arm["steps"]) and not any(arm[name] for name in columns)


def entry(value: float | None) -> str:
    """A number for a table, nothing for None."""
    return "" if value is None else numbers(value)
