"""Where training the reward model with the policy matters, and where it cannot: rivals at equal labels and equal KL.

A reward model with few weights x answers for a score U of texts; frozen, refitted on the policy's own texts (least
squares, Bradley–Terry), or moved along the hypergradient (joint). Theory has refitting tie wherever the agent answers x
with the Gibbs law of R_x alone. So: an agent that cannot plan (a logit bias; and all discounts between, of a Markov
model), an agent with a reward of its own, and the Gibbs agent as control; first an exact toy.

OUT/parts: language.json; ties.json, the toy, a list of one number an instance for each arm; and, all of one form,
bias-TRUTH, gibbs-TRUTH, markov-GAMMA, style-OWN, direct: {"part", "agent", "truth", "gamma", "own", "seeds", "labels",
"texts", "names": what x weighs, "base": {"score", …} of π_ref, "entries": [{"arm", "kl": the budget, "score",
"reached": KL, "error": standard error of the score, each one a seed, …, "x": of the first seed}], "seconds"}.

Takes: about 50 minutes on two cores, and the training of the language model where it is not in the cache.
Reference: ours. The truth "pen" is VADER − ½[more than 12 words] − ½[no handle].
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from upperhand.errors import BadInput
from upperhand.experiments import matters_style as style
from upperhand.experiments import matters_toy
from upperhand.experiments.matters_arms import ARMS, BATCH, Agent, contest
from upperhand.experiments.matters_bias import bias, counted
from upperhand.experiments.matters_direct import direct
from upperhand.experiments.matters_markov import chain, markov
from upperhand.experiments.matters_people import Person, beside, person
from upperhand.judges.masking import masked
from upperhand.language import pretraining
from upperhand.language.presets import chosen
from upperhand.language.pretraining import Language
from upperhand.language.tokenizer import complete
from upperhand.store import read_part, write_part

WEIGHED = 30
"""The most frequent tokens, which x weighs."""
TRUTHS = ("pen", "vader")


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    preset: Literal["tiny", "laptop", "full"] = "laptop"  # size of the language model.
    corpus: str | None = None  # a text file to learn from, one text a line, instead of the preset's own texts.
    seeds: int = 5  # of every arm, the same ones.
    labels: int = 3840  # of an arm, budget and seed: scores of texts.
    texts: int = 1024  # fresh ones behind each score.
    kls: tuple[float, ...] = (1.0, 2.0, 3.0)  # budgets of KL, nats a text.
    gammas: tuple[float, ...] = (0.0, 0.5, 0.9, 1.0)  # discounts of the Markov agent.
    pool: int = 76_800  # texts that make the world of the Gibbs agent.
    instances: int = 50  # of the exact toy.

    def __post_init__(self):
        least = {"seeds": 1, "labels": 2 * BATCH, "texts": 2, "pool": 2 * BATCH, "instances": 1}
        for name, wanted in least.items():
            if getattr(self, name) < wanted:
                raise BadInput(f"--{name} must be at least {wanted}: got {getattr(self, name)}.")
        for name, inside in (("kls", lambda one: 0 < one < float("inf")), ("gammas", lambda one: 0 <= one <= 1)):
            found = getattr(self, name)
            if not found or not all(map(inside, found)) or len(set(found)) < len(found):
                wanted = "above 0" if name == "kls" else "from 0 to 1"
                raise BadInput(f"--{name} must be different numbers {wanted}, one at least: got {found}.")


class Study:
    """The language and what is made of it, each when it is first asked for."""

    def __init__(self, config: Config, say: Callable[[str], None]):
        self.config, self.say = config, say
        self.seeds = list(range(config.seeds))

    @cached_property
    def language(self) -> Language:
        """The language model."""
        return pretraining.language(self.config.preset, self.config.corpus, say=self.say)

    @cached_property
    def tokens(self) -> np.ndarray:
        """[N, T] the whole texts that it was trained on."""
        corpus = pretraining.read(chosen(self.config.preset), self.config.corpus)
        tokens = self.language.encode(corpus.train)
        return tokens[complete(tokens)]

    @cached_property
    def weighed(self) -> list[int]:
        """The tokens that x weighs."""
        count = np.bincount(self.tokens.ravel(), minlength=self.language.world.vocabulary)
        count[: self.language.world.end + 1] = 0
        return np.argsort(-count, kind="stable")[:WEIGHED].tolist()

    @cached_property
    def names(self) -> list[str]:
        """What x weighs, fit to print."""
        return [masked(self.language.words[token]) for token in self.weighed]

    @cached_property
    def pool(self) -> style.Pool:
        """The world of the Gibbs agent."""
        self.say(f"writing {self.config.pool:,} texts of the language model")
        return style.pool(self.language, self.config.pool)


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """Every part; what is done is not done again. Returns: path of the page."""
    study = Study(config, say)
    for name, part in parts(study):
        if read_part(out, name) is None:
            say(name)
            write_part(out, name, part())
    return draw(out)


def parts(study: Study) -> Iterator[tuple[str, Callable[[], dict[str, Any]]]]:
    """Name of a part, and what makes it."""
    yield "language", lambda: known(study.language)
    yield "ties", lambda: matters_toy.table(study.config.instances)
    for truth in TRUTHS:
        yield f"bias-{truth}", lambda truth=truth: biased(study, truth)
    for gamma in study.config.gammas:
        yield f"markov-{gamma:g}", lambda gamma=gamma: discounted(study, gamma)
    for truth in TRUTHS:
        yield f"gibbs-{truth}", lambda truth=truth: enumerated(study, truth)
    for own in style.PAID:
        yield f"style-{own}", lambda own=own: styled(study, own)
    middle = study.config.kls[len(study.config.kls) // 2]
    yield "direct", lambda: direct(person(study.language.decode, "pen"), study.config, middle)


def known(model: Language) -> dict[str, Any]:
    """What the page tells of the language model."""
    about, shape = model.about, model.shape
    found = {name: getattr(shape, name) for name in ("vocabulary", "length", "width", "layers")}
    return {"preset": about["preset"], "corpus": about["corpus"], "loss": model.loss} | found


def part_of(study: Study, about: dict[str, Any], agent: Agent, base: dict[str, float], **more: Any) -> dict[str, Any]:
    """A part: every arm of an agent at every budget.

    Args:
      about: part, agent, truth, gamma, own.
      agent: who answers.
      base: π_ref's figures.
      more: of `contest`.
    """
    began, config = time.perf_counter(), study.config
    texts = {"texts": config.pool if agent.exact else config.texts, "labels": config.labels // BATCH * BATCH}
    entries = contest(agent, more.pop("arms", ARMS), config.kls, study.seeds, **texts, **more)
    found = {**about, "seeds": study.seeds, **texts, "names": agent.names, "base": base, "entries": entries}
    return found | {"seconds": time.perf_counter() - began}


def written(study: Study, about: dict[str, Any], agent: Agent, judge: Person) -> dict[str, Any]:
    """A part of an agent that writes."""
    measure = lambda tokens: beside(judge, tokens)  # noqa: E731
    base = agent.play([(0, 6)], np.zeros((1, len(agent.names))), study.config.texts)
    told = {"score": float(agent.scores(base).mean())} | measure(base.texts[0])
    return part_of(study, about, agent, told, beside=measure)


def biased(study: Study, truth: str) -> dict[str, Any]:
    """The logit-bias agent of the language model."""
    judge = person(study.language.decode, truth)
    about = {"part": f"bias-{truth}", "agent": "bias", "truth": truth, "gamma": 0.0, "own": None}
    return written(study, about, bias(study.language, study.weighed, judge, study.names), judge)


def discounted(study: Study, gamma: float) -> dict[str, Any]:
    """The agent of the Markov model, at a discount."""
    judge = person(study.language.decode, "pen")
    about = {"part": f"markov-{gamma:g}", "agent": "markov", "truth": "pen", "gamma": gamma, "own": None}
    model = chain(study.tokens, study.language.world)
    return written(study, about, markov(model, study.weighed, gamma, judge, study.names), judge)


def enumerated(study: Study, truth: str) -> dict[str, Any]:
    """The Gibbs agent on a pool of texts."""
    judge = person(study.language.decode, truth)
    about = {"part": f"gibbs-{truth}", "agent": "gibbs", "truth": truth, "gamma": 1.0, "own": None}
    u = judge.score(study.pool.texts)
    agent = style.pooled(counted(study.pool.tokens, study.weighed), u, study.names)
    return part_of(study, about, agent, {"score": float(u.mean())} | beside(judge, study.pool.tokens))


def styled(study: Study, own: str) -> dict[str, Any]:
    """The Gibbs agent that is paid besides, with ten features of style."""
    judge = person(study.language.decode, "vader")
    about = {"part": f"style-{own}", "agent": "style", "truth": "vader", "gamma": 1.0, "own": own}
    u, features = judge.score(study.pool.texts), style.styles(study.pool.texts)
    pay = style.paid(features[:, list(style.STYLE).index(style.PAID[own])])
    agent = style.pooled(features / np.maximum(features.std(0), 1e-9), u, list(style.STYLE), pay)
    score, kl = agent.exact(np.zeros((1, len(style.STYLE))))
    base = {"score": float(u.mean()), "paid": float(score[0]), "paid_kl": float(kl[0])}
    return part_of(study, about, agent, base, arms=(*ARMS, "residual_ls"))


def draw(out: Path) -> Path:
    """The page of what is there. Returns: its path. Raises: BadInput where a part is damaged."""
    from upperhand.report.matters_page import write

    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
