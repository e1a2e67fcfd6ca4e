"""The page of a run: one file that opens with no server and no network."""

import os
from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from upperhand.report import curves, maps, style, tables, words
from upperhand.report.folder import Folder, read

FIGURES = {
    "landscape": maps.landscape,
    "grid": maps.grid,
    "value": curves.value,
    "gap": curves.gap,
    "schedules": curves.schedules,
    "hypergradient": curves.hypergradient,
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
    drawn = figures(folder)
    page = folder.path / "report.html"
    beside = page.with_suffix(".html.part")  # a reader never sees half a page
    beside.write_text(render(folder, drawn), encoding="utf-8")
    os.replace(beside, page)
    return page


def figures(folder: Folder) -> dict[str, Path]:
    """The PNGs that the folder has data for; what an older report drew and this one does not is removed."""
    place = folder.path / "figures"
    place.mkdir(exist_ok=True)
    found = {}
    for name, draw in FIGURES.items():
        path = place / f"{name}.png"
        drawn = draw(folder)
        if drawn is None:
            path.unlink(missing_ok=True)
        else:
            style.save(drawn, path)
            found[name] = path
    return found


def render(folder: Folder, drawn: dict[str, Path]) -> str:
    """The page as text, with every image inside it.

    Args:
      folder: a run.
      drawn: name → PNG, as `figures` gives it.
    Returns: HTML; every text of the folder is escaped.
    """
    said, config = words.captions(folder), folder.config
    about, lines, method = words.story(folder)
    columns, seeds, left_out = tables.seeds(folder)
    shown = {
        name: {
            "caption": said[name],
            "image": "data:image/png;base64," + b64encode(path.read_bytes()).decode("ascii"),
            "width": path_size(path)[0],
            "height": path_size(path)[1],
        }
        for name, path in drawn.items()
    }
    template = (Path(__file__).parent / "page.html.jinja").read_text(encoding="utf-8")
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        template
    ).render(
        problem=words.plain(config["problem"]),
        solver=words.plain(config["solver"]),
        starts=len(config["seeds"]),
        updates=int(folder.rows["step"][0, -1]),
        headline=words.headline(folder),
        lede=words.lede(folder),
        notices=words.notices(folder),
        about=about,
        lines=lines,
        method=method,
        figures=shown,
        columns=columns,
        seeds=seeds,
        near=curves.NEAR,
        left_out=left_out,
        aggregate=tables.aggregate(folder),
        settings=tables.settings(folder),
        command=config["command"] if isinstance(config.get("command"), str) else "",
    )  # fmt: skip


def path_size(path: Path) -> tuple[int, int]:
    """Width and height of a PNG in dots, from its header, so that the page does not jump while it loads."""
    header = path.read_bytes()[16:24]
    return int.from_bytes(header[:4]), int.from_bytes(header[4:])
