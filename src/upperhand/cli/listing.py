"""What there is, without importing it."""

import ast
import re

from upperhand.settings import files


def documentation(room: str, name: str) -> str:
    """The documentation of a builder's file, read without importing it."""
    return ast.get_docstring(ast.parse(files(room)[name][0].read_text(encoding="utf-8"))) or ""


def first_line(room: str, name: str) -> str:
    """The first line of the documentation of a builder's file."""
    return documentation(room, name).split("\n")[0]


def needs(room: str, name: str) -> list[str]:
    """The line `Needs: …` of the documentation of a builder's file, with the lines that it goes on over, or nothing."""
    found = re.search(r"^Needs: .*(?:\n(?!\w+:)\S.*)*", documentation(room, name), re.MULTILINE)
    return [" ".join(found.group().split())] if found else []
