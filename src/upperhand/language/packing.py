"""Texts of many lengths in rows of one length, several to a row, with hardly a place left empty."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Int

from upperhand.mdps.tokens import Tokens

Whole = Int[np.ndarray, "..."] | Int[Array, "..."]


class Rows(NamedTuple):
    """N rows of R tokens. In each text, what is read is `begin` and all tokens but the last."""

    tokens: Whole  # [N, R] read
    targets: Whole  # [N, R] to be foretold; pad where no text is
    texts: Whole  # [N, R] which text of the row, from 1; 0 where none is
    positions: Whole  # [N, R] in the text, from 0


def packed(texts: Int[np.ndarray, "N T"], row: int, world: Tokens) -> Rows:
    """Texts into rows: the longest first, each into the fullest row that has room.

    Args:
      texts: [N, T], each ended and padded.
      row: R, at least T.
      world: pad and begin.
    Returns: Rows. Cost: N·R on the host at most.
    """
    lengths = (texts != world.pad).sum(1)
    rows, having = [], [[] for _ in range(row + 1)]  # rows by the room they have
    for text in np.argsort(-lengths, kind="stable"):
        length = int(lengths[text])
        room = next((room for room in range(length, row + 1) if having[room]), None)
        if room is None:
            rows.append([])
            place, room = len(rows) - 1, row
        else:
            place = having[room].pop()
        rows[place].append(text)
        having[room - length].append(place)
    made = Rows(*(np.zeros((len(rows), row), np.int32) for _ in Rows._fields))
    made.tokens[:], made.targets[:] = world.pad, world.pad
    for place, members in enumerate(rows):
        start = 0
        for number, text in enumerate(members, 1):
            stop, length = start + int(lengths[text]), int(lengths[text])
            made.tokens[place, start:stop] = [world.begin, *texts[text, : length - 1]]
            made.targets[place, start:stop] = texts[text, :length]
            made.texts[place, start:stop], made.positions[place, start:stop] = number, np.arange(length)
            start = stop
    return made


def visible(texts: Int[np.ndarray, "B R"] | Int[Array, "B R"]) -> Bool[np.ndarray, "B R R"] | Bool[Array, "B R R"]:
    """What each place of a row may look at: what comes before it in its own text, and itself."""
    order = np.arange(texts.shape[1])
    return (texts[:, :, None] == texts[:, None, :]) & (order[:, None] >= order[None])[None]
