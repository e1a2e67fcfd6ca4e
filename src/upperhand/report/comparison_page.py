"""The page of a comparison: summary.json, the figures, and one file that opens with no server and no network."""

import json
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from upperhand.report import comparison_curves, comparison_figures, comparison_tables, comparison_words, words
from upperhand.report.comparison import CURRENCIES, Comparison, courses, read, summary
from upperhand.report.folder import Folder
from upperhand.report.general import is_general
from upperhand.report.page import filled, inlined, replace, saved

ROUNDED = " Differences below a billionth of the range of the scores are rounding, and count as none."
JUDGED = {
    "value": "The score is the exact value Φ(x) of the last record, by the oracle.",
    "upper": "There is no oracle: the score is each method’s own estimate of the upper loss at its last record, which "
    "methods may estimate in different ways.",
}


def write(out: Path | str) -> Path:
    """Everything that a comparison tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder of a comparison, finished or not. OUT/summary.json, OUT/figures/*.png and OUT/report.html are
        written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `comparison.read`, before anything is written.
    """
    found = read(Path(out))
    told = summary(found)
    drawn = saved(found.path / "figures", figures(found, told))
    replace(found.path / "summary.json", json.dumps(told, indent=1, allow_nan=False) + "\n")
    return replace(found.path / "report.html", render(found, told, drawn))


def figures(comparison: Comparison, told: dict[str, Any]) -> dict[str, Figure | None]:
    """Name of each PNG → figure, or None where the folder has nothing to draw.

    Args:
      comparison: as `read` gives it.
      told: its summary.
    """
    went = courses(comparison)
    spent = [name for name in (told["currency"], *CURRENCIES) if comparison_curves.spenders(went, name)]
    main = spent[0] if spent else told["currency"]
    over = {name: comparison_curves.value(comparison, told, went, name) for name in CURRENCIES}
    return {f"value_{name}": drawn for name, drawn in over.items()} | {
        "gap": comparison_curves.gap(comparison, told, went, main),
        "finals": comparison_figures.finals(comparison, told),
        "improvement": comparison_figures.improvement(comparison, told),
        "tuning": comparison_figures.tuning(comparison, told),
    }


def render(comparison: Comparison, told: dict[str, Any], drawn: dict[str, Path]) -> str:
    """The page as text, with every image inside it.

    Args:
      comparison: as `read` gives it.
      told: its summary.
      drawn: name → PNG.
    Returns: HTML; every text of the folder is escaped.
    """
    config = comparison.config
    about, lines, _ = words.story(Folder(comparison.path, config | {"solver": ""}, {}, {}, None))
    mains = [told["currency"], *(name for name in CURRENCIES if name != told["currency"])]
    return filled(
        "comparison.html.jinja",
        problem=words.plain(config["problem"]),
        eyebrow=comparison_words.eyebrow(comparison, told),
        headline=comparison_words.headline(told),
        lede=comparison_words.lede(told),
        notices=comparison_words.notices(comparison, told),
        about=about,
        lines=lines,
        method="",
        figures=inlined(drawn, comparison_words.captions(comparison, told)),
        mains=[f"value_{name}" for name in mains],
        judged=JUDGED[told["score"]] + (ROUNDED if is_general(config) else ""),
        results=comparison_tables.results(comparison, told),
        tuned=comparison_tables.tuned(comparison, told),
        equal_cost=comparison_tables.equal_cost(told),
        costs=comparison_tables.costs(told),
        settings=comparison_tables.settings(comparison),
        config="compare.json",
        command=config["command"] if isinstance(config.get("command"), str) else "",
    )
