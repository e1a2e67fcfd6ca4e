"""What the pages say of a general problem, which need not have an agent: its losses, its examples, what it measures."""

from collections.abc import Mapping
from typing import Any

from upperhand.report.folder import Folder

FORMS = {
    "Bilevel": [
        ("minimise over x", "Φ(x) = upper(x, y*(x))"),
        ("where", "y*(x) minimises lower(x, y) over y"),
    ],
    "Conditional": [
        ("minimise over x", "Φ(x) = mean over i of upper(x, y*ᵢ(x), i)"),
        ("where", "y*ᵢ(x) minimises the mean over j of lower(x, y, i, j)"),
    ],
    "Equations": [
        ("find x with", "E slow(x, y*(x)) = 0"),
        ("where", "E fast(x, y*(x)) = 0"),
    ],
    "Minimise": [
        ("minimise over x", "Φ(x) = E loss(x, batch)"),
    ],
}
"""Form of a problem, as config.json tells it → its lines of mathematics."""
ABOUT = {
    "Bilevel": "Somebody chooses x. Whoever answers it takes the y that is best by its own loss. The first one cares "
    "about what then comes out.",
    "Conditional": "Somebody chooses x, which is answered anew in every case i, by the y that is best there. The first "
    "one cares about all the cases together.",
    "Equations": "Two equations that hold each other up: a fast variable y follows x, and a slow one x moves by what y "
    "has become.",
    "Minimise": "Somebody chooses x, and nobody answers. What is seen of the loss are gradients with noise.",
}
OF_RUNS = {
    *("seed", "step", "samples", "gradients", "products", "seconds", "upper", "lower", "value", "gap", "failed", "x"),
    *("hypergradient_norm", "hypergradient_error", "hypergradient_cosine", "temperature", "penalty"),
}
"""Columns that every run may have; what is left was measured by the problem or planned by the method."""
MOST = 4
"""Measures that a page draws and puts into its table of seeds."""


def is_general(config: Mapping[str, Any]) -> bool:
    """Whether a run, or a comparison, is of a general problem."""
    return config.get("form") in FORMS


def drawn_of(config: Mapping[str, Any]) -> str:
    """What a sample is."""
    return "examples" if is_general(config) else "transitions"


def story(config: Mapping[str, Any]) -> tuple[str, list[tuple[str, str]]]:
    """A general problem in words and in lines of mathematics: those of its form, then its own, where they are told."""
    form, says = config["form"], config.get("says")
    says = says if isinstance(says, Mapping) else {}
    own = [text for text in says.get("formulas") or () if isinstance(text, str)]
    lines = [("here" if place == 0 else "", text) for place, text in enumerate(own)]
    return (says["problem"] if isinstance(says.get("problem"), str) else ABOUT[form]), FORMS[form] + lines


def measures(folder: Folder) -> list[str]:
    """The columns of a general run that no other run has, the first few of them."""
    if not is_general(folder.config):
        return []
    return [name for name in folder.rows if name not in OF_RUNS][:MOST]
