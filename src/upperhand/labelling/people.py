"""People as judges: a run asks which of two texts is better, and waits until somebody has said so."""

import hashlib
import json
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from upperhand import store
from upperhand.errors import BadInput
from upperhand.labelling.book import Book, Pair
from upperhand.labelling.journal import Journal
from upperhand.labelling.waiting import interruptible

TOLD = "told.jsonl"
"""In a run folder: what the run was told, so that it goes on after a kill as if nothing had happened."""
ASKS = "asks.json"
"""In a run folder: {"labels": the folder where the run asks}, so that who labels needs to know the run alone."""
BETWEEN_LINES = 30.0
"""Seconds between two lines that tell what is waited for; none where nothing has changed."""
WORTH = {1: 1.0, 2: 0.0, "tie": 0.5, "skip": math.nan}


def people(
    folder: str | Path, *, patience: float = math.inf, poll: float = 0.2, say: Callable[[str], None] | None = None
) -> "People":
    """What a person prefers, for forms.Preference: asked in a labels folder, answered by `upperhand label`.

    Args:
      folder: of the labels; it may hold labels already, and other runs may ask in it as well.
      patience: seconds that a batch is waited for; pairs without a label then are skipped. Without end where not given.
      poll: seconds between two looks.
      say: what gets the lines that tell what is waited for; print where not given.
    Returns: (first, second, seed) → [B]: 1 where the first is preferred, 0 the second, 0.5 a tie, NaN skipped. Texts
      that tell which prompt they answer (`texts.Answer`) are shown below it.
    Raises: BadInput for a setting out of its range; when asked, for a damaged folder or a full disk.
    """
    if not patience >= 0:
        raise BadInput(f"patience must be seconds, 0 or above: got {patience!r}.")
    if not str(folder):
        raise BadInput("labels must be a folder: got an empty name.")
    return People(
        Path(folder).expanduser().absolute(), float(patience), poll, say or (lambda line: print(line, flush=True))
    )


def people_of(labels: str | tuple[str, float]) -> "People":
    """People of a setting: a folder, and the seconds that a batch is waited for if they follow it."""
    folder, *patience = (labels,) if isinstance(labels, str) else labels
    return people(folder, patience=patience[0] if patience else math.inf)


class People:
    """Made by `people`."""

    def __init__(self, folder: Path, patience: float, poll: float, say: Callable[[str], None]):
        self.book, self.patience, self.poll, self.say = Book(folder), patience, poll, say
        self.keep_in(None)

    def keep_in(self, out: Path | None) -> None:
        """From now on a run of this folder asks: it is told again what it was told before."""
        self._journal, self._told, self._spoke, self._where = None, {}, (-math.inf, None), self.book.folder
        if out is None:
            return
        store.write_whole(Path(out) / ASKS, json.dumps({"labels": str(self.book.folder)}) + "\n")
        self._journal, self._where = Journal(Path(out) / TOLD, told), Path(out)
        self._remember(self._journal.news())

    def _remember(self, news) -> None:
        for _, (key, answers) in news.lines:
            self._told.setdefault(key, answers)

    def __call__(self, first: Sequence[str], second: Sequence[str], seed: int) -> np.ndarray:
        """[B] labels of B pairs; see `people`."""
        pairs = [together(*texts) for texts in zip(first, second, strict=True)]
        key = hashlib.sha256(json.dumps([[pair.id for pair in pairs], int(seed)]).encode()).hexdigest()[:16]
        if key not in self._told:
            wanted = [pair for pair in pairs if pair.first != pair.second]
            if wanted:
                self._wait(wanted)
            said = [None if pair.first == pair.second else self.book.said(pair) for pair in pairs]
            worth = [WORTH[label.answer] if label else math.nan for label in said]
            answers = [0.5 if pair.first == pair.second else w for pair, w in zip(pairs, worth, strict=True)]
            self._told_now(key, [None if math.isnan(a) else a for a in answers])
        return np.array([math.nan if answer is None else answer for answer in self._told[key]], np.float64)

    def _told_now(self, key: str, answers: list[float | None]) -> None:
        if self._journal is None:
            self._told = {key: answers}
            return
        with self._journal.held() as (news, append):
            self._remember(news)
            if key not in self._told:
                self._remember(append([{"key": key, "answers": answers}]))

    def _wait(self, pairs: list[Pair]) -> None:
        book = self.book
        book.look()
        book.ask(pairs)
        until = time.monotonic() + self.patience
        with interruptible():
            while missing := sum(book.said(pair) is None for pair in dict.fromkeys(pairs)):
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._tell(missing)
                time.sleep(min(self.poll, left))
                book.look()

    def _tell(self, missing: int) -> None:
        now, what = time.monotonic(), (missing, self.book.given())
        if now - self._spoke[0] >= BETWEEN_LINES and what != self._spoke[1]:
            self._spoke = now, what
            many = f"{missing} label{'s' * (missing > 1)}"
            command = f"upperhand label {shlex.quote(str(self._where))}"
            self.say(f"waiting for {many} ({what[1]} given so far): {command}")


def together(first: str, second: str) -> Pair:
    """Two texts as a pair. Raises: BadInput where they answer different prompts."""
    prompts = [getattr(text, "prompt", "") for text in (first, second)]
    if prompts[0] != prompts[1]:
        raise BadInput("people compare answers to one prompt: an even batch gives each text of a pair the same.")
    return Pair(str(first), str(second), prompts[0])


def told(record: Mapping[str, Any], where: str) -> tuple[str, list[float | None]]:
    """The batch and the answers that a line of told.jsonl is. Raises: BadInput where it is none."""
    key, answers = record.get("key"), record.get("answers")
    if not isinstance(key, str) or not isinstance(answers, list) or any(a not in (0, 0.5, 1, None) for a in answers):
        raise BadInput(f"{where}: no answers to a batch. Restore the file from a copy, or run again into a new folder.")
    return key, answers
