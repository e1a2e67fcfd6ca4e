"""The page of rlhf_matters: figures, table.json, table.md, and one file that opens anywhere."""

import json
from pathlib import Path
from typing import Any

from upperhand.report import entries, matters_words
from upperhand.report.matters import table
from upperhand.report.matters_figures import figures
from upperhand.report.matters_folder import Study, read
from upperhand.report.matters_tables import everything, tables
from upperhand.report.page import filled, inlined, replace, saved
from upperhand.report.tweets_page import settings


def write(out: Path | str) -> Path:
    """Everything that the experiment tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder that `upperhand reproduce rlhf_matters` wrote, finished or not. OUT/figures/*.png, OUT/table.json,
        OUT/table.md and OUT/report.html are written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `matters_folder.read`, before anything is written.
    """
    study = read(out)
    told = table(study)
    drawn = saved(study.path / "figures", figures(study, told))
    replace(study.path / "table.json", json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace(study.path / "table.md", entries.markdown(everything(study, told)))
    return replace(study.path / "report.html", render(study, told, drawn))


def render(study: Study, told: dict[str, Any], drawn: dict[str, Path]) -> str:
    """The page as text, with its images inside it; every text of the folder is escaped.

    Args:
      study: as `read` gives it.
      told: its table.
      drawn: name → PNG.
    """
    return filled(
        "matters.html.jinja",
        problem="Where joint training matters",
        eyebrow=matters_words.eyebrow(study),
        headline=matters_words.headline(told),
        lede=matters_words.lede(told),
        notices=matters_words.notices(study, told),
        about=matters_words.STORY,
        lines=matters_words.LINES,
        method="",
        figures=inlined(drawn, matters_words.captions(told)),
        tables=tables(study, told),
        outcomes=matters_words.outcomes(told),
        remarks=matters_words.remarks(told),
        settings=settings(study.about),
        config="experiment.json",
        command=study.about["command"],
    )
