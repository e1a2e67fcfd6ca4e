"""The page of a run: one file that opens with no server and no network."""

import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from upperhand.report import curves, functions, maps, style, tables, texts_folder, texts_run, words
from upperhand.report.folder import Folder, read
from upperhand.report.texts_folder import Texts

FIGURES = {
    "landscape": maps.landscape,
    "grid": maps.grid,
    "payment": maps.payment,
    "function": functions.function,
    "value": curves.value,
    "gap": curves.gap,
    "schedules": curves.schedules,
    "hypergradient": curves.hypergradient,
    "measured": curves.measured,
    "seeds": maps.seeds,
}
"""name of the PNG → what draws it, None where the folder has nothing to draw."""


def write(out: Path | str) -> Path:
    """The figures and the page of a run, from its folder alone: the same folder gives the same page.

    Args:
      out: a run folder. OUT/figures/*.png and OUT/report.html are written, older ones replaced.
    Returns: path of report.html.
    Raises: ValueError in one line, as `folder.read`, before anything is written.
    """
    folder = read(Path(out))
    texts = texts_folder.read(folder)
    drawn = figures(folder, texts)
    return replace(folder.path / "report.html", render(folder, drawn, texts))


def figures(folder: Folder, texts: Texts | None) -> dict[str, Path]:
    """The PNGs that the folder has data for; what an older report drew and this one does not is removed."""
    drawn = {name: draw(folder) for name, draw in FIGURES.items()}
    return saved(folder.path / "figures", drawn | texts_run.figures(folder, texts))


def render(folder: Folder, drawn: dict[str, Path], texts: Texts | None) -> str:
    """The page as text, with every image inside it.

    Args:
      folder: a run.
      drawn: name → PNG, as `figures` gives it.
      texts: what it wrote, where it wrote any.
    Returns: HTML; every text of the folder is escaped.
    """
    config, starts, updates = folder.config, len(folder.config["seeds"]), int(folder.rows["step"][0, -1])
    about, lines, method = words.story(folder)
    columns, seeds, left_out = tables.seeds(folder)
    problem, solver = words.plain(config["problem"]), words.plain(config["solver"])
    captions = words.captions(folder) | ({} if texts is None else texts_run.captions())
    return filled(
        "page.html.jinja" if texts is None else "texts_run.html.jinja",
        problem=problem,
        eyebrow=f"{problem} · {solver} · {starts} {'start' if starts == 1 else 'starts'} · {updates:,} updates",
        starts=starts,
        headline=(texts and texts_run.headline(folder, texts)) or words.headline(folder),
        lede=(texts and texts_run.lede(folder, texts)) or words.lede(folder),
        notices=words.notices(folder),
        about=about,
        lines=lines,
        method=method,
        figures=inlined(drawn, captions),
        columns=columns,
        seeds=seeds,
        near=curves.NEAR,
        left_out=left_out,
        aggregate=tables.aggregate(folder),
        settings=tables.settings(folder),
        config="config.json",
        command=config["command"] if isinstance(config.get("command"), str) else "",
        **({} if texts is None else texts_run.told(folder, texts)),
    )


def replace(path: Path, text: str) -> Path:
    """A file that appears whole or not at all: a reader never sees half of it. Returns its path."""
    beside = path.with_name(f"{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)
    return path


def saved(place: Path, drawn: Mapping[str, Figure | None]) -> dict[str, Path]:
    """Figures as PLACE/NAME.png, those that are; one of an older report that is None now is removed."""
    place.mkdir(exist_ok=True)
    found = {}
    for name, figure in drawn.items():
        path = place / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)
        else:
            style.save(figure, path)
            found[name] = path
    return found


def inlined(drawn: Mapping[str, Path], captions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """What the template shows of each PNG: the image itself, its size and its caption."""
    return {
        name: {
            "caption": captions[name],
            "image": "data:image/png;base64," + b64encode(path.read_bytes()).decode("ascii"),
            "width": path_size(path)[0],
            "height": path_size(path)[1],
        }
        for name, path in drawn.items()
    }


def filled(template: str, **told: Any) -> str:
    """A template of this room with its words; every text is escaped, and a word that is missing is an error."""
    house = FileSystemLoader(Path(__file__).parent)
    rules = Environment(loader=house, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return rules.get_template(template).render(**told)


def path_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG in dots, from its header, so that the page does not jump while it loads."""
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4]), int.from_bytes(header[4:])
