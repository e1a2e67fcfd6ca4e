"""The tables of an experiment, as text cells and as Markdown."""

from typing import Any

from upperhand.report.comparison_tables import NONE, decimals_of, factors, figure, spread
from upperhand.report.experiment import verdict_of
from upperhand.report.experiment_words import chance

COLUMNS = ("IQM", "95% interval", "IQM at half", "near", "P(method better)", "failed")


def overview(told: dict[str, Any]) -> tuple[list[str], list[dict]]:
    """The method against its rival, a row a cell.

    Args:
      told: the table.
    Returns: the column names; rows as of `results`.
    """
    pair, rows = (told["method"], told["rival"]), []
    for cell in told["cells"].values():
        arms = {arm["label"]: arm for arm in cell["arms"]}
        found = [arms.get(label) for label in pair]
        better = found[1]["better"] if found[1] else None
        cells = ["not yet" if better is None else f"{chance(better)}: {cell['verdict']}", figure(cell["best"], 4)]
        cells += [NONE if arm is None else figure(arm["iqm"], 4) for arm in found]
        cells += [NONE if arm is None else _near(arm) for arm in found]
        strong = [0] if cell["verdict"] in ("better", "worse") else []
        rows.append({"label": cell["title"], "runs": "", "cells": cells, "best": False, "strong": strong})
    return [f"P({pair[0]} better)", "best known", *pair, *(f"{label}, near" for label in pair)], rows


def _near(arm: dict[str, Any]) -> str:
    return NONE if arm["near"] is None else f"{arm['near']}/{arm['seeds']}"


def results(cell: dict[str, Any], told: dict[str, Any]) -> list[dict]:
    """How each arm ends in a cell.

    Args:
      cell: of the table.
      told: the table.
    Returns: rows {"label", "runs": what tuning chose, "cells", "best": whether it is the method, "strong": which cells
      are bold}.
    """
    decimals, rows = max(4, decimals_of(cell["arms"])), []
    for arm in cell["arms"]:
        better = arm["better"]
        cells = [figure(arm["iqm"], decimals), spread(arm, decimals), figure(arm["half"], decimals)]
        cells.append(_near(arm))
        cells.append("the method" if arm["label"] == told["method"] else NONE if better is None else chance(better))
        cells.append(str(arm["failures"]))
        runs = [arm["state"]] * (arm["state"] != "finished") + ([factors(arm["factors"])] if arm["factors"] else [])
        is_clear = verdict_of(better) in ("better", "worse")
        row = {"label": arm["label"], "runs": "; ".join(runs), "cells": cells, "strong": [4] if is_clear else []}
        rows.append(row | {"best": arm["label"] == told["method"]})
    return rows


def markdown(told: dict[str, Any]) -> str:
    """OUT/table.md: the overview, and a table a cell."""
    columns, rows = overview(told)
    parts = [_table(["cell", *columns], [[row["label"], *_bold(row)] for row in rows])]
    for cell in told["cells"].values():
        best = "" if cell["best"] is None else f", best known {figure(cell['best'], 4)}"
        rows = [[f"`{row['label']}`", *_bold(row), row["runs"]] for row in results(cell, told)]
        parts.append(f"**{cell['title']}**{best}\n\n{_table(['arm', *COLUMNS, 'tuned'], rows)}")
    return "\n\n".join(parts) + "\n"


def _bold(row: dict[str, Any]) -> list[str]:
    return [f"**{text}**" if place in row["strong"] else text for place, text in enumerate(row["cells"])]


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(text.replace('|', ' ') for text in line)} |" for line in lines)
