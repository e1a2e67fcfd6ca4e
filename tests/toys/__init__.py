"""Rooms with a quick method and a quick problem, for the tests of the run, the store and the command line."""

from pathlib import Path

from upperhand import settings

HERE = Path(__file__).parent


def furnish():
    """Let `upperhand` find what is in these rooms."""
    for room in ("solver", "problem"):
        place = (HERE / f"{room}s", f"toys.{room}s")
        if place not in settings.ROOMS[room]:
            settings.ROOMS[room].append(place)
