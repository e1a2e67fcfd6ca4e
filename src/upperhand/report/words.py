"""What the page says: the result in a sentence, the problem in three lines, what each figure shows."""

import numpy as np

from upperhand.report.curves import NEAR, best_value
from upperhand.report.folder import Folder
from upperhand.report.general import is_general, measures
from upperhand.report.general import story as general_story
from upperhand.report.maps import median_seed, other_seeds
from upperhand.report.statistics import interval
from upperhand.report.writing import count, number, place

AGENT = ("where", "π*(x) maximises E Σ γᵗ ( rₓ(s, a) + τ · entropy )")

STORIES = {
    "goal_placement": (
        "A designer places a goal x in a grid. The agent is rewarded near it and walks there, with slips, by its own "
        "best policy. The designer cares about what it passes: a good region and a bad one.",
        [
            ("minimise over x", "Φ(x) = −(1 − γ) E Σ γᵗ u(s) + pull · ‖x − centre‖²"),
            ("where", "π*(x) maximises E Σ γᵗ ( rₓ(s) + τ · entropy )"),
            ("rewarded by", "rₓ(s) = exp( −‖s − x‖² / (2 width²) )"),
        ],
    ),
    "goal_weights": (
        "A designer spreads a budget of reward over the cells of a grid. The agent collects it by its own best policy. "
        "The designer cares about what it passes: a good region and a bad one.",
        [
            ("minimise over x", "Φ(x) = −(1 − γ) E Σ γᵗ u(s) + pull · ‖x‖²"),
            ("where", "π*(x) maximises E Σ γᵗ ( rₓ(s) + τ · entropy )"),
            ("rewarded by", "rₓ(s) = budget · softmax(x)(s)"),
        ],
    ),
    "four_rooms": (
        "Agents walk from one cell of four rooms to a goal in another, drawn anew each time. A designer taxes the "
        "cells, so that they pass through her own cell on their way; taxes cost her where the goal is reached.",
        [
            ("minimise over x", "Φ(x) = −E Σ γᵗ ( 1{target}(s) − cost · 1{goal}(s) · ‖taxes‖₁ )"),
            AGENT,
            ("rewarded by", "rₓ(s) = 1 at the goal, else −budget · softmax(x)(cell)"),
        ],
    ),
    "random_mdp": (
        "A random world whose rewards share one quadratic form of x. The designer wants x small and the agent "
        "undecided: x = 0 is best at both, so this checks a method and compares none.",
        [
            ("minimise over x", "Φ(x) = ½ ‖x‖² + ½ ‖π*(x)‖²"),
            AGENT,
            ("rewarded by", "rₓ(s, a) = k(s, a) · xᵀ M x"),
        ],
    ),
    "toytext": (
        "An agent of a toy-text world follows its own reward: over the thin ice, along the cliff, through the centre. "
        "A designer who would rather have it elsewhere sets bonuses and tolls, and pays for those that are met.",
        [
            ("minimise over x", "Φ(x) = −worth · E Σ γᵗ ( u(s, a) − price · most · x(cell)² )"),
            AGENT,
            ("rewarded by", "rₓ(s, a) = scale · r₀(s, a) + most · x(cell)"),
        ],
    ),
    "tweets": (
        "A language model writes short texts. A reward model x pays it for its words, and it answers with what pays "
        "best without moving far from what it was. Somebody scores whole texts, and x is chosen so that the texts "
        "written in answer to it score well.",
        [
            ("minimise over x", "Φ(x) = −E U(y) + β · KL( π* ‖ π_ref ) + cost(x)"),
            ("where", "π*(y) maximises E Rₓ(y) − τ · KL( π ‖ π_ref )"),
            ("rewarded by", "Rₓ(y) = Σ rₓ(sₜ, aₜ), over the tokens of the text"),
        ],
    ),
    "checkpoint": (
        "A language model answers prompts. A reward model x pays it for its words, and it answers with what pays best "
        "without moving far from what it was. Somebody scores whole answers, and x is chosen so that the answers "
        "written for it score well.",
        [
            ("minimise over x", "Φ(x) = −E U(y) + β · KL( π* ‖ π_ref )"),
            ("where", "π*(y) maximises E Rₓ(y) − τ · KL( π ‖ π_ref )"),
            ("rewarded by", "Rₓ(y) = Σ rₓ(sₜ, aₜ), over the tokens of the answer"),
        ],
    ),
}

OTHERWISE = {
    "preference": (
        "Which of two is better is all that is said of them, and x is chosen so that it explains what is said of the "
        "texts that are written for it.",
        "Φ(x) = E log( 1 + exp( Rₓ(worse) − Rₓ(better) ) ) + β · KL( π* ‖ π_ref )",
    ),
    "population": (
        "Somebody looks at all texts together, and x is chosen so that the share of good ones is as wanted.",
        "Φ(x) = loss( E φ(y) ) + β · KL( π* ‖ π_ref )",
    ),
}
"""Other objectives on texts than a score: what stands for the last sentence of the story, and its first line."""

METHODS = {
    "actor_critic": "Method: the single-loop, first-order regularised actor-critic. The penalty 1/w holds the agent "
    "to its own best policy; the temperature τ attenuates along the run.",
    "joint": "Method: reward model and policy together, in one stream. x follows the hypergradient of the score "
    "through the policy that answers it.",
    "two_stream": "Method: reward model and policy together, in two streams: a second policy is best for the reward "
    "and w times the score, and x moves by what the two write differently.",
    "alternating": "Method: in turns, the reward model is fitted to what a person says of fresh texts, and the policy "
    "follows it.",
    "buffered": "Method: in turns, the reward model is fitted to all pairs so far, and the policy follows it.",
    "frozen": "Method: the reward model is fitted once, to pairs of the language model’s own texts; then the policy "
    "follows it.",
    "direct": "Method: reinforcement learning on the scores themselves, without a reward model; x stays where it is.",
}


def story(folder: Folder) -> tuple[str, list[tuple[str, str]], str]:
    """The problem in words, in three lines of mathematics, and the method."""
    general = (
        "Somebody chooses x. An agent sees the reward that x gives it and does what is best for itself. The first one "
        "cares about what then happens.",
        [("minimise over x", "Φ(x) = upper(x, π*(x))"), AGENT, ("rewarded by", "rₓ, which x sets")],
    )
    about, lines = STORIES.get(folder.config["problem"], general)
    if is_general(folder.config):
        about, lines = general_story(folder.config)
    if folder.config["problem"] in ("tweets", "checkpoint") and (kind := objective(folder)) in OTHERWISE:
        last, first = OTHERWISE[kind]
        about, lines = f"{about[: about.index('Somebody')]}{last}", [(lines[0][0], first), *lines[1:]]
    says = folder.config.get("says")
    solver = says.get("solver") if isinstance(says, dict) else None
    otherwise = solver if isinstance(solver, str) and solver else f"{plain(folder.config['solver'])}."
    method = METHODS.get(folder.config["solver"], f"Method: {otherwise}")
    return about, lines, method


def objective(folder: Folder) -> str:
    """What a problem of texts is judged by: score, preference, population."""
    settings = folder.config.get("problem_settings") or {}
    return "preference" if settings.get("labels") is not None else str(settings.get("objective", "score"))


def headline(folder: Folder) -> str:
    """The result in one sentence, counted from the last common rows."""
    N, before = len(folder.config["seeds"]), stopped(folder)
    after = f"After {before[0]:,} of {before[1]:,} updates, " if before else ""
    one, many = ("is", "are") if before else ("ends", "end")
    last = folder.rows.get("gap", np.full((N, 1), np.nan))[:, -1]
    if np.isfinite(last).any():
        near = int((last <= NEAR).sum())
        if N == 1 and not near:
            return _sentence(f"{after}the one start {one} {number(float(last[0]))} above the best known value")
        who = "the one start" if N == 1 else f"{near or 'none'} of {N} starts"
        return _sentence(f"{after}{who} {one if near < 2 else many} within {NEAR} of the best known value")
    name = "value" if "value" in folder.rows else "upper"
    told = "Φ" if name == "value" else "the method’s own estimate of the upper loss"
    column = folder.rows.get(name)
    full = [] if column is None else np.flatnonzero(np.isfinite(column).all(0))
    if len(full) == 0:
        return _sentence(f"{after}{plain(folder.config['solver'])} on {plain(folder.config['problem'])}")
    first, last = (float(interval(column[:, place]).iqm) for place in (full[0], full[-1]))
    moves = "falls" if last < first else "rises" if last > first else "stays"
    over = "" if N == 1 else f", interquartile mean of {N} starts"
    return _sentence(f"{after}{told} {moves} from {number(first)} to {number(last)}{over}")


def lede(folder: Folder) -> str:
    """The gap, or the value, at the start and at the end, with its interval and what it cost."""
    N = len(folder.config["seeds"])
    name = next((name for name in ("gap", "value") if name in folder.rows), None)
    if name is None or not np.isfinite(folder.rows[name][:, [0, -1]]).all():
        return ""
    column, samples, updates = folder.rows[name], folder.rows.get("samples"), int(folder.rows["step"][0, -1])
    first, last = interval(column[:, 0]), interval(column[:, -1])
    told = {"gap": "Gap to the best known value", "value": "Exact value Φ(x)"}[name]
    start, end, low, high = (number(float(part), 2) for part in (first.iqm, *last))
    middle, spread = ("", "") if N == 1 else (" (interquartile mean)", f", 95% interval {low} to {high}")
    spent = f"{updates:,} updates"
    if samples is not None and samples[:, -1].max() > 0:
        spent = f"{count(float(np.median(samples[:, -1])))} samples a start"
    return f"{told}{middle}: {start} at the start, {end} at the end{spread}, after {spent}."


def notices(folder: Folder) -> list[str]:
    """What a reader must know before trusting the page: a run cut short, a seed that diverged, a beaten best."""
    said = []
    if before := stopped(folder):
        said.append(
            f"This run is not finished: its rows end at update {before[0]:,} of {before[1]:,}. Everything here is of "
            f"that update. To go on: upperhand resume {folder.path}"
        )
    for name in ("value", "gap", "upper"):
        if name in folder.rows:
            lost = np.flatnonzero(~np.isfinite(folder.rows[name][:, -1]))
            if lost.size:
                which = ", ".join(str(folder.config["seeds"][seed]) for seed in lost)
                said.append(f"The last {name} of seed {which} is not a finite number; it counts as not near the best.")
                break
    if "gap" in folder.rows and (folder.rows["gap"][:, -1] < -1e-4).any():
        said.append(
            "A start ends below the best known value, which is a reference found by search, not a proven optimum."
        )
    return said


def stopped(folder: Folder) -> tuple[int, int] | None:
    """(last update, planned updates) of a run that is not finished, else None."""
    last, steps, every = int(folder.rows["step"][0, -1]), folder.config["steps"], folder.config.get("every")
    every = every if isinstance(every, int) and every > 0 else 1
    return (last, steps) if last < steps - steps % every else None


def captions(folder: Folder) -> dict[str, str]:
    """What to see in each figure, one sentence each."""
    N, best = len(folder.config["seeds"]), (folder.maps or {}).get("best_x")
    seed = folder.config["seeds"][median_seed(folder)]
    paths = "The path of x runs from its start" if N == 1 else f"The {N} paths of x run from their starts"
    star = f"; the star marks the best known x = {place(best)}" if np.shape(best) == (2,) else ""
    fixed = len((folder.maps or {}).get("goals", ()))
    goal = (
        f"the {'stars are the goals' if fixed > 1 else 'star is the goal'}"
        if fixed
        else "the star is the goal"
        if folder.rows.get("x", np.empty(0)).shape[-1] == 2
        else "the star is the most rewarded cell"
    )
    who = "Where" if N == 1 else f"Seed {seed}, the median result: where"
    shown, rest = len(other_seeds(folder)), N - 1
    some = (
        ("the other seed" if rest == 1 else "the other seeds")
        if shown == rest
        else f"the first {shown} of the {rest} other seeds"
    )
    value = "the exact value of x" if "value" in folder.rows else "the method’s own estimate of the upper loss"
    sharp = "as the temperature τ falls, the agent’s policy sharpens; " * ("temperature" in folder.rows)
    strict = "as the weight w falls, the penalty 1/w grows stricter" * ("penalty" in folder.rows)
    tempered = " at the same temperature" if "temperature" in folder.rows else ""
    below = ", down to the best known value (dashed)" if best_value(folder) is not None else ""
    return {
        "landscape": f"{paths} over the exact Φ, where blue is good for the designer{star}.",
        "grid": f"{who} the agent spends its time (discs) and how it moves; {goal}, blue cells pay the designer.",
        "payment": "What x pays the agent for a step in each cell: blue is a bonus, orange a tax or a toll.",
        "function": "What was found, against the truth, which no method sees.",
        "seeds": f"The same for {some}: discs are the agent’s time, {goal}.",
        "value": f"What counts: {value} along the run{below}.",
        "gap": f"How much is still missing, on a log scale; a start counts as near at {NEAR} (dashed) and below.",
        "schedules": f"What was planned: {f'{sharp}{strict}'.removesuffix('; ')}.",
        "hypergradient": f"How far a single update’s estimate is from the exact ∇Φ{tempered}, and how well the two "
        "directions agree; near a solution ∇Φ is small, and x follows the average of many estimates.",
        "measured": "What else the rows tell, from the problem itself or from the method: "
        f"{', '.join(map(plain, measures(folder)))}.",
    }


def plain(name: str) -> str:
    """A name as words."""
    return name.replace("_", " ")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
