"""A labels folder: which pairs of texts were asked about, and what people said. Any program may read and write it.

    asked.jsonl    {"id", "prompt", "first", "second", "asked"}        a pair that a run asks about
    labels.jsonl   {"id", "answer", "by", "at"}                        1, 2, "tie", "skip", or null: taken back

The prompt is what both texts answer, and is left out where they answer nothing. The id is the first 16 hex digits of
SHA-256 of the JSON text ["first","second"], or ["prompt","first","second"], in UTF-8, without spaces. Of a pair the
last line counts. A label may name the texts themselves (and the prompt) instead of the id; what is said of a pair holds
for the same texts in the other order, turned round. Labels of pairs that nobody asked about are kept.
"""

import getpass
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from upperhand.errors import BadInput
from upperhand.labelling.journal import Journal, parsed

ASKED, LABELS = "asked.jsonl", "labels.jsonl"
ANSWERS = (1, 2, "tie", "skip", None)
Answer = Literal[1, 2, "tie", "skip"] | None


class Pair(NamedTuple):
    """Two texts that are compared."""

    first: str
    second: str
    prompt: str = ""  # what both answer

    @property
    def id(self) -> str:
        """How files name the pair."""
        return id_of(*self)

    @property
    def turned(self) -> "Pair":
        """The same texts in the other order."""
        return Pair(self.second, self.first, self.prompt)

    @property
    def texts(self) -> dict[str, str]:
        """How files tell it."""
        return ({"prompt": self.prompt} if self.prompt else {}) | {"first": self.first, "second": self.second}


@lru_cache(maxsize=1 << 17)
def id_of(first: str, second: str, prompt: str = "") -> str:
    """The id of a pair of texts."""
    parts = [prompt, first, second] if prompt else [first, second]
    told = json.dumps(parts, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Label(NamedTuple):
    """What somebody said."""

    id: str  # of the pair
    answer: Answer  # None: taken back
    by: str = ""
    at: str = ""


class Book:
    """The pairs and labels of a folder, kept up to date by `look`.

    Args:
      folder: of the labels; it need not exist, and is made when something is written.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._asked, self._labels = Journal(self.folder / ASKED, asked), Journal(self.folder / LABELS, label_of)
        self.pairs: dict[str, Pair] = {}  # asked about, in that order
        self.labels: dict[str, tuple[int, Label]] = {}  # id → how many lines came before, the last label
        self._open: list[Pair] | None = None

    def look(self) -> None:
        """Read what was written since. Raises: BadInput where a file is damaged."""
        self._take_pairs(self._asked.news())
        self._take_labels(self._labels.news())

    def _take_pairs(self, news):
        self._open = None if news.anew or news.lines else self._open
        if news.anew:
            self.pairs.clear()
        for _, pair in news.lines:
            self.pairs.setdefault(pair.id, pair)

    def _take_labels(self, news):
        self._open = None if news.anew or news.lines else self._open
        if news.anew:
            self.labels.clear()
        self.labels |= {label.id: (number, label) for number, label in news.lines}

    def said(self, pair: Pair) -> Label | None:
        """The label of a pair, of its texts in either order, or None."""
        same, other = self.labels.get(pair.id), self.labels.get(pair.turned.id)
        if other is not None and (same is None or other[0] > same[0]):
            return None if other[1].answer is None else other[1]._replace(id=pair.id, answer=turned(other[1].answer))
        return None if same is None or same[1].answer is None else same[1]

    def knows(self, pair: Pair) -> bool:
        """Whether a pair was asked about, in either order."""
        return pair.id in self.pairs or pair.turned.id in self.pairs

    def open(self) -> list[Pair]:
        """The pairs without a label, the oldest first."""
        if self._open is None:
            self._open = [pair for pair in self.pairs.values() if self.said(pair) is None]
        return list(self._open)

    def given(self) -> int:
        """How many of the pairs that were asked about have a label."""
        return len(self.pairs) - len(self.open())

    def strangers(self) -> int:
        """How many labels are of pairs that nobody asked about."""
        known = {id for pair in self.pairs.values() for id in (pair.id, pair.turned.id)}
        return sum(id not in known and label.answer is not None for id, (_, label) in self.labels.items())

    def ask(self, pairs: Iterable[Pair]) -> int:
        """Ask about those pairs that were not asked about. Returns: how many these were. Raises: BadInput."""
        with self._asked.held() as (news, append):
            self._take_pairs(news)
            new = [pair for pair in dict.fromkeys(pairs) if not self.knows(pair)]
            if new:
                asked = now()
                records = [{"id": pair.id, **pair.texts, "asked": asked} for pair in new]
                self._take_pairs(append(records))
        return len(new)

    def label(self, pair: Pair, answer: Answer, by: str) -> Label | None:
        """Write a label, unless the pair has one.

        Returns: the label once it is on disk; None where the pair had one.
        Raises: NotWritten where the disk is full; nothing is changed then.
        """
        with self._labels.held() as (news, append):
            self._take_labels(news)
            if self.said(pair) is not None:
                return None
            label = Label(pair.id, answer, by, now())
            self._take_labels(append([label._asdict()]))
        return label

    def take_back(self, label: Label) -> bool:
        """Take back a label, unless another one counts by now. Returns: whether it was. Raises: NotWritten."""
        with self._labels.held() as (news, append):
            self._take_labels(news)
            pair = self.pairs.get(label.id)
            current = self.said(pair) if pair else self.labels.get(label.id, (0, None))[1]
            if current != label:
                return False
            self._take_labels(append([{"id": label.id, "answer": None, "by": label.by, "at": now()}]))
        return True

    def take(self, path: Path, by: str) -> tuple[int, int]:
        """The labels of a file into the book, all of them or none; those that say what is known are left out.

        Args:
          path: of JSON lines as in labels.jsonl.
          by: who gave the labels that do not say.
        Returns: how many there are, and how many of them said nothing new. Raises: BadInput with the line.
        """
        given = read_labels(path)
        with self._labels.held() as (news, append):
            self._take_labels(news)
            current, new = {}, []
            for pair, label in given:
                pair = pair or self.pairs.get(label.id)
                id = min(pair.id, pair.turned.id) if pair else label.id
                answer = label.answer if id == label.id else turned(label.answer)
                before = self.said(pair) if pair else self.labels.get(label.id, (0, None))[1]
                said = before and (before.answer if id == before.id else turned(before.answer))
                if answer != current.get(id, said):
                    current[id] = answer
                    told = {"answer": label.answer, "by": label.by or by, "at": label.at or now()}
                    new.append({"id": label.id, **(pair.texts if pair else {}), **told})
            if new:
                self._take_labels(append(new))
        return len(given), len(given) - len(new)


def turned(answer: Answer) -> Answer:
    """An answer about the same texts in the other order."""
    return {1: 2, 2: 1}.get(answer, answer)


def sides(pair: Pair) -> tuple[str, str]:
    """The texts as they are shown, left and right: turned round or not by chance, the same at every look."""
    return (pair.second, pair.first) if is_turned(pair) else (pair.first, pair.second)


def meant(pair: Pair, answer: Answer) -> Answer:
    """An answer about left (1) and right (2) as one about first and second."""
    return turned(answer) if is_turned(pair) else answer


def is_turned(pair: Pair) -> bool:
    """Whether the second text is shown on the left."""
    return int(pair.id[-1], 16) % 2 == 1


def now() -> str:
    """The time, as files tell it."""
    return datetime.now(UTC).isoformat()


def login() -> str:
    """Who labels where nothing else is said: the login name."""
    try:
        return getpass.getuser()
    except (KeyError, ImportError, OSError):
        return "somebody"


def asked(record: Mapping[str, Any], where: str) -> Pair:
    """The pair that a line of asked.jsonl is. Raises: BadInput where it is none."""
    pair = pair_of(record, where)
    if pair is None:
        raise BadInput(f"{where}: first, second and prompt must be texts. Repair or delete that line.")
    return pair


def pair_of(record: Mapping[str, Any], where: str) -> Pair | None:
    """The texts that a line names, or None. Raises: BadInput where its id is not theirs."""
    pair = Pair(record.get("first"), record.get("second"), record.get("prompt", ""))
    if not all(isinstance(text, str) for text in pair):
        return None
    if record.get("id", pair.id) != pair.id:
        raise BadInput(
            f"{where}: id is {record['id']!r:.40}, and {pair.id} of these texts. Leave id out, or correct it."
        )
    return pair


def label_of(record: Mapping[str, Any], where: str) -> Label:
    """The label that a line is. Raises: BadInput where it is none."""
    pair, id, answer = pair_of(record, where), record.get("id"), record.get("answer", "missing")
    if pair is None and not isinstance(id, str):
        raise BadInput(f"{where}: a label names its pair by id, or by the texts first and second. Repair that line.")
    if isinstance(answer, bool | float) or answer not in ANSWERS:
        raise BadInput(f'{where}: answer must be 1, 2, "tie", "skip" or null: got {answer!r:.40}. Repair that line.')
    return Label(pair.id if pair else id, answer, *(str(record.get(name) or "") for name in ("by", "at")))


def read_labels(path: Path) -> Sequence[tuple[Pair | None, Label]]:
    """The labels of a file, with their texts where these are told.

    Raises: BadInput in one line where there is no file, or a line is none.
    """
    try:
        raw = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise BadInput(
            f"{path} cannot be read ({error.strerror}): give a file of labels, a JSON object a line."
        ) from None
    found = []
    for number, text in enumerate(raw, 1):
        record = parsed(text)
        if record is None and text.strip():
            raise BadInput(f"{path}, line {number}: no JSON object. Repair or delete that line; nothing was imported.")
        if record is not None:
            where = f"{path}, line {number}"
            found.append((pair_of(record, where), label_of(record, where)))
    return found
