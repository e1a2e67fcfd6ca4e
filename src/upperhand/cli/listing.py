"""What there is, without importing it."""

import ast

from upperhand.settings import files


def first_line(room: str, name: str) -> str:
    """The first line of the documentation of a builder's file, read without importing it."""
    tree = ast.parse(files(room)[name][0].read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or "").split("\n")[0]
