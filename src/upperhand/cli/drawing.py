"""The page of a folder, for `upperhand report` and for what ends with one."""

import importlib
from pathlib import Path
from types import ModuleType

from upperhand.errors import BadInput
from upperhand.settings import files, resolve
from upperhand.store import is_comparison, is_experiment


def page(out: Path) -> Path:
    """The page of a run folder, a comparison or an experiment, drawn. Raises: BadInput where the folder is damaged."""
    if is_experiment(out):
        return experiment_page(out)
    if is_comparison(out):
        from upperhand.report.comparison_page import write
    else:
        from upperhand.report.page import write
    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error


def experiment_page(out: Path) -> Path:
    """The page of an experiment: of a study, of its comparisons, or as its own file draws it. Raises: BadInput."""
    from upperhand.report import study_page
    from upperhand.report.experiment_folder import about
    from upperhand.report.experiment_page import write
    from upperhand.report.study_folder import is_study

    try:
        if is_study(out):
            return study_page.write(out)
        told = about(out)
        if told["cells"]:
            return write(out)
        draw = getattr(experiment(told["experiment"]), "draw", None)
        if draw:
            return draw(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
    if not (out / "report.html").exists():
        raise BadInput(f"{out} has no page yet: finish it with `upperhand resume {out}`.")
    return out / "report.html"


def experiment(name: str) -> ModuleType:
    """The file of an experiment, imported."""
    return importlib.import_module(files("experiment")[resolve("experiment", name)][1])
