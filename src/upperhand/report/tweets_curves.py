"""Figures of the experiment with happy tweets: the score against KL, how the arms end, and how they got there."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from upperhand.report import style
from upperhand.report.comparison_labels import ends
from upperhand.report.evaluation import figures
from upperhand.report.texts_curves import FAR, fan, mark_base, mark_budget, over_kl, reach, running, thin
from upperhand.report.tweets import course, ending
from upperhand.report.tweets_folder import ARMS, Study

BELOW = "KL to π_ref, nats a text"
PANELS = {
    "score": "Score of a batch, running mean",
    "kl": "KL to π_ref, nats a text, running mean",
    "temperature": "Temperature τ of the agent, log scale",
}


def colour(label: str) -> str:
    """The colour of an arm, the same on every page."""
    return style.arm(ARMS.index(label))[0]


def score_over_kl(study: Study, told: dict) -> Figure | None:
    """A curve an arm, from what the language model scores itself."""
    went = {label: course(part) for label, part in study.arms.items()}
    if not went:
        return None
    drawn, (axes,) = style.figure(4.0)
    far, labels = reach([one.kl for one in went.values()], told["budget"]), []
    mark_budget(axes, told["budget"], far)
    for label, one in went.items():
        end = fan(axes, *over_kl(one.kl, one.score, far), colour(label))
        labels += [(label, colour(label), end)] if end else []
    mark_base(axes, (study.base or {}).get("vader"))
    axes.set_xlim(-0.02 * far, 1.02 * far)
    keys = [("interquartile mean, 95% interval", style.GREY)]
    style.words(axes, "Score of a batch against its KL, running mean", below=BELOW, keys=keys)
    ends(axes, labels)
    return style.finish(drawn)


def score_at_end(study: Study, told: dict) -> Figure | None:
    """Every seed's last evaluation, the score against KL; an arm far out stands at the right edge, with its KL."""
    found = {label: np.stack([last_kl(part), ending(part, told["score"])]) for label, part in study.arms.items()}
    found = {label: pair[:, np.isfinite(pair).all(0)] for label, pair in found.items()}
    found = {label: pair for label, pair in found.items() if pair.size}
    if not found:
        return None
    drawn, (axes,) = style.figure(4.0)
    far, labels = reach([pair[0] for pair in found.values()], told["budget"]), []
    near = {label: pair for label, pair in found.items() if pair[0].mean() <= far}
    for label, pair in near.items():
        x, y = pair.mean(1)
        for one in pair.T:
            axes.plot(*zip((x, y), one, strict=True), color=colour(label), linewidth=0.9, alpha=0.5, zorder=2)
        axes.scatter(*pair, 30, color=colour(label), linewidths=0.6, edgecolors="white", zorder=3)
        labels.append((label, colour(label), (float(x), float(y))))
    mark_budget(axes, told["budget"], far)
    axes.margins(x=0.12, y=0.12)
    edge = axes.get_xlim()[1]
    axes.set_xlim(right=edge)
    for label in (label for label in found if label not in near):
        kl, score = (float(part) for part in found[label].mean(1))
        axes.plot(edge, score, ">", color=colour(label), markersize=7, clip_on=False, zorder=3)
        labels.append((f"{label}, KL {kl:.0f}", colour(label), (edge, score)))
    what = "VADER of fresh texts at the end, each seed" if told["score"] == "vader" else "Score at the end, each seed"
    style.words(axes, what, below=BELOW, keys=[("lines meet at the mean of an arm", style.GREY)])
    axes.xaxis.set_major_locator(MaxNLocator(6))
    ends(axes, labels)
    return style.finish(drawn)


def last_kl(part: dict) -> np.ndarray:
    """[N] KL of each seed's last evaluation."""
    return np.array([np.nan if (kl := figures(one)["kl"]) is None else kl for one in part["final"]], np.float64)


def over_updates(study: Study, told: dict) -> Figure | None:
    """The score, KL and the temperature of every arm over its updates."""
    went = {label: course(part) for label, part in study.arms.items()}
    panels = [name for name in PANELS if any(np.isfinite(getattr(one, name)).any() for one in went.values())]
    if not panels:
        return None
    drawn, axes = style.figure(0.9 + 2.1 * len(panels), rows=len(panels))
    for one, name in zip(axes, panels, strict=True):
        labels = []
        for label, found in went.items():
            at, rows = thin(len(found.step)), getattr(found, name)
            end = fan(one, found.step[at], (rows if name == "temperature" else running(rows))[:, at], colour(label))
            labels += [(label, colour(label), end)] if end else []
        if name == "temperature" and not any((found.temperature <= 0).any() for found in went.values()):
            style.logged(one)
        if name == "kl" and told["budget"]:
            one.axhline(told["budget"], color=style.GREY, linewidth=1.0, linestyle=(0, (1, 2)), zorder=1)
            one.set_ylim(0, min(one.get_ylim()[1], FAR * told["budget"]))
        style.words(one, PANELS[name], below="updates" if one is axes[-1] else "")
        one.margins(x=0.02)
        one.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        style.counted(one)
        ends(one, labels)
    return style.finish(drawn)
