"""What the page of an experiment says: where the method beats its rival and where it does not, as it came out."""

from typing import Any

from upperhand.report.comparison_words import notices as comparison_notices
from upperhand.report.experiment import VERDICTS, verdict_of
from upperhand.report.experiment_folder import Experiment
from upperhand.report.words import plain
from upperhand.report.writing import count, fixed

FEW = 3
"""Up to so many cells are named in the headline, more are counted there and named below it."""
WORDS = {"better": "beats {}", "worse": "loses to {}", "open": "cannot be told apart from {}"}
LED = {"better": "better in", "worse": "worse in", "open": "not told apart in"}


def headline(experiment: Experiment, told: dict[str, Any]) -> str:
    """Where the method is better than the rival, where not, decided by intervals that leave out ½."""
    question, at = experiment.about["question"], places(told)
    said, rival, done = [], question["against"], sum(map(len, at.values()))
    for verdict, words in WORDS.items():
        if at[verdict]:
            counted = f"{len(at[verdict])}" if said else f"{len(at[verdict])} of {done} cells"
            where = listed(at[verdict]) if done <= FEW else counted
            said.append(f"{words.format(rival)} in {where}")
            rival = "it"
    if not said:
        return f"{question['title']}: no cell has finished yet"
    claim = question["claim"]
    return f"{claim[:1].upper()}{claim[1:]} {listed(said)}"


def places(told: dict[str, Any]) -> dict[str, list[str]]:
    """Verdict → titles of the cells that it holds in."""
    return {name: [cell["title"] for cell in told["cells"].values() if cell["verdict"] == name] for name in VERDICTS}


def listed(names: list[str]) -> str:
    """a; a and b; a, b and c. Names with a comma inside are set apart by semicolons."""
    sign = "; " if any("," in name for name in names) else ", "
    return names[0] if len(names) == 1 else f"{sign.join(names[:-1])} and {names[-1]}"


def lede(experiment: Experiment, told: dict[str, Any]) -> str:
    """In which cells the method beats its rival, and in how many the other arms."""
    method, at, said = told["method"], places(told), []
    done = [cell for cell in told["cells"].values() if cell["verdict"]]
    if len(done) > FEW:
        parts = [f"{word}: {listed(at[verdict])}" for verdict, word in LED.items() if at[verdict]]
        text = "; ".join(parts)
        said.append(f"{text[:1].upper()}{text[1:]}.")
    for verdict, word in (("better", "better than"), ("worse", "worse than")):
        counts: dict[str, int] = {}
        for arm in (arm for cell in done for arm in cell["arms"] if verdict_of(arm["better"]) == verdict):
            counts[arm["label"]] = counts.get(arm["label"], 0) + 1
        if counts:
            ranked = sorted(counts, key=lambda label: (-counts[label], label))
            parts = [f"{label} in {counts[label]} of {len(done)} cells" for label in ranked]
            said.append(f"{method} is {word} {listed(parts)}.")
    return " ".join(said)


def chance(better: dict[str, float]) -> str:
    """A probability with its interval."""
    return f"{fixed(better['probability'], 2)} ({fixed(better['low'], 2)} to {fixed(better['high'], 2)})"


def notices(experiment: Experiment, told: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the page."""
    undone, said = [part.title for part in experiment.parts if not part.is_finished], []
    if undone:
        said.append(f"This experiment is not finished ({listed(undone)}). To go on: upperhand resume {experiment.path}")
    for part in experiment.parts:
        found = comparison_notices(part.comparison, part.told) if part.is_finished else []
        said += [f"{part.title[:1].upper()}{part.title[1:]}: {text}" for text in found]
    return said


def eyebrow(experiment: Experiment) -> str:
    """Experiment, cells, seeds and budget in a line."""
    cells, begun = len(experiment.parts), [part for part in experiment.parts if part.comparison is not None]
    said = [plain(experiment.about["experiment"]), f"{cells} {'comparison' if cells == 1 else 'comparisons'}"]
    if begun:
        config = begun[0].comparison.config
        said.append(f"{len(config['arms'])} arms")
        said.append(f"{len(config['seeds'])} seeds")
        said.append(f"budget {count(config['budget'])} {config['currency']} a seed")
    return " · ".join(said)


def caption(told: dict[str, Any]) -> str:
    """What to see in the figure."""
    gaps = any(cell["best"] is not None for cell in told["cells"].values())
    return (
        "The interquartile mean over the seeds with its 95% bootstrap interval, over the samples of a start"
        + (": what is missing to the best known value." if gaps and len(told["cells"]) > FEW else ".")
        + " Schedules attenuate over the whole budget: only the right ends are what each arm was planned for."
    )
