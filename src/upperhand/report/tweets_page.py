"""The page of the experiment with happy tweets: figures, table.json, table.md, and one file that opens anywhere."""

import json
from pathlib import Path
from typing import Any

from upperhand.report import entries, lexicon, tweets_words, words
from upperhand.report.folder import Folder
from upperhand.report.page import filled, inlined, replace, saved
from upperhand.report.texts_run import sampled
from upperhand.report.tweets import OWN, table
from upperhand.report.tweets_curves import over_updates, score_at_end, score_over_kl
from upperhand.report.tweets_folder import Study, read
from upperhand.report.tweets_learning import learning
from upperhand.report.tweets_tables import ends, others, tables
from upperhand.report.writing import setting

FIGURES = {
    "score_over_kl": score_over_kl,
    "score_at_end": score_at_end,
    "over_updates": over_updates,
    "lexicon": lambda study, told: lexicon.figure(study.arms[arm]["lexicon"]) if (arm := legible(study)) else None,
    "learning": learning,
}
"""name of the PNG → what draws it, None where the folder has nothing to draw."""


def write(out: Path | str) -> Path:
    """Everything that the experiment tells, from its folder alone: the same folder gives the same page.

    Args:
      out: the folder that `upperhand reproduce tweets` wrote, finished or not. OUT/figures/*.png, OUT/table.json,
        OUT/table.md and OUT/report.html are written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `tweets_folder.read`, before anything is written.
    """
    study = read(out)
    told = table(study)
    drawn = saved(study.path / "figures", {name: draw(study, told) for name, draw in FIGURES.items()})
    replace(study.path / "table.json", json.dumps(told, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    replace(study.path / "table.md", entries.markdown(tables(study, told)))
    return replace(study.path / "report.html", render(study, told, drawn))


def legible(study: Study) -> str | None:
    """The arm whose lexicon is drawn: the joint one, or the first that has one."""
    found = [label for label, part in study.arms.items() if lexicon.sides(part["lexicon"]) != ([], [])]
    return OWN if OWN in found else next(iter(found), None)


def render(study: Study, told: dict[str, Any], drawn: dict[str, Path]) -> str:
    """The page as text, with its images inside it; every text of the folder is escaped.

    Args:
      study: as `read` gives it.
      told: its table.
      drawn: name → PNG.
    """
    story, lines, _ = words.story(Folder(study.path, {"problem": "tweets", "solver": ""}, {}, {}, None))
    return filled(
        "tweets.html.jinja",
        problem="Happy tweets",
        eyebrow=tweets_words.eyebrow(study, told),
        headline=tweets_words.headline(told),
        lede=tweets_words.lede(told),
        notices=tweets_words.notices(study, told),
        about=story,
        lines=lines,
        method="",
        figures=inlined(drawn, tweets_words.captions(told, legible(study))),
        ends=ends(told),
        others=others(study, told),
        before=sampled((study.base or {}).get("samples", [])),
        after=[(label, sampled(part["samples"])) for label, part in shown(study, told) if part["samples"]],
        settings=settings(study.about),
        config="experiment.json",
        command=study.about["command"],
    )


def shown(study: Study, told: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The arms with the joint one first, or the best one where there is none: its texts stand open."""
    first = OWN if OWN in study.arms else told["best"]
    return sorted(study.arms.items(), key=lambda item: item[0] != first)


def settings(about: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Titled lists of (name, value): the experiment, and the versions."""
    parts = {"Experiment": about["config"] | {"started": about.get("started", "")}}
    parts["Versions"] = about.get("versions")
    return [
        (title, [(str(name), setting(value)) for name, value in part.items()])
        for title, part in parts.items()
        if isinstance(part, dict) and part
    ]
