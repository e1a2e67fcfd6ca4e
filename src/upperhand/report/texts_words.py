"""Sentences about texts that a policy wrote: whether judges that it never saw agree, and what the texts lost."""

from collections.abc import Mapping
from typing import Any

from upperhand.report.evaluation import HELD_OUT, JUDGES, written
from upperhand.report.experiment_words import listed

STRANGERS = dict(zip(HELD_OUT, ("AFINN", "TextBlob", "the learned judge"), strict=True))


def strangers(base: Mapping[str, Any] | None, finals: Mapping[str, Mapping[str, Any]]) -> str:
    """In how many arms the judges that no arm saw rise over the language model itself; nothing where none speaks.

    Args:
      base: what the language model scores, by judge.
      finals: arm → what `evaluation.middles` gives.
    """
    parts = []
    for name, who in STRANGERS.items():
        start = (base or {}).get(name)
        found = [final[name]["iqm"] for final in finals.values() if final[name]]
        if start is not None and found:
            parts.append((who, sum(value > start for value in found), len(found)))
    if not parts:
        return ""
    seen = "no arm saw" if len(finals) > 1 else "it never saw"
    if all(rising == total for _, rising, total in parts):
        who, verb = listed([who for who, *_ in parts]), "rises" if len(parts) == 1 else "rise"
        return capital(f"{who}, which {seen}, {verb} too{' in each' if len(finals) > 1 else ''}.")
    if len(finals) == 1:
        up, down = ([who for who, rising, _ in parts if bool(rising) == is_up] for is_up in (True, False))
        risen = f"{listed(up)} {'rises' if len(up) == 1 else 'rise'}, " if up else ""
        return f"Of the judges that it never saw, {risen}{listed(down)} {'does' if len(down) == 1 else 'do'} not rise."
    counts = listed([f"{who} in {rising} of {total}" for who, rising, total in parts])
    return f"Of the judges that no arm saw, these rise over π_ref: {counts} arms."


def losses(base: Mapping[str, Any] | None, finals: Mapping[str, Mapping[str, Any]]) -> str:
    """What the score cost in variety: the least distinct-2 and the most repetition of the arms."""
    said, base = [], base or {}
    for name, worst, word, most in (("distinct_2", min, "falls", "least"), ("repetition", max, "rises", "most")):
        found = [(final[name]["iqm"], label) for label, final in finals.items() if final[name]]
        if not found or base.get(name) is None:
            continue
        value, label = worst(found)
        who = f" at the {most} ({label})" if len(found) > 1 else ""
        start, end = (written(figure, JUDGES[name].decimals) for figure in (base[name], value))
        is_lost = worst(value, base[name]) == value and start != end
        moves = (
            f"{word} from {start} to {end}{who}" if is_lost else f"{word} nowhere" if who else f"does not {word[:-1]}"
        )
        said.append(f"{JUDGES[name].words} {moves}")
    return capital(f"{', '.join(said)}.") if said else ""


def capital(text: str) -> str:
    """A sentence's first letter."""
    return text[:1].upper() + text[1:]
