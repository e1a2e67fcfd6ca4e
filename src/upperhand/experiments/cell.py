"""What an experiment consists of.

A file of this room with a class `Config` is an experiment, by the name of the file. `Config` is a frozen dataclass;
its fields, which have defaults, become flags, the comment behind each its help. The line `Takes: …` of the file's
documentation tells how long it lasts. The file has one of the two:

    build(config) → {name: Cell}, and QUESTION       comparisons; `reproduce` runs them, draws and words what they say
    carry_out(config, out, say) → path of the page   anything else; out holds experiment.json, say(text) prints a line.
                                                     Called again it continues what is there. draw(out) → path of the
                                                     page, where it exists, answers `upperhand report OUT`
"""

from typing import Any, NamedTuple


class Cell(NamedTuple):
    """One comparison of an experiment, a panel of its figure."""

    title: str  # as in "at width 4"
    problem: str
    settings: dict[str, Any]  # of the problem, that differ from its defaults
    arms: tuple[str, ...]  # as `upperhand compare --solvers` takes them
    samples: int  # budget of a seed
    seeds: int
    trials: int  # of tuning, each arm
    tuning_seeds: int


class Question(NamedTuple):
    """What the headline answers, of two labels that every cell has."""

    title: str  # of the experiment
    method: str  # label of the arm that all others are set against
    rival: str  # label of the one that the headline sets it against
    claim: str  # the method in words
    against: str  # the rival in words
