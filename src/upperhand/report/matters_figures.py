"""The figures of rlhf_matters: scores at each budget of KL, what is gained over γ, and bars of the paid agent."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from upperhand.report import style
from upperhand.report.matters import RIVALS, find, kls
from upperhand.report.matters_folder import ARMS, BIAS, GIBBS, MARKOV, STYLE, Study

TRUTHS = {"pen": "pen truth", "vader": "VADER"}
ASIDE = 0.045
"""How far the dots of the seeds stand beside their mean."""
BASE = {"color": style.INK, "linewidth": 1.0, "linestyle": (0, (1, 2)), "zorder": 1}


def colour(arm: str) -> str:
    """The colour of an arm, the same in all figures."""
    return style.arm(ARMS.index(arm))[0]


def figures(study: Study, told: dict[str, Any]) -> dict[str, Figure | None]:
    """name of the PNG → its figure, None where nothing is there to draw."""
    return {
        "myopic": by_kl(study, told, BIAS, "Myopic agent"),
        "gibbs": by_kl(study, told, GIBBS, "Gibbs agent"),
        "discount": over_discount(told),
        "paid": bars(study, told),
    }


def by_kl(study: Study, told: dict[str, Any], names: tuple[str, ...], who: str) -> Figure | None:
    """A panel a truth: every arm at every budget, its seeds as dots."""
    there = [name for name in names if name in told["parts"]]
    if not there:
        return None
    drawn, axes = style.figure(0.9 + 2.75 * len(there), rows=len(there))
    for one, name in zip(axes, there, strict=True):
        part = told["parts"][name]
        arms = [arm for arm in ARMS if any(row["arm"] == arm for row in part["rows"])]
        at = {kl: place for place, kl in enumerate(kls(part))}
        for entry in study.parts[name]["entries"]:
            x = at[entry["kl"]] + _apart(arms.index(entry["arm"]), len(arms))
            _seeds(one, x, entry["score"], entry["arm"])
            _middle(one, x, find(part, entry["arm"], entry["kl"])["score"], entry["arm"])
        one.axhline(part["base"]["score"], **BASE)
        one.set_xticks(list(at.values()), [f"KL {kl:g}" for kl in at])
        one.set_xlim(-0.5, len(at) - 0.5)
        heading(one, f"{who}, {TRUTHS.get(part['truth'], part['truth'])}: score of fresh texts")
    keys(drawn, [arm for arm in ARMS if any(row["arm"] == arm for n in there for row in told["parts"][n]["rows"])])
    return style.finish(drawn)


def _apart(place: int, arms: int) -> float:
    return 0.7 * ((place + 0.5) / arms - 0.5)


def _seeds(axes: Axes, x: float, scores: list, arm: str) -> None:
    kept = [score for score in scores if score is not None]
    axes.scatter([x - ASIDE] * len(kept), kept, 9, color=colour(arm), alpha=0.5, linewidths=0, zorder=2)


def _middle(axes: Axes, x: float, found: dict | None, arm: str) -> None:
    """The mean, and its interval as an upright."""
    if found is None:
        return
    if found["low"] is not None:
        axes.plot([x, x], [found["low"], found["high"]], color=colour(arm), linewidth=2, zorder=3)
    axes.plot(x, found["mean"], "o", color=colour(arm), markersize=5, markeredgecolor="white", zorder=4)


def over_discount(told: dict[str, Any]) -> Figure | None:
    """A panel a rival: joint minus it against the discount of the agent, a line a budget, with the line of no gain."""
    parts = sorted((told["parts"][name] for name in MARKOV if name in told["parts"]), key=lambda part: part["gamma"])
    rivals = [
        arm for arm in RIVALS if any(row["arm"] == arm and row["ahead"] for part in parts for row in part["rows"])
    ]
    if not rivals:
        return None
    drawn, axes = style.figure(0.9 + 2.5 * len(rivals), rows=len(rivals))
    budgets = sorted({kl for part in parts for kl in kls(part)})
    colours = dict(zip(budgets, (style.BLUE, style.ORANGE, style.PURPLE, *style.ARMS[2:]), strict=False))
    for one, rival in zip(axes, rivals, strict=True):
        one.axhline(0, color=style.INK, linewidth=1.0, zorder=1)
        for place, kl in enumerate(budgets):
            points = []
            for at, part in enumerate(parts):
                row = find(part, rival, kl)
                if row and row["ahead"]:
                    x, ahead = at + 0.3 * ((place + 0.5) / len(budgets) - 0.5), row["ahead"]
                    points.append((x, ahead["mean"]))
                    if ahead["low"] is not None:
                        one.plot([x, x], [ahead["low"], ahead["high"]], color=colours[kl], linewidth=1.6, zorder=3)
            if points:
                one.plot(*np.array(points).T, "o-", color=colours[kl], linewidth=1.2, markersize=4.5, zorder=4)
        one.set_xticks(range(len(parts)), [f"γ = {part['gamma']:g}" for part in parts])
        one.set_xlim(-0.4, len(parts) - 0.6)
        marks = [(f"KL {kl:g}", colours[kl]) for kl in budgets] if one is axes[0] else ()
        style.words(one, f"Score of joint minus {rival}, 95% interval", keys=marks)
    return style.finish(drawn)


def bars(study: Study, told: dict[str, Any]) -> Figure | None:
    """A panel a reward of the agent's own: a bar an arm, from what the paid agent scores at x = 0."""
    there = [name for name in STYLE if name in told["parts"]]
    if not there:
        return None
    rows = sum(len(told["parts"][name]["rows"]) for name in there)
    drawn = style.blank(0.3 + 0.95 * len(there) + 0.3 * rows)
    ratios = [1 + len(told["parts"][name]["rows"]) for name in there]
    for axes, name in zip(drawn.subplots(len(there), 1, squeeze=False, height_ratios=ratios)[:, 0], there, strict=True):
        part = told["parts"][name]
        style.plain(axes)
        axes.grid(False)
        start = part["base"].get("paid")
        start = part["base"]["score"] if start is None else start
        for place, row in enumerate(part["rows"]):
            score = row["score"]
            if score is None:
                continue
            axes.barh(place, score["mean"] - start, 0.68, left=start, color=colour(row["arm"]), alpha=0.85)
            if score["low"] is not None:
                axes.plot([score["low"], score["high"]], [place, place], color=style.INK, linewidth=1.5)
            own = next(e for e in study.parts[name]["entries"] if (e["arm"], e["kl"]) == (row["arm"], row["kl"]))
            kept = [value for value in own["score"] if value is not None]
            axes.scatter(kept, [place] * len(kept), 8, color=style.INK, alpha=0.5, linewidths=0, zorder=3)
        axes.axvline(start, color=style.INK, linewidth=1.0)
        many = len(kls(part)) > 1
        names = [f"{row['arm']}, KL {row['kl']:g}" if many else row["arm"] for row in part["rows"]]
        axes.set_yticks(range(len(names)), names)
        axes.tick_params(axis="y", length=0, labelcolor=style.INK)
        axes.set_ylim(len(names) - 0.4, -0.6)
        at = "" if many else f" at KL {kls(part)[0]:g}"
        heading(axes, f"Agent paid for {part['own'] or 'something'}: score{at}, from that at x = 0")
    return style.finish(drawn)


def heading(axes: Axes, text: str) -> None:
    """What a panel shows."""
    place = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline", "parse_math": False}
    axes.annotate(text, (0, 1), (0, 8), font=style.font(10.5, weight="bold"), color=style.INK, **place)


def keys(drawn: Figure, arms: list[str]) -> None:
    """The colours of the arms, and the base, in lines above the panels."""
    shown = [(Line2D([], [], marker="o", color=colour(arm), linewidth=2, markersize=5), arm) for arm in arms]
    shown.append((Line2D([], [], **BASE), "π_ref"))
    handles, labels = zip(*shown, strict=True)
    kept = {"frameon": False, "ncols": 3, "prop": style.font(9.5), "labelcolor": style.INK}
    legend = drawn.legend(handles, labels, loc="outside upper left", handlelength=1.6, columnspacing=1.4, **kept)
    for text in legend.get_texts():
        text.set_parse_math(False)
