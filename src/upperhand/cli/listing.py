"""What there is, without importing it."""

import ast
import re
from typing import Any

from upperhand.settings import files

FOLDERS = {"rl": "worlds", "text": "texts", "single": "single"}
"""Folder of a solver → what it is for."""
TITLES = {
    "problem": {
        "worlds": "problems on worlds: an agent answers x with its best policy",
        "texts": "problems of texts: a language model answers a reward model x",
        "general": "general problems: y answers x, and there need not be an agent",
        "single": "single-level problems: x alone, and noise in its gradients",
    },
    "solver": {
        "worlds": "solvers for worlds",
        "texts": "solvers for texts",
        "general": "general solvers; most take worlds too, by exact losses of a policy table",
        "single": "single-level solvers, for gradients with heavy tails",
    },
}
"""Titles of the tables of `upperhand list`, in their order."""


def documentation(room: str, name: str) -> str:
    """The documentation of a builder's file, read without importing it."""
    return ast.get_docstring(ast.parse(files(room)[name][0].read_text(encoding="utf-8"))) or ""


def first_line(room: str, name: str) -> str:
    """The first line of the documentation of a builder's file."""
    return documentation(room, name).split("\n")[0]


def formulas(room: str, name: str) -> list[str]:
    """The formulas of a file: the indented lines of its documentation, those side by side apart."""
    lines = re.findall(r"^    (\S.*)$", documentation(room, name), re.MULTILINE)
    return [" ".join(part.split()) for line in lines for part in re.split(r" {4,}", line)]


def says(problem: str, solver: str = "") -> dict[str, Any]:
    """What a page tells of a general problem and of a method, from their documentation."""
    found = {"problem": first_line("problem", problem), "formulas": formulas("problem", problem)}
    return found | ({"solver": first_line("solver", solver)} if solver else {})


def tried(problem: str) -> str:
    """The solver of the line `Try: NAME` in the documentation of a problem's file, or nothing."""
    return next(iter(advice(problem)), "")


def advice(problem: str) -> dict[str, dict[str, Any]]:
    """Solvers and settings that suit a problem, by its lines `Try: NAME setting=value setting=(value,value)`."""
    lines = re.findall(r"^Try: (\w+)(.*)$", documentation("problem", problem), re.MULTILINE)
    pairs = lambda words: (word.split("=", 1) for word in words.split())  # noqa: E731
    return {name: {key: ast.literal_eval(value) for key, value in pairs(words)} for name, words in lines}


def form(problem: str) -> str:
    """The annotation of what a problem's builder returns, read without importing it, or nothing."""
    body = ast.parse(files("problem")[problem][0].read_text(encoding="utf-8")).body
    made = [node.returns for node in body if isinstance(node, ast.FunctionDef) and node.name == problem]
    return ast.unparse(made[0]) if made and made[0] else ""


def kind(room: str, name: str) -> str:
    """What a problem or a solver is listed with: `worlds`, `texts`, `general`, `single`, or nothing.

    A solver by its folder; a problem by its form, and one of texts by the solver that it says to try.
    """
    if room == "solver":
        return FOLDERS.get(files(room)[name][0].parent.name, "general")
    if form(name) in ("BilevelRL", ""):
        return "texts" if tried(name) in names_of("texts") else "worlds"
    if form(name) == "Minimise":
        return "single"
    return "general" if form(name) in ("Bilevel", "Conditional", "Equations") else ""


def names_of(group: str) -> list[str]:
    """The solvers of a group."""
    return [name for name in files("solver") if kind("solver", name) == group]


def groups(room: str) -> dict[str, list[str]]:
    """Title of each group that is not empty → the builders of a room that are in it."""
    kinds = {name: kind(room, name) for name in files(room)}
    found = {title: [name for name in kinds if kinds[name] == group] for group, title in TITLES[room].items()}
    return {title: names for title, names in found.items() if names}


def needs(room: str, name: str) -> list[str]:
    """The line `Needs: …` of the documentation of a builder's file, with the lines that it goes on over, or nothing."""
    found = re.search(r"^Needs: .*(?:\n(?!\w+:)\S.*)*", documentation(room, name), re.MULTILINE)
    return [" ".join(found.group().split())] if found else []
