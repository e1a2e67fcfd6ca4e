"""What x means where it means a function: the function that each seed found, on the truth."""

from matplotlib.figure import Figure

from upperhand.report import style
from upperhand.report.folder import Folder


def function(folder: Folder) -> Figure | None:
    """The found functions and the truth; None where the maps hold no `places` [P], `truth` [P], `found` [N, P]."""
    places, truth, found = ((folder.maps or {}).get(name) for name in ("places", "truth", "found"))
    if places is None or truth is None or found is None:
        return None
    if places.ndim != 1 or truth.shape != places.shape or found.shape != (len(folder.config["seeds"]), len(places)):
        return None
    drawn, (axes,) = style.figure(3.4)
    axes.plot(places, truth, color=style.INK, linewidth=1.4, linestyle=(0, (4, 2)), zorder=4)
    for one in found:
        axes.plot(places, one, color=style.BLUE, linewidth=1.5, alpha=0.35 if len(found) > 1 else 1.0, zorder=3)
    keys = [("truth (dashed)", style.INK), ("found, a line a seed" if len(found) > 1 else "found", style.BLUE)]
    style.words(axes, "The function that was asked for", below="its argument", keys=keys)
    return style.finish(drawn)
