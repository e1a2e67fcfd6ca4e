"""What a wait for people and Ctrl-C know of each other: who waits can be stopped at once, with nothing half done."""

import contextlib
from collections.abc import Iterator


class Stop:
    """Of this process, as signals are."""

    asked = False  # Ctrl-C was pressed, and the chunk under way goes on to its end
    at_once = False  # a wait is under way, which Ctrl-C ends


STOP = Stop()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """A wait that Ctrl-C ends at once, also one that was pressed before. Raises: KeyboardInterrupt then."""
    STOP.at_once = True
    try:
        if STOP.asked:
            raise KeyboardInterrupt
        yield
    finally:
        STOP.at_once = False
