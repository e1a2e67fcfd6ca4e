"""The page of a folder, for `upperhand report` and for what ends with one."""

from pathlib import Path

from upperhand.errors import BadInput
from upperhand.store import is_comparison


def page(out: Path) -> Path:
    """The page of a run folder or of a comparison, drawn. Raises: BadInput where the folder is damaged."""
    if is_comparison(out):
        from upperhand.report.comparison_page import write
    else:
        from upperhand.report.page import write
    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
