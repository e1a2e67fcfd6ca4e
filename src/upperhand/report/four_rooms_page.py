"""The page of the four-rooms experiment: figure.png, table.json, table.md, and one file that opens anywhere."""

import json
from pathlib import Path
from typing import Any

from upperhand.report import four_rooms_words, style, words
from upperhand.report.folder import Folder
from upperhand.report.four_rooms import table
from upperhand.report.four_rooms_figure import figure
from upperhand.report.four_rooms_folder import Study, read
from upperhand.report.four_rooms_tables import markdown, tables
from upperhand.report.page import filled, inlined, replace
from upperhand.report.writing import setting


def write(out: Path | str) -> Path:
    """Everything that the experiment tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder that `upperhand reproduce four_rooms` wrote, finished or not. OUT/figure.png, OUT/table.json,
        OUT/table.md and OUT/report.html are written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `four_rooms_folder.read`, before anything is written.
    """
    study = read(out)
    told = table(study)
    drawn, path = figure(study, told), study.path / "figure.png"
    if drawn is None:
        path.unlink(missing_ok=True)
    else:
        style.save(drawn, path)
    replace(study.path / "table.json", json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace(study.path / "table.md", markdown(told))
    return replace(study.path / "report.html", render(study, told, {} if drawn is None else {"figure": path}))


def render(study: Study, told: dict[str, Any], drawn: dict[str, Path]) -> str:
    """The page as text, with its image inside it; every text of the folder is escaped.

    Args:
      study: as `read` gives it.
      told: its table.
      drawn: "figure" → PNG, or nothing.
    """
    story, lines, _ = words.story(Folder(study.path, {"problem": "four_rooms", "solver": ""}, {}, {}, None))
    return filled(
        "four_rooms.html.jinja",
        problem="Four rooms",
        eyebrow=four_rooms_words.eyebrow(study),
        headline=four_rooms_words.headline(told),
        lede=four_rooms_words.lede(told, study.about["config"]),
        notices=four_rooms_words.notices(study, told),
        about=story,
        lines=[*lines, ("told here", "V(x) = −Φ(x), the designer’s value: higher is better")],
        method="",
        figures=inlined(drawn, {"figure": four_rooms_words.caption(told)}),
        tables=tables(told),
        settings=settings(study),
        config="experiment.json",
        command=study.about["command"],
    )


def settings(study: Study) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): the experiment, and the versions."""
    parts = {"Experiment": study.about["config"] | {"started": study.about.get("started", "")}}
    parts["Versions"] = study.about.get("versions")
    return [
        (title, [(str(name), setting(value)) for name, value in part.items()])
        for title, part in parts.items()
        if isinstance(part, dict) and part
    ]
