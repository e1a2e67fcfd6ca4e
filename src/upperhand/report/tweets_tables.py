"""The tables of the experiment with happy tweets."""

from typing import Any

from upperhand.report import evaluation
from upperhand.report.entries import NONE, Entry, Table
from upperhand.report.evaluation import JUDGES
from upperhand.report.experiment import verdict_of
from upperhand.report.experiment_words import chance
from upperhand.report.lexicon import sides
from upperhand.report.tweets import OWN, SLACK
from upperhand.report.tweets_folder import Study
from upperhand.report.writing import count, fixed, number

FEW = 8
"""Tokens of each sign that a table shows of an arm."""
FIRST = "π_ref itself"


def tables(study: Study, told: dict[str, Any]) -> list[Table]:
    """All that have something to show."""
    return [*ends(told), *others(study, told)]


def ends(told: dict[str, Any]) -> list[Table]:
    """How the arms end."""
    return [one for one in (judged(told), apart(told)) if one is not None]


def others(study: Study, told: dict[str, Any]) -> list[Table]:
    """What they are made of, and what they cost."""
    return [one for one in (lexicons(study), spent(told), language(told)) if one is not None]


def judged(told: dict[str, Any]) -> Table | None:
    """What every judge says at the end, and beside it what the language model scores itself."""
    finals = [arm["final"] for arm in told["arms"]]
    names = [name for name in JUDGES if any(one[name] for one in finals) or (told["base"] or {}).get(name) is not None]
    if not names:
        return None
    rows = []
    if told["base"]:
        rows.append((FIRST, [Entry(evaluation.written(told["base"][name], JUDGES[name].decimals)) for name in names]))
    for arm in told["arms"]:
        line = [evaluation.shown(arm["final"][name], JUDGES[name].decimals) for name in names]
        rows.append((arm["label"], [_bold(entry, arm["label"], told) for entry in line[:1]] + line[1:]))
    note = (
        "Texts drawn afresh at the end. IQM over the seeds that did not fail, with its 95% bootstrap interval; "
        "AFINN, TextBlob and the learned judge were seen by no arm. distinct-2: different pairs of neighbouring words "
        "as a share of all. log π_ref a token: how likely the language model finds the texts, in nats."
    )
    if told["best"]:
        note += " Bold: the highest within the budget of KL."
    return Table("What every judge says at the end", ["arm", *(JUDGES[name].words for name in names)], rows, note)


def _bold(entry: Entry, label: str, told: dict[str, Any]) -> Entry:
    return entry._replace(strong=label == told["best"] and told["score"] == "vader")


def apart(told: dict[str, Any]) -> Table | None:
    """Which arms the seeds tell from the best one, and from the joint one."""
    arms = told["arms"]
    if len(arms) < 2:
        return None
    heads = {"behind_best": told["best"], "behind_own": OWN}
    if told["best"] in (None, OWN):
        heads.pop("behind_best")
    heads = {key: label for key, label in heads.items() if any(arm[key] for arm in arms)}
    rows = []
    for arm in arms:
        line = [evaluation.shown(arm["score"], 3), Entry(fixed(arm["final"]["kl"] and arm["final"]["kl"]["iqm"], 2))]
        line.append(Entry("yes" if arm["within"] else "a seed failed" if arm["failed"] else "no"))
        for key in heads:
            found = arm[key]
            line.append(Entry(chance(found), strong=verdict_of(found) != "open") if found else NONE)
        rows.append((arm["label"], line))
    few = min(arm["seeds"] for arm in arms)
    note = "P: that a seed of the first ends higher than one of this arm, with its 95% interval; bold where that "
    note += "leaves out ½. A failed seed counts as the lowest."
    if few < 4:
        note += f" With {few} {'seed' if few == 1 else 'seeds'} no two arms can be told apart at 95%, whatever they do."
    within = "within the budget" if told["budget"] is None else f"KL at most {told['budget']:g} + {SLACK:g}"
    score = "VADER" if told["score"] == "vader" else "score of the last records"
    columns = ["arm", score, "KL", within, *(f"P({label} higher)" for label in heads.values())]
    return Table("Which arms can be told apart", columns, rows, note)


def spent(told: dict[str, Any]) -> Table | None:
    """Labels, speed and time of each arm, and the seeds that failed."""
    if not told["arms"]:
        return None
    rows = []
    for arm in told["arms"]:
        speed = "–" if arm["tokens_per_second"] is None else count(arm["tokens_per_second"])
        line = [Entry(f"{arm['labels']:,.0f}"), Entry(speed), Entry(number(arm["seconds"]))]
        failed = arm["failed"]
        rows.append((arm["label"], [*line, Entry(f"{failed} of {arm['seeds']}", strong=failed > 0)]))
    note = "Labels: texts scored or pairs compared by the person, a seed. Tokens drawn and learned from, a second; "
    note += "seconds of all seeds."
    return Table("What was spent", ["arm", "labels", "tokens a second", "seconds", "failed seeds"], rows, note)


def lexicons(study: Study) -> Table | None:
    """The first words of every arm's lexicon."""
    found = {label: sides(part["lexicon"]) for label, part in study.arms.items() if part["lexicon"]}
    if not found:
        return None
    rows = []
    for label, both in found.items():
        words = [", ".join(token for token, _ in side[:FEW]) or "–" for side in both]
        rows.append((label, [Entry(side, wide=True) for side in words]))
    note = "Of the first seed, the strongest first."
    note += "" if len(found) == len(study.arms) else " The arms not listed have no lexicon."
    return Table("What each reward model pays for", ["arm", "paid for", "charged for"], rows, note)


def language(told: dict[str, Any]) -> Table | None:
    """The language model that every arm starts from."""
    found = told["language"]
    if not found:
        return None
    line = [Entry(found["corpus"]), Entry(f"{found['lines']:,}"), Entry(f"{found['vocabulary']:,}")]
    line += [Entry(str(found["length"])), Entry(f"{found['layers']} × {found['width']}")]
    line += [Entry(count(found["parameters"])), Entry(fixed(found["loss"], 2))]
    line += [Entry(fixed(found["nats_per_character"], 2)), Entry(number(found["seconds"]))]
    columns = ["preset", "corpus", "lines", "vocabulary", "tokens a text", "layers × width", "parameters"]
    columns += ["validation, nats a token", "nats a character", "seconds"]
    return Table("The language model", columns, [(found["preset"], line)], "Trained on the same texts, then frozen.")
