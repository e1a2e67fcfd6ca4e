"""What the page of a run says of the texts that it wrote: figures, the judges' table, and words."""

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from upperhand.report import evaluation, lexicon, style, texts_words, words
from upperhand.report.entries import Entry, Table
from upperhand.report.evaluation import JUDGES
from upperhand.report.folder import Folder
from upperhand.report.texts_curves import fan, mark_base, over_kl, reach, running, thin
from upperhand.report.texts_folder import Texts
from upperhand.report.writing import fixed

GOOD = 0.05
"""Scores from here on are called good, and bad from its negative on, as the authors of VADER do."""
PALE = "#74818d"
PANELS = {
    "score": "Score of a batch, running mean",
    "kl": "KL to π_ref, nats a text, running mean",
}


def figures(folder: Folder, texts: Texts | None) -> dict[str, Figure | None]:
    """name of the PNG → its figure; None where there is nothing to draw, all of them where the run has no texts."""
    if texts is None:
        return dict.fromkeys(("score_over_kl", "over_updates", "lexicon"))
    return {
        "score_over_kl": score_over_kl(folder, texts),
        "over_updates": over_updates(folder),
        "lexicon": lexicon.figure(texts.lexicon),
    }


def score_over_kl(folder: Folder, texts: Texts) -> Figure | None:
    """The score of the batches against their KL, every seed and the middle of them."""
    if not {"score", "kl"} <= folder.rows.keys():
        return None
    drawn, (axes,) = style.figure(3.6)
    far = reach([folder.rows["kl"]], None)
    grid, scores = over_kl(folder.rows["kl"], folder.rows["score"], far)
    axes.plot(grid, scores.T, color=PALE, linewidth=0.8, alpha=0.7, zorder=2)
    fan(axes, grid, scores, style.BLUE)
    mark_base(axes, evaluation.figures(texts.base)["vader"])
    axes.set_xlim(-0.02 * far, 1.02 * far)
    style.words(
        axes, "Score of a batch against its KL, running mean", below="KL to π_ref, nats a text", keys=_keys(folder)
    )
    return style.finish(drawn)


def over_updates(folder: Folder) -> Figure | None:
    """The score and KL over the updates."""
    panels = [name for name in PANELS if name in folder.rows]
    if "score" not in panels or folder.rows["step"].shape[1] < 2:
        return None
    drawn, axes = style.figure(0.9 + 1.9 * len(panels), rows=len(panels))
    at = thin(folder.rows["step"].shape[1])
    for one, name in zip(axes, panels, strict=True):
        rows = running(folder.rows[name])
        one.plot(folder.rows["step"][0, at], rows[:, at].T, color=PALE, linewidth=0.8, alpha=0.7, zorder=2)
        fan(one, folder.rows["step"][0, at], rows[:, at], style.BLUE)
        is_last = one is axes[-1]
        style.words(one, PANELS[name], below="updates" if is_last else "", keys=_keys(folder) if one is axes[0] else ())
        one.margins(x=0.02)
        one.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        style.counted(one)
    return style.finish(drawn)


def _keys(folder: Folder) -> list[tuple[str, str]]:
    if len(folder.config["seeds"]) == 1:
        return [("one seed", style.BLUE)]
    return [("interquartile mean, 95% interval", style.BLUE), ("each seed", PALE)]


def captions() -> dict[str, str]:
    """What to see in each figure."""
    return {
        "score_over_kl": "What the score costs: the score of the texts drawn on the way, against how far the policy "
        "had moved from the language model π_ref by then. More score for the same KL is better.",
        "over_updates": "The score and KL of the batches over the updates.",
        "schedules": "The temperature τ of the agent, by which a method may hold a budget of KL, and the penalty "
        "weight w where it has one.",
        "lexicon": "What x pays for a token and what it charges, first seed: the strongest of its weights.",
    }


def judged(folder: Folder, texts: Texts) -> Table | None:
    """What every judge says, of the language model itself and of the policy at its end."""
    names = evaluation.known([texts.base, *texts.finals])
    if not names:
        return None
    base, final = evaluation.figures(texts.base), evaluation.middles(texts.finals)
    rows = [("π_ref itself", [Entry(evaluation.written(base[name], JUDGES[name].decimals)) for name in names])]
    line = [evaluation.shown(final[name], JUDGES[name].decimals) for name in names]
    rows.append((words.plain(folder.config["solver"]), line))
    note = "Texts drawn afresh at the end. AFINN, TextBlob and the learned judge were not trained on. "
    note += "distinct-2: different pairs of neighbouring words as a share of all. log π_ref a token: how likely the "
    note += "language model finds the texts, in nats."
    if len(texts.finals) > 1:
        note = f"IQM over the seeds, with its 95% bootstrap interval. {note}"
    said = [person(folder) if name == "vader" else JUDGES[name].words for name in names]
    return Table("What every judge says", ["texts of", *said], rows, note)


def person(folder: Folder) -> str:
    """Who scored the texts: VADER where the run knows its settings and nobody else was named in them."""
    settings = folder.config.get("problem_settings")
    return JUDGES["vader"].words if settings and settings.get("person") is None else "the person"


def headline(folder: Folder, texts: Texts) -> str | None:
    """How far the score rose, and at which KL; None where no judge has the score of both ends."""
    final, start = evaluation.middles(texts.finals), evaluation.figures(texts.base)["vader"]
    if start is None or final["vader"] is None:
        return None
    before, seeds, end = words.stopped(folder), len(folder.config["seeds"]), final["vader"]["iqm"]
    after = f"After {before[0]:,} of {before[1]:,} updates, the" if before else "The"
    moves = "rises" if end > start else "falls" if end < start else "stays"
    cost = f" at KL {fixed(final['kl']['iqm'], 1)}" if final["kl"] else ""
    over = "" if seeds == 1 else f", interquartile mean of {seeds} seeds"
    return f"{after} score {moves} from {fixed(start, 2)} to {fixed(end, 2)}{cost}{over}"


def lede(folder: Folder, texts: Texts) -> str:
    """Whether judges that it never saw agree, and what the texts lost."""
    finals = {folder.config["solver"]: evaluation.middles(texts.finals)}
    said = [texts_words.strangers(texts.base, finals), texts_words.losses(texts.base, finals)]
    return " ".join(filter(None, said))


def sampled(samples: list[dict[str, Any]]) -> list[dict[str, str]]:
    """What a page shows of sample texts: the text, what it answers, its score with its sign, and good, bad or ""."""

    def kind(score):
        return "" if score is None or abs(score) < GOOD else "good" if score > 0 else "bad"

    def plus(score):
        return f"{'+' if score and score > 0 else ''}{fixed(score, 2)}"

    return [
        {
            "text": one["text"].strip(),
            "prompt": one.get("prompt", "").strip(),
            "score": plus(one.get("score")),
            "kind": kind(one.get("score")),
        }
        for one in samples
    ]


def told(folder: Folder, texts: Texts) -> dict[str, Any]:
    """What texts_run.html.jinja needs beside what every page of a run has."""
    table = judged(folder, texts)
    after = sampled(texts.after)
    return {
        "judged": [table] if table else [],
        "before": sampled(texts.before),
        "after": [(words.plain(folder.config["solver"]), after)] if after else [],
    }
