"""The tables of rlhf_matters."""

from typing import Any

from upperhand.report.comparison_labels import short
from upperhand.report.entries import NONE, Entry, Table
from upperhand.report.evaluation import JUDGES
from upperhand.report.lexicon import names as readable
from upperhand.report.matters import ERRORS, OWN, find, kls
from upperhand.report.matters_folder import ARMS, BESIDE, BIAS, GIBBS, MARKOV, STYLE, TOY, Study
from upperhand.report.matters_words import signed, title
from upperhand.report.writing import fixed

GROUPS = {
    "bias": (BIAS, "myopic agent"),
    "markov": (MARKOV, "Markov agent"),
    "style": (STYLE, "paid agent"),
    "gibbs": (GIBBS, "Gibbs agent"),
}
"""Parts that are told together, and in which words."""
WEIGHED = ("bias", "style")
"""Groups whose x is shown."""
STRONGEST = 4
"""Weights of each sign that a table shows."""
SETTINGS = {"rho": "ρ", "gamma": "γ", "omega": "ω"}
TOYS = {
    "ties": ("The exact toy: gap to the best joint x, % of its gain", 1),
    "discount": ("The exact toy: the same gap over the agent’s discount", 2),
    "own": ("The exact toy: an agent with a reward of its own", 3),
}


def tables(study: Study, told: dict[str, Any]) -> dict[str, list[Table]]:
    """Group of parts → its tables, those that have something to show."""
    found = {}
    for group, (names, who) in GROUPS.items():
        parts = {name: told["parts"][name] for name in names if name in told["parts"]}
        direct = told["direct"] if group == "bias" else None
        shown = [ahead(parts), scores(parts, direct), weights(study, parts) if group in WEIGHED else None]
        found[group] = [one._replace(title=f"{one.title}: {who}") for one in shown if one is not None]
    return found | {"toy": toys(told)}


def everything(study: Study, told: dict[str, Any]) -> list[Table]:
    """All in the order of the page."""
    return [one for group in tables(study, told).values() for one in group]


def ahead(parts: dict[str, dict[str, Any]]) -> Table | None:
    """Joint minus each rival, by seed, at every budget of KL."""
    rivals = [
        arm
        for arm in ARMS
        if any(row["arm"] == arm and row["ahead"] for part in parts.values() for row in part["rows"])
    ]
    if not rivals:
        return None
    rows = []
    for part in parts.values():
        for kl in kls(part):
            line = [_ahead(find(part, arm, kl)) for arm in rivals]
            rows.append((f"{title(part)}, KL\u00a0{kl:g}", line))
    note = "Mean over the seeds of the paired differences, and its 95% t interval; above 0 joint is better. Bold where "
    note += "the interval leaves out 0. Not corrected for the number of comparisons."
    return Table("Joint minus each rival", ["setting", *rivals], rows, note)


def _ahead(row: dict[str, Any] | None) -> Entry:
    if row is None or row["ahead"] is None:
        return NONE
    found = row["ahead"]
    spread = [] if found["low"] is None else [f"{fixed(found['low'])} to {fixed(found['high'])}"]
    return Entry(signed(found["mean"]), spread, row["verdict"] in ("better", "worse"))


def scores(parts: dict[str, dict[str, Any]], direct: dict[str, Any] | None = None) -> Table | None:
    """Every arm's score at every budget, beside the language model's own."""
    if not parts:
        return None
    arms = [arm for arm in ARMS if any(row["arm"] == arm for part in parts.values() for row in part["rows"])]
    paid = any(part["base"].get("paid") is not None for part in parts.values())
    rows = []
    for part in parts.values():
        first = [Entry(fixed(part["base"]["score"]))]
        if paid:
            cost = part["base"].get("paid_kl")
            first.append(Entry(fixed(part["base"].get("paid")), [] if cost is None else [f"KL {fixed(cost, 2)}"]))
        for kl in kls(part):
            line = [_score(find(part, arm, kl)) for arm in arms]
            if direct:
                line.append(_score(find(direct, "direct", kl)) if direct["truth"] == part["truth"] else NONE)
            rows.append((f"{title(part)}, KL\u00a0{kl:g}", first + line))
    note = "Mean over the seeds of the score of fresh texts, its 95% t interval, and the KL that was reached."
    note += " direct: the whole policy is trained, without any x." if direct else ""
    note += " x = 0: the agent that only earns its own reward." if paid else ""
    columns = ["setting", "π_ref", *(["x = 0"] if paid else []), *arms, *(["direct"] if direct else [])]
    return Table("Scores", columns, rows, note)


def _score(row: dict[str, Any] | None) -> Entry:
    if row is None or row["score"] is None:
        return NONE
    found = row["score"]
    small = [] if found["low"] is None else [f"{fixed(found['low'])} to {fixed(found['high'])}"]
    small += [] if row["reached"] is None else [f"KL {fixed(row['reached'], 2)}"]
    return Entry(fixed(found["mean"]), small)


def weights(study: Study, parts: dict[str, dict[str, Any]]) -> Table | None:
    """What x pays and charges, in the joint arm and in the first rival, at the middle budget."""
    rows = []
    for name, part in parts.items():
        budgets = kls(part)
        kl = budgets[len(budgets) // 2]
        for arm in (OWN, "alternating_ls"):
            entry = next((one for one in study.parts[name]["entries"] if (one["arm"], one["kl"]) == (arm, kl)), {})
            pairs = sorted(
                zip(readable(study.parts[name]["names"]), entry.get("x") or [], strict=False), key=lambda pair: -pair[1]
            )
            if pairs:
                kept = [pairs[:STRONGEST], pairs[::-1][:STRONGEST]]
                line = [", ".join(f"{short(word)} {fixed(x, 2)}" for word, x in side) for side in kept]
                besides = ", ".join(_beside(part, arm, kl))
                rows.append(
                    (
                        f"{title(part)}, KL\u00a0{kl:g}: {arm}",
                        [*(Entry(side, wide=True) for side in line), Entry(besides or "–")],
                    )
                )
    note = "Of the first seed; and, over all seeds, figures beside the score."
    return (
        Table("What x weighs", ["setting", "most paid for", "least paid for", "beside the score"], rows, note)
        if rows
        else None
    )


def _beside(part: dict[str, Any], arm: str, kl: float) -> list[str]:
    row = find(part, arm, kl)
    return [
        f"{JUDGES[name].words} {fixed(row['beside'][name], JUDGES[name].decimals)}"
        for name in BESIDE
        if name in row["beside"]
    ]


def toys(told: dict[str, Any]) -> list[Table]:
    """The exact toy beside what was published of it."""
    if told["toy"] is None:
        return []
    found = []
    for name, (heading, decimals) in TOYS.items():
        keys, columns = TOY[name]
        rows = []
        whole = max(cell["instances"] for row in told["toy"][name] for cell in row.values() if isinstance(cell, dict))
        for row in told["toy"][name]:
            at = ", ".join(f"{SETTINGS[key]}\u00a0=\u00a0{row[key]:g}" for key in keys)
            rows.append((at, [entry for column in columns for entry in _toy(row[column], decimals, whole)]))
        heads = [head for column in columns for head in (column, "earlier")]
        note = "Mean over the instances, ± their standard deviation; earlier: the same toy, computed by other code. "
        note += f"Bold: within {ERRORS} standard errors of the earlier figure beside it, rounding allowed for."
        if name == "own":
            note += " joint is the value F; the others are what an arm is behind it."
        found.append(Table(heading, ["setting", *heads], rows, note))
    return found


def _toy(cell: dict[str, Any], decimals: int, whole: int) -> list[Entry]:
    small = [f"± {fixed(cell['sd'], decimals)}"] + [f"of {cell['instances']}"] * (cell["instances"] < whole)
    ours = Entry(fixed(cell["mean"], decimals), small, bool(cell["reproduced"]))
    if cell["published"] is None:
        return [ours, NONE]
    other = [] if cell["published_sd"] is None else [f"± {fixed(cell['published_sd'], decimals)}"]
    return [ours, Entry(fixed(cell["published"], decimals), other)]
