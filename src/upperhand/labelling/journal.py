"""Files of JSON lines that several programs append to at once, and that outlive kills and full disks."""

import contextlib
import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.errors import BadInput


class NotWritten(BadInput):
    """Lines could not be written; the file is as it was before."""


class News(NamedTuple):
    """What was read."""

    anew: bool  # the file was replaced or cut since: all that was known of it is void
    lines: list[tuple[int, Any]]  # line number from 1, what the line means


class Journal:
    """A file of JSON objects, a line each, of which every look reads what is new.

    A last line without its newline counts if it is whole. A torn one, of a writer that was killed, is left out, and
    the next append takes its place.

    Args:
      path: of the file; it need not exist.
      meaning: (object, file and line) → what a line means; it raises BadInput where it means nothing.
    """

    def __init__(self, path: Path, meaning: Callable[[dict[str, Any], str], Any]):
        self.path, self.meaning = Path(path), meaning
        self._forget()

    def _forget(self) -> None:
        self._at, self._lines, self._file, self._seen = 0, 0, None, None

    def news(self) -> News:
        """What was appended since the last look.

        Raises: BadInput with file and line where a line in the middle is damaged.
        Cost: one call to the system where nothing changed.
        """
        try:
            if marks(os.stat(self.path)) == self._seen:
                return News(False, [])
            with open(self.path, "rb", buffering=0) as file:
                lock(file, alone=False)
                return self._read(file)
        except FileNotFoundError:
            anew = self._at > 0
            self._forget()
            return News(anew, [])
        except OSError as error:
            raise BadInput(f"{self.path} cannot be read ({error.strerror}): see who may read it.") from None

    @contextlib.contextmanager
    def held(self) -> Iterator[tuple[News, Callable[[Sequence[Mapping[str, Any]]], News]]]:
        """Nobody else writes meanwhile: what was new until then, and what appends objects and reads them back.

        Raises: NotWritten where the file or its folder cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = open(self.path, "a+b", buffering=0)  # noqa: SIM115  closed below
            lock(file, alone=True)
        except OSError as error:
            raise NotWritten(
                f"{self.path} cannot be written ({error.strerror}), nothing was changed: make room, or see its rights."
            ) from None
        with file:
            yield self._read(file), lambda records: self._append(file, records)

    def _read(self, file: Any) -> News:
        stat = os.fstat(file.fileno())
        anew = self._file is not None and (stat.st_ino != self._file or stat.st_size < self._at)
        if anew:
            self._forget()
        file.seek(self._at)
        at, number, found = self._at, self._lines, []
        *whole, last = file.read().split(b"\n")
        for text in whole:
            number += 1
            at += len(text) + 1
            if text.strip():
                found.append((number, self._meant(text, number)))
        if parsed(last) is not None:
            found.append((number + 1, self._meant(last, number + 1)))
            at += len(last)
        self._at, self._lines, self._file, self._seen = at, number, stat.st_ino, marks(stat)
        return News(anew, found)

    def _meant(self, text: bytes, number: int) -> Any:
        record = parsed(text)
        if record is None:
            raise BadInput(f"{self.path} is damaged: line {number} is no JSON object. Repair or delete that line.")
        return self.meaning(record, f"{self.path}, line {number}")

    def _append(self, file: Any, records: Sequence[Mapping[str, Any]]) -> News:
        place, at = file.fileno(), self._at
        is_open = at and os.pread(place, 1, at - 1) != b"\n"
        rest = memoryview(b"\n" * bool(is_open) + b"".join(map(line, records)))
        try:
            if os.fstat(place).st_size > at:  # a torn line
                os.ftruncate(place, at)
            while rest:
                rest = rest[os.write(place, rest) :]
            os.fsync(place)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.ftruncate(place, at)
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            why = "the disk is full" if is_full else f"the disk cannot be written ({error.strerror})"
            raise NotWritten(
                f"{why}: the last entry is not in {self.path}, all before it are; free some space and give it again."
            ) from None
        return self._read(file)


def lock(file: Any, alone: bool) -> None:
    """Hold a file until it is closed, with other readers or alone. Raises: BadInput where there are no such locks."""
    try:
        import fcntl
    except ImportError:
        raise BadInput("labels need a system with file locks, Linux or macOS.") from None
    fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)


def marks(stat: os.stat_result) -> tuple[int, ...]:
    """What changes where a file does."""
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def parsed(line: bytes) -> dict[str, Any] | None:
    """The JSON object that a line is, or None."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def line(record: Mapping[str, Any]) -> bytes:
    """An object as a line; letters stay as they are."""
    return json.dumps(record, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"
