"""What the page of the experiment with happy tweets says, as it came out."""

from typing import Any

from upperhand.report.experiment_words import listed
from upperhand.report.texts_words import losses, strangers
from upperhand.report.tweets import SLACK
from upperhand.report.tweets_folder import Study
from upperhand.report.writing import count, fixed

FULL = 0.8
"""Share of the budget of KL that an arm is told not to have used, where it ends below."""


def headline(told: dict[str, Any]) -> str:
    """Which arm within the budget raised the score the most, and whether the seeds tell it from the others."""
    arms, so_far = told["arms"], "So far, " if told["missing"] else ""
    if not arms:
        return "Happy tweets: no arm has finished yet"
    able, best = within(told), by_label(told, told["best"])
    if best is None:
        if not any(arm["score"] for arm in arms):
            return f"{so_far or 'Happy tweets: '}no arm has a score at its end"
        why = (
            "without a failed seed" if told["budget"] is None else f"the KL budget of {told['budget']:g} in every seed"
        )
        return f"{so_far or 'Happy tweets: '}no arm {'ends' if told['budget'] is None else 'holds'} {why}"
    base, high = base_score(told), best["score"]["iqm"]
    start = "" if base is None else f"from {fixed(base, 2)} "
    if base is not None and high <= base:
        return f"{so_far or 'Happy tweets: '}no arm within the budget raises the score above {fixed(base, 2)}"
    if len(able) == 1:
        return f"{so_far}{best['label']} raises the score {start}to {fixed(high, 2)}{_at(best)}"
    done = f"{so_far}{best['label']} raises the score the most, {start}to {fixed(high, 2)}{_at(best)}"
    if not told["tied"]:
        return f"{done}; the seeds tell it from every other arm"
    who = listed(told["tied"]) if len(told["tied"]) < len(able) - 1 else "no other arm"
    return f"{done}; {who} {'can' if who == 'no other arm' else 'cannot'} be told apart from it"


def _at(arm: dict[str, Any]) -> str:
    return f" at KL {fixed(arm['final']['kl']['iqm'], 1)}" if arm["final"]["kl"] else ""


def within(told: dict[str, Any]) -> list[dict[str, Any]]:
    """The arms that the headline compares."""
    return [arm for arm in told["arms"] if arm["within"] and arm["score"]]


def by_label(told: dict[str, Any], label: str | None) -> dict[str, Any] | None:
    """An arm of the table."""
    return next((arm for arm in told["arms"] if arm["label"] == label), None)


def base_score(told: dict[str, Any]) -> float | None:
    """What the language model itself scores."""
    return (told["base"] or {}).get("vader")


def lede(told: dict[str, Any]) -> str:
    """The arms in numbers, whether the judges that nobody saw agree, and what the texts lost."""
    able = sorted(within(told), key=lambda arm: -arm["score"]["iqm"])
    said = []
    if len(able) > 1:
        parts = [f"{arm['label']} {fixed(arm['score']['iqm'], 2)}" for arm in able]
        most = "" if told["budget"] is None else f" at a KL of at most {told['budget']:g} + {SLACK:g} nats a text"
        said.append(f"Scores at the end{most}: {', '.join(parts)}.")
    finals = {arm["label"]: arm["final"] for arm in able}
    said += [strangers(told["base"], finals), losses(told["base"], finals)]
    return " ".join(filter(None, said))


def notices(study: Study, told: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the page."""
    said = []
    if told["missing"]:
        said.append(
            f"This experiment is not finished: {listed([f'parts/{name}.json' for name in told['missing']])} "
            f"{'is' if len(told['missing']) == 1 else 'are'} missing. To go on: upperhand resume {study.path}"
        )
    failed = [f"{arm['failed']} of {arm['seeds']} of {arm['label']}" for arm in told["arms"] if arm["failed"]]
    if failed:
        said.append(f"Seeds that failed: {listed(failed)}. Such an arm is not ranked, its other seeds are shown.")
    above = [arm for arm in told["arms"] if not arm["failed"] and not arm["within"] and arm["final"]["kl"]]
    if above:
        parts = listed([f"{arm['label']} ends at KL {fixed(arm['final']['kl']['iqm'], 1)}" for arm in above])
        said.append(
            f"Above the budget of {told['budget']:g}: {parts}. A score that was bought with more KL is no better score."
        )
    low = [arm for arm in within(told) if told["budget"] and arm["final"]["kl"]]
    low = [arm for arm in low if arm["final"]["kl"]["iqm"] < FULL * told["budget"]]
    if low:
        parts = listed([f"{arm['label']} ends at KL {fixed(arm['final']['kl']['iqm'], 1)}" for arm in low])
        said.append(
            f"Far below the budget of {told['budget']:g}: {parts}. With as much KL as others it might score more."
        )
    few = min((arm["seeds"] for arm in told["arms"]), default=4)
    if few < 4 and len(told["arms"]) > 1:
        said.append(
            f"{few} {'seed' if few == 1 else 'seeds'} an arm {'is' if few == 1 else 'are'} too few to tell any two "
            "arms apart at 95%: differences between arms are not claims."
        )
    return said


def eyebrow(study: Study, told: dict[str, Any]) -> str:
    """Experiment, preset, arms, seeds and budget in a line."""
    said = ["happy tweets"]
    if study.language:
        said += [f"preset {study.language['preset']}", f"{study.language['lines']:,} texts"]
    if told["arms"]:
        seeds = {arm["seeds"] for arm in told["arms"]}
        said.append(f"{len(told['arms'])} {'arm' if len(told['arms']) == 1 else 'arms'}")
        said += [f"{(N := seeds.pop())} {'seed' if N == 1 else 'seeds'}"] if len(seeds) == 1 else []
        labels = max(arm["labels"] for arm in told["arms"])
        said += [f"{count(labels)} labels a seed"] if labels else []
    if told["budget"] is not None:
        said.append(f"KL budget {told['budget']:g} nats a text")
    return " · ".join(said)


def captions(told: dict[str, Any], shown: str | None) -> dict[str, str]:
    """What to see in each figure.

    Args:
      told: the table.
      shown: the arm whose lexicon is drawn.
    """
    star = " The star is the language model itself." if base_score(told) is not None else ""
    return {
        "score_over_kl": "What a score costs: the score of the texts drawn on the way, against how far the policy had "
        f"moved from π_ref by then. Arms are comparable at equal KL only.{star}",
        "score_at_end": "Where each seed ends, on texts drawn afresh; higher at the same KL is better. Where the dots "
        "of two arms mix, the arms tie.",
        "over_updates": "The score, KL, and the temperature τ by which an arm holds its budget of KL (dotted), along "
        "the run: the middle over the seeds, and its 95% interval.",
        "lexicon": f"What x pays for a token and what it charges, in {shown}, first seed: the strongest of a "
        "reward model that can be read whole.",
        "learning": "How the language model learned before all this: the loss on texts that it never saw, and on "
        "those that it learned from.",
    }
