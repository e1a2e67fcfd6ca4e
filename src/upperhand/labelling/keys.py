"""Answers from the keyboard: one key at a time where that is a terminal, else a line each."""

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator

from upperhand.errors import BadInput

ENTER = b"\n"


class Keys:
    """What is pressed. Made by `keys`."""

    def __init__(self, place: int, is_terminal: bool):
        self.place, self.is_terminal = place, is_terminal
        self._lines, self._is_over = b"", False

    def forget(self) -> None:
        """Drop what was pressed before there was anything to judge; lines of a pipe are kept."""
        if self.is_terminal:
            termios.tcflush(self.place, termios.TCIFLUSH)

    def next(self, seconds: float) -> str | None:
        """The next key in lower case, or None after so long; 'q' at the end of the input."""
        if not self.is_terminal:
            self._fill(seconds)
            return self._line()
        if not select.select([self.place], [], [], seconds)[0]:
            return None
        pressed = os.read(self.place, 64)
        return "q" if pressed in (b"", b"\x04") else pressed[:1].decode("ascii", "replace").lower()

    def while_idle(self, seconds: float) -> str | None:
        """'q' or 'u' while there is nothing to judge; other lines of a pipe stay for the pairs to come."""
        if self.is_terminal:
            return self.next(seconds)
        self._fill(seconds)
        first = self._lines.lstrip()[:1].lower()
        if first in (b"q", b"u") or (self._is_over and not first):
            return self._line()
        if first:
            time.sleep(seconds)
        return None

    def _fill(self, seconds: float) -> None:
        if ENTER in self._lines or self._is_over or not select.select([self.place], [], [], seconds)[0]:
            return
        found = os.read(self.place, 4096)
        self._is_over = not found
        self._lines += found

    def _line(self) -> str | None:
        if ENTER not in self._lines and not self._is_over:
            return None
        if self._is_over and not self._lines.strip():
            return "q"
        line, _, self._lines = self._lines.lstrip().partition(ENTER)
        return line.strip()[:1].decode("ascii", "replace").lower() or None


@contextlib.contextmanager
def keys() -> Iterator[Keys]:
    """The keyboard, or what stands for it; however this ends, short of kill -9, the terminal is as before."""
    if sys.stdin is None:
        raise BadInput("there is no keyboard and no input to label from: start it in a terminal, or give --page.")
    place = sys.stdin.fileno()
    if not os.isatty(place):
        yield Keys(place, False)
        return
    before = termios.tcgetattr(place)

    def listen(*_):
        tty.setcbreak(place, termios.TCSANOW)

    def end(number, frame):
        raise SystemExit(128 + number)

    handlers = {signal.SIGTERM: end, signal.SIGHUP: end, signal.SIGCONT: listen}
    olds = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        listen()
        yield Keys(place, True)
    finally:
        termios.tcsetattr(place, termios.TCSADRAIN, before)
        for number, old in olds.items():
            signal.signal(number, old)
