"""The picture of a lexicon: what x pays for a token, and what it charges."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from upperhand.report import style
from upperhand.report.comparison_labels import short

MOST = 15
"""Tokens of each sign."""
LONGEST = 14
"""Letters of a token in the figure."""


def sides(lexicon: Sequence[dict[str, Any]]) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The best paid tokens and the most charged ones with their weights, the strongest first, as `names` shows them."""
    shown = names([entry["token"] for entry in lexicon])
    pairs = [(name, float(entry["x"])) for name, entry in zip(shown, lexicon, strict=True)]
    paid = sorted((pair for pair in pairs if pair[1] > 0), key=lambda pair: -pair[1])
    charged = sorted((pair for pair in pairs if pair[1] < 0), key=lambda pair: pair[1])
    return paid[:MOST], charged[:MOST]


def names(tokens: Sequence[str]) -> list[str]:
    """Tokens as visible words. Where some begin with a blank, letters that do not are a piece inside a word: …ppy."""
    has_blanks = any(token[:1] == " " and token.strip() for token in tokens)
    return [f"…{visible(token)}" if has_blanks and token[:1].isalnum() else visible(token) for token in tokens]


def visible(token: str) -> str:
    """A token without its outer blanks; blanks inside as ␣, nothing as ∅."""
    text = token.strip(" ").replace(" ", "␣").replace("\n", "⏎").replace("\t", "⇥")
    text = "".join(sign if sign.isprintable() else "�" for sign in text)
    return text or ("␣" if token else "∅")


def figure(lexicon: Sequence[dict[str, Any]]) -> Figure | None:
    """Bars, blue where the agent is paid and orange where it is charged; None where nothing is."""
    paid, charged = sides(lexicon)
    rows = max(len(paid), len(charged))
    if not rows:
        return None
    drawn = style.blank(1.0 + 0.235 * max(rows, 4))
    left, right = drawn.subplots(1, 2)
    far = 1.05 * max(abs(x) for _, x in (*paid, *charged))
    bars(left, paid, style.BLUE, "Paid for", rows, far)
    bars(right, charged, style.ORANGE, "Charged for", rows, far)
    return style.finish(drawn)


def bars(axes: Axes, told: Sequence[tuple[str, float]], colour: str, title: str, rows: int, far: float) -> None:
    """One side, the strongest on top."""
    style.plain(axes)
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.barh(range(len(told)), [abs(x) for _, x in told], 0.72, color=colour)
    axes.set_yticks(range(len(told)), [short(token, LONGEST) for token, _ in told], parse_math=False)
    axes.tick_params(axis="y", length=0, labelcolor=style.INK)
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(0, far)
    axes.xaxis.set_major_locator(MaxNLocator(3))
    style.words(axes, title, below="|x|, reward of a token")
