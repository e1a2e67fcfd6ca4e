"""Where x went and what the agent does there: the landscape of Φ and the grid."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, LineCollection
from matplotlib.colors import Normalize, TwoSlopeNorm, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from upperhand.report import style
from upperhand.report.folder import Folder

NOTICED = 0.005
"""Share of the agent's time from which its move in a cell is drawn."""

MULTIPLES = 12
"""Most seeds in the figure of small grids."""


def landscape(folder: Folder) -> Figure | None:
    """The exact Φ as a map, the path of x from each start, the best known x; None where Φ is not known on a lattice."""
    maps, paths = folder.maps or {}, folder.rows.get("x")
    axis, surface = maps.get("axis"), maps.get("landscape")
    if axis is None or surface is None or surface.shape != (len(axis), len(axis)) or not np.isfinite(surface).all():
        return None
    if paths is None or paths.shape[-1] != 2:
        return None
    drawn, (axes,) = style.figure(6.02)
    style.square(axes)
    shade = axes.pcolormesh(
        axis, axis, -surface.T, cmap=style.GOOD_BAD, norm=_slopes(-surface), shading="gouraud", rasterized=True
    )
    axes.contour(axis, axis, surface.T, levels=11, colors=style.INK, linewidths=0.5, alpha=0.3, linestyles="solid")
    for path in paths:
        _path(axes, path[np.isfinite(path).all(-1)])
    shown = axes.plot(
        *paths[:, 0].T, "o", ms=6, mfc="white", mec=style.INK, mew=1.3, zorder=5, ls="none", label="start"
    )
    shown += axes.plot(*paths[:, -1].T, "o", ms=7.5, color=style.INK, mec="white", zorder=6, ls="none", label="end")
    best = maps.get("best_x")
    if np.shape(best) == (2,):
        shown += _stars(axes, best[None], "best known x", 16)
    _key(axes, shown)
    edge = 0.02 * (axis[-1] - axis[0])
    axes.set(xlim=(axis[0] - edge, axis[-1] + edge), ylim=(axis[0] - edge, axis[-1] + edge))
    _scale(drawn, axes, shade, "exact Φ(x), in units of upper loss", negative=True)
    axes.set_xlabel("x, first coordinate (cells)", font=style.font(), color=style.GREY)
    axes.set_ylabel("x, second coordinate (cells)", font=style.font(), color=style.GREY)
    return style.finish(drawn)


def grid(folder: Folder) -> Figure | None:
    """The median seed's found x on the designer's reward, with where the agent is and which way it goes."""
    maps = oriented(folder.maps or {})
    if not _has_grid(maps):
        return None
    drawn, (axes,) = style.figure(_height(maps))
    seed = median_seed(folder)
    stars, label = _goals(folder, maps, seed)
    shade = _ground(axes, maps, maps["upper_reward"])
    _visits(axes, maps["occupancy"][seed])
    _moves(axes, maps, seed, stars)
    time = dict(ms=8, color=style.INK, alpha=0.75, mew=0, ls="none", label="the agent’s time (area)")
    _key(axes, [*_start(axes, maps), *_stars(axes, stars, label), *axes.plot([], [], "o", **time)])
    _scale(drawn, axes, shade, "designer’s reward u (units of reward)")
    _coordinates(axes, maps)
    return style.finish(drawn)


def payment(folder: Folder) -> Figure | None:
    """What the median seed's found x pays in each cell; None where x pays by other means."""
    maps = oriented(folder.maps or {})
    if not _has_grid(maps) or np.shape(maps.get("payment")) != np.shape(maps["occupancy"]):
        return None
    drawn, (axes,) = style.figure(_height(maps))
    seed = median_seed(folder)
    shade = _ground(axes, maps, maps["payment"][seed])
    _key(axes, [*_start(axes, maps), *_stars(axes, *_goals(folder, maps, seed))])
    _scale(drawn, axes, shade, "what x pays the agent a step (units of reward)")
    _coordinates(axes, maps)
    return style.finish(drawn)


def seeds(folder: Folder) -> Figure | None:
    """The other seeds as small grids, three in a row; None where there are none."""
    maps = oriented(folder.maps or {})
    others = other_seeds(folder)
    if not _has_grid(maps) or not others:
        return None
    rows = -(-len(others) // 3)
    wide, tall = maps["upper_reward"].shape
    drawn = style.blank(0.1 + (0.22 + 1.56 * tall / wide) * rows)
    places = drawn.subplots(rows, 3, squeeze=False).ravel()
    for axes, seed in zip(places, others, strict=False):
        _ground(axes, maps, maps["upper_reward"])
        axes.set(xticks=[], yticks=[])
        _visits(axes, maps["occupancy"][seed])
        _stars(axes, _goals(folder, maps, seed)[0], size=8)
        axes.set_title(f"seed {folder.config['seeds'][seed]}", font=style.font(9.5), color=style.INK, pad=4)
    for axes in places[len(others) :]:
        axes.axis("off")
    return style.finish(drawn)


def oriented(maps: dict) -> dict:
    """The maps with the horizontal coordinate first: those of rows and columns change their axes."""
    if "rows_down" not in maps:
        return maps
    grids = {"reward", "occupancy", "greedy", "payment", "upper_reward", "start"} & set(maps)
    pairs = {"walls", "moves", "goals"} & set(maps)
    return maps | {name: maps[name].swapaxes(-1, -2) for name in grids} | {name: maps[name][:, ::-1] for name in pairs}


def median_seed(folder: Folder) -> int:
    """Index of the seed whose final gap, else value, else own estimate is the median (the lower one of two)."""
    for name in ("gap", "value", "upper"):
        last = folder.rows.get(name, np.full((1, 1), np.nan))[:, -1]
        if np.isfinite(last).any():
            order = np.argsort(last, kind="stable")
            return int(order[(np.isfinite(last).sum() - 1) // 2])
    return 0


def other_seeds(folder: Folder) -> list[int]:
    """Indices of the seeds in the figure of small grids."""
    shown = median_seed(folder)
    return [seed for seed in range(len(folder.config["seeds"])) if seed != shown][:MULTIPLES]


def _has_grid(maps: dict) -> bool:
    shape = np.shape(maps.get("upper_reward"))
    return len(shape) == 2 and np.shape(maps.get("occupancy"))[1:] == shape


def _slopes(values: np.ndarray, centre: float | None = None) -> Normalize:
    """Colours that part at the centre (the median where not given), equally steep on both sides."""
    centre = float(np.median(values)) if centre is None else centre
    reach = max(float(np.abs(values - centre).max()), 1e-12)
    return TwoSlopeNorm(centre, centre - reach, centre + reach)


def _path(axes: Axes, path: np.ndarray) -> None:
    """A line that fades in from start to end, by its length, on a white edge that keeps it apart from the map."""
    pieces = np.stack([path[:-1], path[1:]], 1)
    lengths = np.hypot(*(path[1:] - path[:-1]).T)
    gone = np.minimum(np.cumsum(lengths) / max(float(lengths.sum()), 1e-12), 1.0)
    for width, colour, low, high in ((1.8, "white", 0.1, 0.4), (0.8, style.INK, 0.35, 0.75)):
        colours = [to_rgba(colour, low + (high - low) * share) for share in gone]
        axes.add_collection(LineCollection(pieces, colors=colours, linewidths=width, capstyle="butt", zorder=4))


def _height(maps: dict) -> float:
    """Of a figure of one grid, in inches: as wide as the page, and keys and scale beside it."""
    wide, tall = maps["upper_reward"].shape
    return 1.62 + 4.4 * tall / wide


def _coordinates(axes: Axes, maps: dict) -> None:
    """Names of the axes, and rows downwards where the maps have them."""
    names = (
        ("column", "row") if "rows_down" in maps else ("i, first coordinate (cells)", "j, second coordinate (cells)")
    )
    axes.set_xlabel(names[0], font=style.font(), color=style.GREY)
    axes.set_ylabel(names[1], font=style.font(), color=style.GREY)


def _ground(axes: Axes, maps: dict, shown: np.ndarray):
    """A tile a cell, blue above 0 and orange below, and the walls."""
    style.square(axes)
    wide, tall = shown.shape
    shade = axes.pcolormesh(
        np.arange(wide), np.arange(tall), shown.T, cmap=style.GOOD_BAD, norm=_slopes(shown, 0.0),
        edgecolors="white", lw=0.8,
    )  # fmt: skip
    for i, j in maps.get("walls", np.empty((0, 2))):
        axes.add_patch(Rectangle((i - 0.5, j - 0.5), 1, 1, facecolor="#3a4149", edgecolor="white", linewidth=0.8))
    ends = (tall - 0.5, -0.5) if "rows_down" in maps else (-0.5, tall - 0.5)
    axes.set(xlim=(-0.5, wide - 0.5), ylim=ends)
    return shade


def _visits(axes: Axes, occupancy: np.ndarray) -> None:
    """A disc a cell, its area the agent's time there; the largest fills the cell."""
    across = np.sqrt(occupancy / max(float(occupancy.max()), 1e-12)).ravel()
    places = np.argwhere(np.ones_like(occupancy))
    seen = 0.92 * across > 0.06
    discs = EllipseCollection(
        0.92 * across[seen], 0.92 * across[seen], np.zeros(seen.sum()), units="xy", offsets=places[seen],
        offset_transform=axes.transData, facecolors=to_rgba(style.INK, 0.75), edgecolors="none", zorder=3,
    )  # fmt: skip
    axes.add_collection(discs)


def _moves(axes: Axes, maps: dict, seed: int, stars: np.ndarray) -> None:
    """The greedy move of each cell that is visited noticeably."""
    if not {"greedy", "moves"} <= set(maps):
        return
    occupancy = maps["occupancy"][seed]
    across = 0.92 * np.sqrt(occupancy / max(float(occupancy.max()), 1e-12))
    for i, j in np.argwhere(occupancy >= NOTICED * occupancy.sum()):
        if (np.rint(stars) == (i, j)).all(-1).any():
            continue  # a star stands here
        di, dj = maps["moves"][int(maps["greedy"][seed, i, j])]
        inside = across[i, j] > 0.55
        at, to = (-0.2, 0.26) if inside else (across[i, j] / 2 + 0.02, 0.46)
        axes.annotate(
            "", (i + to * di, j + to * dj), (i + at * di, j + at * dj), zorder=4,
            arrowprops=dict(arrowstyle="-|>,head_width=.16,head_length=.28", color="white" if inside else style.INK,
                            lw=1.1, shrinkA=0, shrinkB=0, alpha=1.0 if inside else 0.85),
        )  # fmt: skip


def _start(axes: Axes, maps: dict) -> list:
    """A frame where most episodes start."""
    start = maps.get("start")
    if start is None or start.shape != maps["upper_reward"].shape or start.max() <= 0.4 * start.sum():
        return []
    i, j = np.unravel_index(start.argmax(), start.shape)
    frame = 0.46 * np.array([(-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1)]) + (i, j)
    axes.plot(*frame.T, color=style.INK, lw=1.4, solid_joinstyle="miter", zorder=5)
    return axes.plot([], [], "s", ms=13, mfc="none", mec=style.INK, mew=1.2, ls="none", label="most episodes start")


def _goals(folder: Folder, maps: dict, seed: int) -> tuple[np.ndarray, str]:
    """Where stars stand [N, 2] and what they are: goals of the world, x, or the cell with most reward."""
    found, reward, fixed = folder.rows.get("x"), maps.get("reward"), maps.get("goals")
    if fixed is not None and len(fixed):
        return fixed, "goal"
    if found is not None and found.shape[-1] == 2 and np.isfinite(found[seed, -1]).all():
        return found[seed, -1][None], "goal x"
    if reward is not None:
        return np.array([np.unravel_index(reward[seed].argmax(), reward[seed].shape)]), "most reward"
    return np.empty((0, 2)), ""


def _stars(axes: Axes, places: np.ndarray, label: str = "", size: float = 15) -> list:
    gold = dict(mfc="#ffd23f", mec=style.INK, mew=0.9, ls="none", zorder=7)
    return axes.plot(*np.transpose(places), "*", ms=size, label=label, **gold) if len(places) else []


def _key(axes: Axes, handles: list) -> None:
    """What the signs mean, in a row above the map."""
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=len(handles), frameon=False,
        prop=style.font(9.5), labelcolor=style.INK, handletextpad=0.2, columnspacing=1.2, borderpad=0.2,
    )  # fmt: skip


def _scale(drawn: Figure, axes: Axes, shade, text: str, *, negative: bool = False) -> None:
    """A thin scale below; a map of −Φ is labelled with Φ."""
    bar = drawn.colorbar(shade, ax=axes, location="bottom", aspect=42, pad=0.03, fraction=0.035)
    bar.outline.set_visible(False)
    low, high = (float(end(shade.get_array())) for end in (np.min, np.max))
    bar.ax.set_xlim(low, high)
    if negative:
        bar.ax.xaxis.set_major_formatter(lambda value, _: f"{-value:.3g}".replace("-", "−") if value else "0")
        bar.ax.set_xlim(high, low)
    bar.ax.tick_params(length=0, labelcolor=style.GREY)
    bar.set_label(text, font=style.font(), color=style.GREY)
