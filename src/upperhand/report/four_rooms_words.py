"""What the page of the four-rooms experiment says, as it came out."""

from typing import Any

from upperhand.report.experiment import verdict_of
from upperhand.report.experiment_words import listed
from upperhand.report.four_rooms import NEAR
from upperhand.report.four_rooms_folder import Study
from upperhand.report.writing import count, fixed


def headline(told: dict[str, Any]) -> str:
    """Which arms reach the best published value in the most cells."""
    arms, cells, undone = told["arms"], len(told["cells"]), len(told["missing"])
    if not cells:
        return "Four rooms: the published figures are not there yet"
    if not arms:
        return "Four rooms: no method has finished yet"
    so_far = "So far, " if undone else ""
    most = max(arm["reached"] for arm in arms)
    if not most:
        return f"{so_far or 'Four rooms: '}no method reaches the best published value in any of {cells} cells"
    first = [arm["label"] for arm in arms if arm["reached"] == most]
    verb, each = ("reaches", "") if len(first) == 1 else ("reach", " each")
    return f"{so_far}{listed(first)} {verb} the best published value in {most} of {cells} cells{each}"


def lede(told: dict[str, Any], config: dict[str, Any]) -> str:
    """Whether the ascent reproduces, and which method that samples is best at equal environment steps."""
    said = [exactly(told), informed(told), *equal_steps(told, config.get("transitions"))]
    return " ".join(filter(None, said))


def exactly(told: dict[str, Any]) -> str:
    """How close the exact-gradient ascent comes to the values that are known for it."""
    ascent, cells = told["ascent"], len(told["cells"])
    if ascent is None:
        return ""
    if ascent["near"] == cells:
        return f"Exact-gradient ascent reproduces all {cells} known values to within {fixed(ascent['largest'], 4)}."
    near, largest = ascent["near"] or "none", fixed(ascent["largest"], 4)
    return (
        f"Exact-gradient ascent comes within {NEAR} of {near} of {cells} known values; the largest difference is "
        f"{largest}."
    )


def informed(told: dict[str, Any]) -> str:
    """Which arms draw nothing, so that nobody sets them beside those that sample."""
    free = [arm["label"] for arm in told["arms"] if not arm["samples"]]
    if not free:
        return ""
    verbs = ("works", "draws") if len(free) == 1 else ("work", "draw")
    return f"{listed(free)} {verbs[0]} on the transition kernel alone and {verbs[1]} no samples."


def equal_steps(told: dict[str, Any], transitions: Any) -> list[str]:
    """Who is ahead among the arms that sample, and in how many cells the seeds can tell."""
    sampled, cells = [arm["label"] for arm in told["arms"] if arm["samples"]], len(told["cells"])
    if len(sampled) < 2:
        return []
    firsts = [max((a for a in cell["arms"] if a["label"] in sampled), key=lambda a: a["iqm"]) for cell in told["cells"]]
    led = {label: sum(arm["label"] == label for arm in firsts) for label in sampled}
    ranked = [label for label in sorted(sampled, key=lambda label: -led[label]) if led[label]]
    budget = f" ({count(transitions)} a start)" if isinstance(transitions, int) else ""
    parts = listed([f"{label} in {led[label]}" for label in ranked])
    said = [f"At equal environment steps{budget}, the highest sampled IQM is that of {parts} of {cells} cells."]
    parts = []
    for label in (label for label in sampled if told["rival"] in sampled and label != told["rival"]):
        found = [verdict_of(arm["better"]) for cell in told["cells"] for arm in cell["arms"] if arm["label"] == label]
        parts.append(f"{label} is better in {found.count('better')} and worse in {found.count('worse')}")
    if parts:
        said.append(
            f"Against {told['rival']}, where the interval of P leaves out ½: {'; '.join(parts)} of {cells} cells."
        )
    return said


def notices(study: Study, told: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the page."""
    said, config = [], study.about["config"]
    if told["missing"]:
        said.append(
            f"This experiment is not finished: {listed([f'parts/{name}.json' for name in told['missing']])} "
            f"{'is' if len(told['missing']) == 1 else 'are'} missing. To go on: upperhand resume {study.path}"
        )
    if study.cells:
        budget = config.get("transitions")
        ours = f"of {count(budget)} transitions a start" if isinstance(budget, int) else "of another budget"
        said.append(
            "The published figures are of 10⁸ environment steps a run (10,000 outer steps of 10,000), selected on the "
            f"metric that they report, with one goal an update. Ours are {ours} where samples are drawn, selected on "
            "seeds other than those reported, with a goal drawn for each episode. So no claim of a win over HPGD, AMD "
            "or zero order as published is made from this."
        )
    return said


def eyebrow(study: Study) -> str:
    """Experiment, cells, seeds and budget in a line."""
    said, config = ["four rooms"], study.about["config"]
    if study.cells:
        said.append(f"{len(study.cells)} cells")
    for name, unit in (("seeds", "seeds"), ("transitions", "transitions a start"), ("updates", "exact updates")):
        if isinstance(config.get(name), int):
            said.append(f"{count(config[name])} {unit}")
    return " · ".join(said)


def caption(told: dict[str, Any]) -> str:
    """What to see in the figure."""
    return (
        "The designer’s exact value, mean over the last tenth of each start, where higher is better; the scale is each "
        "panel’s own. Dashed is the best published mean, thin are the other published ones, dotted is what "
        "exact-gradient ascent is known to reach from one start."
    )
