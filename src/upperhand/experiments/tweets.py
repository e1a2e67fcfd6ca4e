"""Happy tweets: every way to tune a language model on what a person likes, at equal labels and equal KL.

A four-layer transformer is trained on tweets first, or taken from the cache. Then each arm tunes it from one start:
reward model and policy together (joint, joint_tilt, two_stream), in turns (alternating, buffered), one after the other
(frozen), and without a reward model (direct). Every arm has the same number of labels a start, of texts or of pairs,
and adapts its temperature to the same KL. At the end 512 fresh texts are judged, by judges too that no arm ever saw.

Takes: tiny some two minutes on two cores, laptop some 40, with the training of the language model; full hours.
Reference: the second experiment of Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic Algorithm for Bi-Level
Reinforcement Learning", 2026; our reconstruction: their corpus, sizes and settings were not available to us.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import numpy as np

from upperhand import store
from upperhand.errors import BadInput
from upperhand.forms import BilevelRL
from upperhand.hypergradients.heard import tilt
from upperhand.language.pretraining import language
from upperhand.prepared.tweets import posed
from upperhand.report.folder import read_rows
from upperhand.settings import build, stored
from upperhand.solve import Plan, described, planned
from upperhand.solve import carry_out as run_plan
from upperhand.store import read_part, write_part

FIGURES = ("score", "kl", "temperature", "labels", "seconds")
"""Of a record, beside its step."""
UPDATES = {"tiny": 40, "laptop": 180, "full": 300}
"""Of each arm, where nothing else is asked for."""


class Arm(NamedTuple):
    """A method, what it asks a person, and how many updates it has for each of the others'."""

    solver: str
    objective: str
    settings: dict[str, Any] = {}
    share: int = 1


ARMS = {
    "direct": Arm("direct", "score"),
    "frozen": Arm("frozen", "preference", share=2),  # as many updates again without a label
    "alternating": Arm("alternating", "preference"),
    "buffered": Arm("buffered", "preference"),
    "joint": Arm("joint", "score"),
    "joint_tilt": Arm("joint", "score", {"form": tilt, "penalty": 0.15}),
    "two_stream": Arm("two_stream", "score", {"penalty": 4.0}),
}
FIRST_LOOK = ("direct", "frozen", "alternating", "joint")
"""Arms of tiny, where nothing else is asked for: each is one more program to compile."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    preset: Literal["tiny", "laptop", "full"] = "laptop"  # size of the language model.
    corpus: str | None = None  # a text file to learn from, one text a line, instead of the preset's own texts.
    seeds: int = 3  # starts of each arm.
    updates: int | None = None  # of each arm, 32 labels each; of tiny 40, laptop 180, full 300.
    budget: float = 3.0  # KL of a text to the reference, in nats, to which every arm adapts its temperature.
    reward: Literal["lexicon", "budgeted", "linear", "mlp"] = "lexicon"  # the reward model.
    arms: tuple[str, ...] = ()  # of direct frozen alternating buffered joint joint_tilt two_stream; all, of tiny four.

    def __post_init__(self):
        if not self.arms:
            object.__setattr__(self, "arms", FIRST_LOOK if self.preset == "tiny" else tuple(ARMS))
        if unknown := [arm for arm in self.arms if arm not in ARMS]:
            raise BadInput(f"--arms must be some of {', '.join(ARMS)}: got {' '.join(unknown)}.")
        if len(set(self.arms)) < len(self.arms):
            raise BadInput(f"--arms must differ: got {' '.join(self.arms)}.")
        for name in ("seeds", "updates"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise BadInput(f"--{name} must be above 0: got {value}.")
        if not 0 < self.budget < float("inf"):
            raise BadInput(f"--budget must be a finite number of nats above 0: got {self.budget}.")


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """The language model, then every arm; what is done is not done again. Returns: path of the page."""
    began = time.perf_counter()
    if read_part(out, "language") is None:
        model = language(config.preset, config.corpus, say=say)
        write_part(out, "language", known(model, time.perf_counter() - began))
    scored = None  # one problem for all arms: what judges them is compiled once
    for name in config.arms:
        if read_part(out, name) is None:
            arm, scored = ARMS[name], scored or build("problem", "tweets", settings_of(config, "score"))
            say(f"{name}: {planned_updates(config, arm)} updates of {config.seeds} starts")
            write_part(out, name, entry(config, name, out / "runs" / name, scored))
            final = read_part(out, name)["final"]
            means = [np.mean([one[figure] for one in final]) for figure in ("vader", "kl", "distinct_2")]
            say(f"{name}: score {means[0]:.3f} at KL {means[1]:.2f}, distinct-2 {means[2]:.2f}")
        if read_part(out, "base") is None:
            told = store.read_texts(out / "runs" / name)
            write_part(out, "base", told["judges"]["base"] | {"samples": told["before"]})
    return draw(out)


def planned_updates(config: Config, arm: Arm) -> int:
    """Updates of an arm."""
    return arm.share * (config.updates or UPDATES[config.preset])


def known(model: Any, seconds: float) -> dict[str, Any]:
    """What the page tells of the language model."""
    about, shape = model.about, model.shape
    rows = read_rows(model.folder / store.ROWS)
    curve = [
        {name: row.get(of) for name, of in (("step", "step"), ("seconds", "seconds"), ("train", "upper"))}
        | {"validation": row["validation"]}
        for row in rows
    ]
    return {
        "preset": about["preset"],
        "corpus": about["corpus"],
        "lines": about["texts"],
        "vocabulary": shape.vocabulary,
        "length": shape.length,
        "width": shape.width,
        "layers": shape.layers,
        "parameters": sum(leaf.size for leaf in jax.tree.leaves(model.weights)),
        "loss": model.loss,
        "nats_per_character": about["nats_a_character"],
        "seconds": about["seconds"],
        "waited": seconds,
        "curve": curve,
    }


def settings_of(config: Config, objective: str) -> dict[str, Any]:
    """Of the problem `tweets`, for an arm."""
    return {"preset": config.preset, "corpus": config.corpus, "reward": config.reward, "objective": objective}


def opened(config: Config, name: str, folder: Path, scored: BilevelRL) -> tuple[Plan, bool]:
    """The plan of an arm and whether its run has begun; else its folder is made. It is one that `resume` knows."""
    arm, steps = ARMS[name], planned_updates(config, ARMS[name])
    problem = scored._replace(upper=posed(scored.upper, arm.objective))
    of_solver = {"steps": steps, "budget": config.budget} | arm.settings
    solver = build("solver", arm.solver, of_solver, problem)
    plan = planned(problem, solver, steps=steps, seeds=config.seeds)._replace(name=name)
    is_begun = (folder / store.CONFIG).is_file()
    if not is_begun:
        told = {"problem": "tweets", "solver": arm.solver}
        told |= {"problem_settings": stored(settings_of(config, arm.objective)), "solver_settings": stored(of_solver)}
        store.create(folder, told | described(plan) | {"command": f"upperhand reproduce tweets ({name})"})
    return plan, is_begun


def entry(config: Config, name: str, folder: Path, scored: BilevelRL) -> dict[str, Any]:
    """An arm run to its end, and what the page tells of it."""
    plan, is_begun = opened(config, name, folder, scored)
    result = run_plan(plan, folder, continued=is_begun)
    told = store.read_texts(folder)
    rows = [[row for row in result.rows if row["seed"] == seed] for seed in plan.seeds]
    last = [run[-1] for run in rows]
    kept = [[{name: row.get(name) for name in ("step", *FIGURES)} for row in run] for run in rows]
    tokens = sum(row["samples"] for row in last)
    return {
        "arm": name,
        "seeds": list(plan.seeds),
        "rows": kept,
        "final": told["judges"]["seeds"],
        "lexicon": told["lexicon"],
        "samples": told["after"],
        "seconds": last[0]["seconds"],
        "tokens_per_second": tokens / last[0]["seconds"],
        "failed": [False for _ in plan.seeds],
    }


def draw(out: Path) -> Path:
    """The page of what is there. Returns: its path. Raises: BadInput where a part is damaged."""
    from upperhand.report.tweets_page import write

    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
