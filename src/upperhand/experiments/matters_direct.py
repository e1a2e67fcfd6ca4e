"""What the arms of rlhf_matters give up for a reward model of few weights: reinforcement learning without one.

The whole top of the language model is tuned on the scores themselves, with the same labels and KL held at the budget.
"""

import time
from typing import Any

import jax
import numpy as np

from upperhand.experiments.matters_arms import BATCH
from upperhand.experiments.matters_people import Person, beside
from upperhand.language.evaluation import writing
from upperhand.prepared.tweets import tweets
from upperhand.run import run
from upperhand.solve import Plan, begin
from upperhand.solvers.text import direct as method


def direct(judge: Person, config: Any, budget: float) -> dict[str, Any]:
    """The part: one arm at one budget of KL, in the form of the others.

    Args:
      judge: the person.
      config: preset and corpus of the language, seeds, labels and fresh texts.
      budget: KL that is held while it is tuned, nats a text; what it ends at is `reached`.
    """
    began, seeds, steps = time.perf_counter(), list(range(config.seeds)), max(1, config.labels // BATCH)
    with jax.enable_x64(False):  # as the networks are
        problem = tweets(preset=config.preset, corpus=config.corpus, person=judge.score)
        solver = method(problem, steps=steps, batch=BATCH, budget=budget)
        keys, state, solver = begin(Plan(problem, solver, steps, steps, tuple(seeds)))
        state = run(solver, keys, state, steps=steps, every=max(1, steps // 10))
        written = writing(problem.policy)
        ends = [jax.tree.map(lambda leaf: leaf[seed], state.y) for seed in seeds]  # noqa: B023
        found = [
            written(theta, jax.random.key(1000 + seed), config.texts) for seed, theta in zip(seeds, ends, strict=True)
        ]
        base = written(problem.policy.init(jax.random.key(0)), jax.random.key(0), config.texts).tokens
    u = [judge(one.tokens) for one in found]
    entry = {"arm": "direct", "kl": budget, "score": [float(each.mean()) for each in u]}
    entry |= {"reached": [one.kl for one in found], "error": [float(each.std(ddof=1) / len(each) ** 0.5) for each in u]}
    rows, seconds = [beside(judge, one.tokens) for one in found], time.perf_counter() - began
    entry |= {name: [row[name] for row in rows] for name in rows[0]} | {"seconds": seconds}
    first = {"score": float(np.mean(judge(base)))} | beside(judge, base)
    about = {"part": "direct", "agent": "direct", "truth": judge.truth, "gamma": None, "own": None, "seeds": seeds}
    spent = {"labels": steps * BATCH, "texts": config.texts, "names": [], "base": first}
    return about | spent | {"entries": [entry], "seconds": seconds}
