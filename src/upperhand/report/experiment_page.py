"""The page of an experiment made of comparisons: figure.png, table.json, table.md, and one file that opens anywhere."""

import json
from pathlib import Path
from typing import Any

from upperhand.report import experiment_tables, experiment_words, style, words
from upperhand.report.experiment import table
from upperhand.report.experiment_figure import figure
from upperhand.report.experiment_folder import Experiment, place, read_experiment
from upperhand.report.folder import Folder
from upperhand.report.page import filled, inlined, replace
from upperhand.report.writing import setting


def write(out: Path | str) -> Path:
    """Everything that an experiment tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder of an experiment, finished or not. OUT/figure.png, OUT/table.json, OUT/table.md and
        OUT/report.html are written, older ones replaced; the pages of the comparisons stay as they are.
    Returns: path of report.html.
    Raises: ValueError in one line, as `read_experiment`, before anything is written.
    """
    found = read_experiment(out)
    told, drawn, path = table(found), figure(found), found.path / "figure.png"
    if drawn is None:
        path.unlink(missing_ok=True)
    else:
        style.save(drawn, path)
    replace(found.path / "table.json", json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace(found.path / "table.md", experiment_tables.markdown(told))
    return replace(found.path / "report.html", render(found, told, {} if drawn is None else {"figure": path}))


def render(experiment: Experiment, told: dict[str, Any], drawn: dict[str, Path]) -> str:
    """The page as text, with its image inside it; every text of the folder is escaped.

    Args:
      experiment: as `read_experiment` gives it.
      told: its table.
      drawn: "figure" → PNG, or nothing.
    """
    about = experiment.about
    problems = {cell["problem"] for cell in told["cells"].values()} - {None}
    problem = problems.pop() if len(problems) == 1 else ""
    story, lines, _ = words.story(Folder(experiment.path, {"problem": problem, "solver": ""}, {}, {}, None))
    has_page = {name: (place(experiment.path, name) / "report.html").is_file() for name in told["cells"]}
    return filled(
        "experiment.html.jinja",
        problem=about["question"]["title"],
        eyebrow=experiment_words.eyebrow(experiment),
        headline=experiment_words.headline(experiment, told),
        lede=experiment_words.lede(experiment, told),
        notices=experiment_words.notices(experiment, told),
        about=story,
        lines=lines,
        method="",
        figures=inlined(drawn, {"figure": experiment_words.caption(told)}),
        overview=experiment_tables.overview(told),
        columns=experiment_tables.COLUMNS,
        cells=[
            {
                "title": cell["title"],
                "best": "" if cell["best"] is None else f"{cell['best']:.4f}".replace("-", "−"),
                "page": cell["page"] if has_page[name] else "",
                "rows": experiment_tables.results(cell, told),
            }
            for name, cell in told["cells"].items()
        ],
        settings=settings(experiment),
        config="experiment.json",
        command=about["command"],
    )


def settings(experiment: Experiment) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): the experiment, the arms as they were given, and the versions."""
    about = experiment.about
    parts = {"Experiment": about["config"] | {"started": about.get("started", "")}}
    for part in experiment.parts[:1]:
        for arm in part.comparison.arms if part.comparison else ():
            parts[f"Arm: {arm.label} ({arm.solver})"] = arm.settings or {"settings": "the defaults"}
    parts["Versions"] = about.get("versions")
    return [
        (title, [(str(name), setting(value)) for name, value in part.items()])
        for title, part in parts.items()
        if isinstance(part, dict) and part
    ]
