"""The page of a study: figures, table.json, table.md, and one file that opens anywhere."""

import json
from pathlib import Path
from typing import Any

from upperhand.report.page import filled, inlined, replace, saved
from upperhand.report.study_figure import caption, draw
from upperhand.report.study_folder import Study, read
from upperhand.report.study_tables import markdown, points, tables
from upperhand.report.writing import setting


def write(out: Path | str) -> Path:
    """Everything that a study tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder of an experiment with parts/study.json. OUT/figures/*.png, OUT/table.json, OUT/table.md and
        OUT/report.html are written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `study_folder.read`, before anything is written.
    """
    study = read(out)
    drawn = saved(study.path / "figures", {figure["name"]: draw(figure) for figure in study.told["figures"]})
    replace(study.path / "table.json", json.dumps(study.told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace(study.path / "table.md", markdown(study.told))
    return replace(study.path / "report.html", render(study, drawn))


def render(study: Study, drawn: dict[str, Path]) -> str:
    """The page as text, with its images inside it; every text of the folder is escaped.

    Args:
      study: as `read` gives it.
      drawn: name → PNG.
    """
    told, about = study.told, study.about
    images = inlined(drawn, {figure["name"]: caption(figure) for figure in told["figures"]})
    config = about["config"] | ({"started": about["started"]} if about.get("started") else {})
    name = about["experiment"].replace("_", " ")
    return filled(
        "study.html.jinja",
        problem=name or "study",
        eyebrow=" · ".join(filter(None, ["Study", name, lasting(told["seconds"])])),
        headline=told["title"],
        lede=told["question"],
        notices=[],
        answer=told["answer"],
        figures=[(images[figure["name"]], figure["title"], points(figure)) for figure in told["figures"]],
        tables=tables(told),
        notes=[note for note in told["notes"] if note.strip()],
        reference=told["reference"],
        settings=listed(config),
        versions=listed(about.get("versions")),
        command=about["command"],
        took=lasting(told["seconds"]),
    )


def listed(values: Any) -> list[tuple[str, str]]:
    """(name, value) of what an object of the folder tells; nothing where it is none."""
    return [(str(name), setting(value)) for name, value in values.items()] if isinstance(values, dict) else []


def lasting(seconds: float) -> str:
    """A time as a person tells it: 8.2 seconds, 3 minutes 20 seconds, 2 hours 5 minutes."""
    if seconds < 59.95:
        return f"{seconds:.1f} seconds"
    whole = round(seconds)
    sizes = (("hour", whole // 3600), ("minute", whole % 3600 // 60), ("second", whole % 60))
    told = [f"{size} {name}{'' if size == 1 else 's'}" for name, size in sizes if size]
    return " ".join(told[:2])
