"""Labelling from several tabs or people at once: each gets another open pair, for a minute at a time."""

import threading
import time
from collections.abc import Callable
from typing import Any

from upperhand.errors import BadInput
from upperhand.labelling.book import ANSWERS, Book, Label, Pair, meant, sides

LEASE = 60.0
"""Seconds for which a pair is kept for the tab that shows it; the tab asks again sooner while it is open."""


class Refused(BadInput):
    """A request that cannot be met; the page tells it, and shows what is next."""

    def __init__(self, status: int, told: str):
        self.status = status
        super().__init__(told)


class Desk:
    """Hands out pairs and takes labels; any thread may call it.

    Args:
      book: of the labels.
      by: who labels.
      clock: seconds, for the leases.
    """

    def __init__(self, book: Book, by: str, clock: Callable[[], float] = time.monotonic):
        self.book, self.by, self.clock = book, by, clock
        self._lock, self._leases = threading.Lock(), {}  # tab → (pair, until)
        self._given: dict[str, list[Label]] = {}  # tab → its labels, the last one last

    def next(self, tab: str) -> dict[str, Any]:
        """The pair that a tab shows, its own while that is open, and how far the work is."""
        with self._lock:
            return self._next(tab)

    def label(self, tab: str, id: Any, answer: Any) -> dict[str, Any]:
        """A tab's answer about the sides that it saw: 1 left, 2 right, "tie" or "skip"; returns what is next.

        Raises: Refused where there is no such pair or it has a label; NotWritten where the disk is full.
        """
        if answer not in ANSWERS or answer is None or isinstance(answer, bool | float):
            raise Refused(400, 'answer must be 1, 2, "tie" or "skip".')
        with self._lock:
            self.book.look()
            pair = self.book.pairs.get(id) if isinstance(id, str) else None
            if pair is None:
                raise Refused(404, "nobody asked about this pair.")
            label = self.book.label(pair, meant(pair, answer), self.by)
            self._leases.pop(tab, None)
            if label is None:
                raise Refused(409, "already labelled.")
            self._given.setdefault(tab, []).append(label)
            return self._next(tab)

    def undo(self, tab: str) -> dict[str, Any]:
        """Take back a tab's last label, and show its pair again. Raises: Refused, NotWritten."""
        with self._lock:
            given = self._given.get(tab)
            if not given:
                raise Refused(409, "nothing to undo.")
            is_back = self.book.take_back(given[-1])
            label = given.pop()
            if not is_back:
                raise Refused(409, "somebody has labelled it anew; that stays.")
            pair = self.book.pairs.get(label.id)
            if pair is not None:
                self._leases[tab] = (pair, self.clock() + LEASE)
            return self._next(tab)

    def leave(self, tab: str) -> dict[str, Any]:
        """A tab was closed: its pair is free for others."""
        with self._lock:
            self._leases.pop(tab, None)
            return {}

    def given(self) -> int:
        """Labels of all tabs, undone ones left out."""
        return sum(map(len, self._given.values()))

    def _next(self, tab: str) -> dict[str, Any]:
        self.book.look()
        now, pairs = self.clock(), self.book.open()
        self._leases = {who: held for who, held in self._leases.items() if held[1] > now}
        mine = self._leases.pop(tab, (None, 0))[0]
        taken = {id for pair, _ in self._leases.values() for id in (pair.id, pair.turned.id)}
        pair = mine if mine in pairs else next((pair for pair in pairs if pair.id not in taken), None)
        if pair is not None:
            self._leases[tab] = (pair, now + LEASE)
        return {
            "pair": shown(pair),
            "by": self.by,
            "open": len(pairs),
            "labelled": self.book.given(),
            "undo": bool(self._given.get(tab)),
        }


def shown(pair: Pair | None) -> dict[str, str] | None:
    """What a tab is told of a pair."""
    return pair and {"id": pair.id, "prompt": pair.prompt} | dict(zip(("left", "right"), sides(pair), strict=True))
