"""Ctrl-C: once to stop in order, twice to stop at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[Any, Any], None]]:
    """A sink that stops the run after Ctrl-C, once the chunk under way is done; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda row, state: None
        return
    asked = []

    def ask(number, frame):
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    def sink(row, state):
        if asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield sink
    finally:
        signal.signal(signal.SIGINT, before)
