"""The tables of the four-rooms experiment, as cells of (text, small print, bold), and as Markdown."""

from typing import Any

from upperhand.report import entries
from upperhand.report.entries import NONE, Entry, Table
from upperhand.report.experiment import verdict_of
from upperhand.report.experiment_words import chance
from upperhand.report.four_rooms import NEAR
from upperhand.report.writing import count, fixed, number


def tables(told: dict[str, Any]) -> list[Table]:
    """All that have something to show.

    Args:
      told: the table.
    """
    found = [reached(told), against(told), repeated(told), spent(told)] if told["cells"] else []
    return [one for one in found if one is not None]


def _title(cell: dict[str, Any]) -> str:
    return f"τ\u00a0{cell['tau']:g}, cost\u00a0{cell['cost']:g}"


def reached(told: dict[str, Any]) -> Table:
    """Every cell: what was published, what is known, and ours."""
    methods, arms = list(told["cells"][0]["published"]), [arm["label"] for arm in told["arms"]]
    rows = []
    for cell in told["cells"]:
        line = [Entry(fixed(one["mean"], 2), [f"± {fixed(one['error'], 3)}"]) for one in cell["published"].values()]
        ascent, best = cell["ascent"], cell["best"]["mean"]
        line += [Entry(fixed(cell["known"])), Entry(fixed(ascent), strong=ascent is not None and ascent >= best)]
        for arm in cell["arms"]:
            small = [f"{fixed(arm['low'])} to {fixed(arm['high'])}", f"{arm['step']:g} × {arm['heat']:g}"]
            line.append(Entry(fixed(arm["iqm"]), small, arm["reaches"]))
        rows.append((_title(cell), line))
    note = (
        "Published: mean ± standard error over 10 seeds. Ascent: one start, exact gradients. Arms: IQM over the seeds, "
        "its 95% interval, and the chosen step × heat. Bold: ours that reach the best published mean of the row, an "
        "arm by the upper end of its interval, which a wide interval reaches easily."
    )
    columns = ["cell", *(f"published {name}" for name in methods), "known exact", "ascent", *arms]
    return Table("Every cell, against what was published", columns, rows, note)


def against(told: dict[str, Any]) -> Table | None:
    """The arms that sample against the rival, in each cell."""
    labels = [arm["label"] for arm in told["cells"][0]["arms"] if arm["better"] is not None]
    rows = []
    for cell in told["cells"]:
        found = [arm["better"] for arm in cell["arms"] if arm["label"] in labels]
        rows.append((_title(cell), [Entry(chance(p), strong=verdict_of(p) != "open") for p in found]))
    note = f"That a seed of the arm is better than one of {told['rival']}; bold where the 95% interval leaves out ½. "
    note += "The intervals are not corrected for the number of cells."
    columns = ["cell", *(f"P({label} better)" for label in labels)]
    return Table(f"Against {told['rival']} at equal environment steps", columns, rows, note) if labels else None


def repeated(told: dict[str, Any]) -> Table | None:
    """The ascent against what is known of it."""
    if told["ascent"] is None:
        return None
    rows = []
    for cell in told["cells"]:
        gap = cell["difference"]
        line = [Entry(fixed(cell["known"])), Entry(fixed(cell["ascent"], 4))]
        sign = "+" if gap > 0 else ""
        rows.append((_title(cell), [*line, Entry(f"{sign}{fixed(gap, 4)}", strong=abs(gap) <= NEAR)]))
    note = f"{told['ascent']['near']} of {len(told['cells'])} within {NEAR}, in bold; the largest difference is "
    note += f"{fixed(told['ascent']['largest'], 4)}. The known values, of three decimals, were measured by other code."
    return Table("Exact-gradient ascent, repeated", ["cell", "known", "ascent", "difference"], rows, note)


def spent(told: dict[str, Any]) -> Table | None:
    """What each arm spent, and how often it chose each step and heat."""
    if not told["arms"]:
        return None
    tried = {kind: list(dict.fromkeys(one["of"] for arm in told["arms"] for one in arm[kind])) for kind in KINDS}
    rows = []
    for arm in told["arms"]:
        transitions = count(arm["transitions"]) if arm["samples"] else "0"
        line = [Entry(transitions), Entry(f"{arm['updates']:,}"), Entry(number(arm["seconds"]))]
        line.append(Entry(f"{arm['reached']} of {len(told['cells'])}"))
        for kind, values in tried.items():
            often = {one["of"]: one["cells"] for one in arm[kind]}
            line += [Entry(str(often[value])) if value in often else NONE for value in values]
        rows.append((arm["label"], line))
    columns = ["arm", "transitions", "updates", "seconds", "reached"]
    columns += [f"{KINDS[kind]} {value:g}" for kind, values in tried.items() for value in values]
    note = (
        "Transitions and updates of a start, seconds of all trials and starts; reached: cells as in the first table. "
        "Then in how many cells each step, and each heat (the factor on τ at the start), was chosen on the tuning "
        "seeds. A choice at the end of a range says that a longer one might do better."
    )
    return Table("What was spent, and what was chosen", columns, rows, note)


KINDS = {"steps": "step", "heats": "heat"}


def markdown(told: dict[str, Any]) -> str:
    """OUT/table.md: every table."""
    return entries.markdown(tables(told))
