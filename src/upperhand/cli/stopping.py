"""Ctrl-C: once to stop in order, twice to stop at once."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from upperhand.labelling.waiting import STOP


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[Any, Any], None]]:
    """A sink that stops the run after Ctrl-C, once the chunk under way is done.

    A second Ctrl-C stops at once; so does the first while the run waits for people.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda row, state: None
        return
    STOP.asked = STOP.at_once = False

    def ask(number, frame):
        if STOP.asked or STOP.at_once:
            raise KeyboardInterrupt
        STOP.asked = True

    def sink(row, state):
        if STOP.asked:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield sink
    finally:
        signal.signal(signal.SIGINT, before)
        STOP.asked = False
