"""What the page of rlhf_matters says, as it came out: wins, ties and losses alike."""

from typing import Any

from upperhand.report.experiment_words import listed
from upperhand.report.matters import ERRORS, OWN, RIVALS, find, kls
from upperhand.report.matters_folder import ARMS, BIAS, MARKOV, STYLE, Study
from upperhand.report.texts_words import capital
from upperhand.report.writing import fixed

STORY = (
    "A designer rewards an agent that writes tweets, and has few weights x to do it with. Does it pay to choose them "
    "by what the agent then writes, rather than to fit them to what people like? Theory says: only where the agent’s "
    "answer is not the Gibbs law of the reward alone."
)
LINES = [
    ("maximise over x", "E U(y), the person’s score, at a budget of KL( π ‖ π_ref )"),
    ("myopic agent", "π(a | s) ∝ π_ref(a | s) exp(x(a)), token by token"),
    ("Gibbs agent", "π(y) ∝ π_ref(y) exp(Rₓ(y)), in whole texts: a tie is predicted"),
    ("paid agent", "π(y) ∝ π_ref(y) exp(Rₓ(y) + r₀(y)), r₀ of its own"),
]
AGENTS = {
    "bias": "myopic agent",
    "gibbs": "Gibbs agent",
    "markov": "Markov agent",
    "style": "paid agent",
    "direct": "whole policy",
}
TRUTHS = {"pen": "pen truth", "vader": "VADER"}


def title(part: dict[str, Any]) -> str:
    """A part in words."""
    who, truth = AGENTS.get(part["agent"], part["agent"]), TRUTHS.get(part["truth"], part["truth"])
    if part["agent"] == "markov":
        return f"{who}, γ\u00a0=\u00a0{part['gamma']:g}"
    if part["agent"] == "style":
        return f"agent paid for {part['own']}"
    return f"{who}, {truth}"


def headline(told: dict[str, Any]) -> str:
    """Where joint training beats both alternating arms, and whether that vanishes where theory says so."""
    claims, so_far = told["claims"], "So far, " if told["missing"] else ""
    if not told["parts"]:
        return "Where joint training matters: no part has finished yet" if told["missing"] else "Nothing was measured"
    first = next((name for name in (BIAS[0], MARKOV[0]) if name in claims), None)
    if first is None:
        return f"{so_far or 'Where joint training matters: '}the myopic agent has not been measured"
    text = f"{so_far}with a myopic agent joint training {held(claims[first])}"
    last = next((name for name in (MARKOV[-1], "gibbs-pen") if name in claims), None)
    if last is not None:
        who = "with γ = 1" if last == MARKOV[-1] else "with a Gibbs agent"
        text += f"; {who}, at {len(claims[last]['held']) or 'none'} of {len(claims[last]['of'])}"
    return capital(text)


def held(claim: dict[str, Any]) -> str:
    """beats both alternating arms at 2 of 3 budgets of KL."""
    won, of = len(claim["held"]), len(claim["of"])
    return f"beats both alternating arms at {won or 'none'} of {of} {'budget' if of == 1 else 'budgets'} of KL"


def lede(told: dict[str, Any]) -> str:
    """The gain at the middle budget over γ, where joint loses, the paid agent, and what the toy reproduces."""
    said = [vanishing(told), losing(told), *(paid(told, name) for name in STYLE), reproduced(told)]
    return " ".join(filter(None, said))


def losing(told: dict[str, Any]) -> str:
    """Where joint is below an alternating arm."""
    lost = {name: claim["lost"] for name, claim in told["claims"].items() if claim["lost"]}
    places = [f"{title(told['parts'][name])}, at KL {listed([f'{kl:g}' for kl in at])}" for name, at in lost.items()]
    return f"Joint is below an alternating arm here: {'; '.join(places)}." if places else ""


def vanishing(told: dict[str, Any]) -> str:
    """The gain over alternating least squares, at the least and the greatest γ."""
    parts = [told["parts"][name] for name in MARKOV if name in told["parts"]]
    if len(parts) < 2:
        return ""
    shared = [kl for kl in kls(parts[0]) if kl in kls(parts[-1])]
    if not shared:
        return ""
    kl, said = shared[len(shared) // 2], []
    for part in (parts[0], parts[-1]):
        row = find(part, RIVALS[0], kl)
        if row is None or row["ahead"] is None:
            return ""
        said.append(f"{interval(row['ahead'])} at γ = {part['gamma']:g}")
    return f"Joint minus {RIVALS[0]} at KL {kl:g} is {said[0]} and {said[1]}."


def signed(value: float) -> str:
    """A difference with its sign: +0.071, −0.003, 0.000."""
    text = fixed(value)
    return f"+{text}" if value > 0 and text.strip("0.") else text if text.strip("−0.") else text.strip("−")


def interval(found: dict[str, Any]) -> str:
    """0.071 (0.050 to 0.092)."""
    spread = "" if found["low"] is None else f" ({fixed(found['low'])} to {fixed(found['high'])})"
    return f"{fixed(found['mean'])}{spread}"


def paid(told: dict[str, Any], name: str) -> str:
    """How joint training does with an agent that has a reward of its own, also against the rival that knows it."""
    part = told["parts"].get(name)
    if part is None:
        return ""
    kl, said = kls(part)[-1], []
    joint = find(part, OWN, kl)
    if joint is None or joint["score"] is None:
        return ""
    rows = [row for row in part["rows"] if row["kl"] == kl and row["arm"] in RIVALS and row["score"]]
    best = max(rows, key=lambda row: row["score"]["mean"], default=None)
    if best:
        said.append(f"{fixed(best['score']['mean'])} of {best['arm']} ({_against(best)})")
    knows = find(part, "residual_ls", kl)
    if knows and knows["score"]:
        said.append(f"{fixed(knows['score']['mean'])} of residual_ls, which knows that reward ({_against(knows)})")
    start = f"With an agent paid for {part['own']}, joint ends at {fixed(joint['score']['mean'])} at KL {kl:g}"
    return f"{start}, against {listed(said)}." if said else f"{start}."


VERDICTS = {"better": "joint is better", "open": "a tie", "worse": "joint is worse", None: "not told apart"}


def _against(row: dict[str, Any]) -> str:
    return VERDICTS[row["verdict"]]


def reproduced(told: dict[str, Any]) -> str:
    """How many earlier figures of the toy come out again."""
    if told["toy"] is None:
        return ""
    cells = [cell for rows in told["toy"].values() for row in rows for cell in row.values() if isinstance(cell, dict)]
    known = [cell["reproduced"] for cell in cells if cell["reproduced"] is not None]
    if not known:
        return ""
    came = f"{sum(known)} of {len(known)} come out again within {ERRORS} standard errors"
    return f"Of the earlier figures of the exact toy, {came}."


def outcomes(told: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Every part in words: (title, what joint is against each rival), in the order of the page."""
    said = []
    for part in told["parts"].values():
        lines = []
        for word, start in (("better", "above"), ("open", "a tie with"), ("worse", "below")):
            found: dict[tuple, list[str]] = {}
            for arm in ARMS:
                at = tuple(row["kl"] for row in part["rows"] if row["arm"] == arm and row["verdict"] == word)
                if at:
                    found.setdefault(at, []).append(arm)
            for at, arms in found.items():
                lines.append(f"{start} {listed(arms)} at KL {listed([f'{kl:g}' for kl in at])}")
        if not lines:
            lines = ["nothing to compare, or a single seed"]
        said.append((capital(title(part)), lines))
    return said


def notices(study: Study, told: dict[str, Any]) -> list[str]:
    """What a reader must know before trusting the page."""
    said = []
    if told["missing"]:
        said.append(
            f"This experiment is not finished: {listed([f'parts/{name}.json' for name in told['missing']])} "
            f"{'is' if len(told['missing']) == 1 else 'are'} missing. To go on: upperhand resume {study.path}"
        )
    far = [
        f"{title(part)}: {row['arm']} reached {fixed(row['reached'], 2)} instead of {row['kl']:g}"
        for part in told["parts"].values()
        for row in part["rows"]
        if row["reached"] is not None and abs(row["reached"] - row["kl"]) > 0.05 * row["kl"]
    ]
    if far:
        more = f", and {len(far) - 4} more" if len(far) > 4 else ""
        said.append(f"Not at the budget of KL by more than 5%: {'; '.join(far[:4])}{more}.")
    few = min((part["seeds"] for part in told["parts"].values()), default=5)
    if few < 3:
        said.append(
            f"{few} {'seed' if few == 1 else 'seeds'} a part: the intervals tell little, and with one there are none."
        )
    return said


def remarks(told: dict[str, Any]) -> list[str]:
    """What has to stand beside any win."""
    said = [
        "With the myopic agent, joint training is policy gradient on few biases: what it is set against is fitting a "
        "reward model, not every method.",
    ]
    if told["direct"]:
        row = next((row for row in told["direct"]["rows"] if row["score"]), None)
        if row:
            said.append(
                f"A policy trained directly on the scores, without any x, ends at {interval(row['score'])} at KL "
                f"{row['kl']:g}. x is of use where it has to stay small: legible, audited, an interface of few biases, "
                "an incentive that one can pay."
            )
    return said


def eyebrow(study: Study) -> str:
    """Experiment, seeds, labels and budgets in a line."""
    said, parts = ["where joint training matters"], list(study.parts.values())
    if parts:
        seeds = {len(part["seeds"]) for part in parts}
        said += [f"{(N := seeds.pop())} {'seed' if N == 1 else 'seeds'}"] if len(seeds) == 1 else []
        labels = {part["labels"] for part in parts}
        said += [f"{labels.pop():,} labels an arm"] if len(labels) == 1 else []
    if study.language:
        said.append(f"{study.language['corpus']}, {study.language['preset']} language model")
    return " · ".join(said)


def captions(told: dict[str, Any]) -> dict[str, str]:
    """What to see in each figure."""
    dots = "Each seed a dot, the mean with its 95% t interval; dotted is π_ref itself."
    return {
        "myopic": f"{dots} The agent answers token by token, which is not what the reward asks for in whole texts.",
        "gibbs": f"{dots} The agent answers as the Gibbs law has it: theory says that joint and alternating tie.",
        "discount": "What joint training gains over fitting in turns, as the agent looks further ahead: above the line "
        "it gains; at γ = 1 the agent is a Gibbs agent, and theory says that nothing is left.",
        "paid": "Bars start at what the agent scores when it only earns its own reward; lines are 95% t intervals.",
    }
