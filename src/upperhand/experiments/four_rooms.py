"""Four rooms: HPGD's incentive design in its nine cells, five methods at equal environment steps and equal step grids.

First exact-gradient ascent with the published step, against the figures that are known for it. Then each method, with
the same trials (every step with every heat, the factor on τ at the start, which attenuates to the cell's τ), chosen on
seeds of their own, and reported on others. Methods that know the kernel and draw nothing have updates instead.

Takes: about an hour on two cores.
Reference: task and figures of HPGD, "Contextual Bilevel Reinforcement Learning for Incentive Alignment" (arXiv
2406.01575, NeurIPS 2024; README of the authors' repository, Table 1). Goals are drawn for each episode here, for each
update there; model and roll-outs share one kernel here; budgets are ours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from upperhand.errors import BadInput
from upperhand.experiments.lanes import Lanes, run
from upperhand.forms import BilevelRL, Return
from upperhand.hypergradients.exact import exact
from upperhand.problems import four_rooms
from upperhand.solver import Solver
from upperhand.solvers.rl import actor_critic, expected_actor_critic, hpgd, implicit, zero_order
from upperhand.store import read_part, write_part

CELLS = tuple((tau, cost) for tau in (0.001, 0.003, 0.005) for cost in (1.0, 3.0, 5.0))
"""τ of the agent and cost of a unit of tax to the designer."""
PUBLISHED = {
    "hpgd": ((0.91, 0.088), (0.51, 0.006), (0.46, 0.006), (0.95, 0.002), (0.73, 0.001), (0.29, 0.003),
             (1.17, 0.011), (1.01, 0.002), (0.87, 0.003)),
    "amd": ((0.58, 0.0), (0.51, 0.0), (0.46, 0.003), (1.00, 0.0), (0.39, 0.0), (0.32, 0.0),
            (1.28, 0.003), (1.13, 0.004), (0.97, 0.009)),
    "zero_order": ((0.59, 0.059), (0.50, 0.005), (0.46, 0.007), (0.91, 0.048), (0.40, 0.028), (0.32, 0.002),
                   (1.15, 0.026), (1.02, 0.027), (0.79, 0.027)),
}  # fmt: skip
"""The designer's value, mean and standard error over 10 seeds, in the order of CELLS: as published."""
KNOWN = (0.583, 0.507, 0.470, 1.011, 0.395, 0.321, 1.339, 1.209, 0.912)
"""Exact-gradient ascent, step 0.5, clip 1, 10,000 updates, mean of the last 1000: measured before, by other code."""


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 10  # starts that are reported.
    tuning_seeds: int = 2  # starts on which each cell's step and heat are chosen, others than those.
    transitions: int = 2_000_000  # budget of a start, of the methods that sample.
    updates: int = 20_000  # of a start, of expected_actor_critic; implicit makes a tenth, each with 60 sweeps.
    ascent: int = 10_000  # updates of the exact-gradient ascent.
    steps: tuple[float, ...] = (0.05, 0.5, 5.0, 50.0)  # of x, along the hypergradient clipped to norm 1.
    heats: tuple[float, ...] = (1.0, 2.0, 10.0)  # factors on τ at the start; 1 for a fixed τ.

    def __post_init__(self):
        for name in ("seeds", "tuning_seeds", "transitions", "updates", "ascent"):
            if getattr(self, name) < 1:
                raise BadInput(f"--{name.replace('_', '-')} must be above 0: got {getattr(self, name)}.")
        for name in ("steps", "heats"):
            found = getattr(self, name)
            if not found or not all(0 < one < float("inf") for one in found) or len(set(found)) < len(found):
                raise BadInput(f"--{name} must be different numbers above 0, one at least: got {found}.")


class Arm(NamedTuple):
    """A method as an arm of the table."""

    build: Callable[..., Solver]  # (problem, steps, temperature, x_step) → Solver
    samples: float  # transitions of an update, about; 0 where it draws none
    share: float = 1.0  # of the updates, where it draws none


def _expected(problem: BilevelRL, steps: int, temperature: Callable, x_step: Any) -> Solver:
    weight = lambda count: 0.2 * temperature(count)  # noqa: E731  w well below τ
    settings = {"policy_step": 1.0, "penalty": weight, "temperature": temperature, "x_step": x_step}
    return expected_actor_critic(problem, steps=steps, **settings)


def _sampled(problem: BilevelRL, steps: int, temperature: Callable, x_step: Any) -> Solver:
    settings = {"penalty": temperature, "temperature": temperature, "x_step": x_step}
    return actor_critic(problem, steps=steps, batch=(64, 16), **settings)


def _of(builder: Callable, **more: Any) -> Callable[..., Solver]:
    return lambda problem, steps, temperature, x_step: builder(
        problem, steps=steps, temperature=temperature, x_step=x_step, **more
    )


ARMS = {
    "hpgd": Arm(_of(hpgd, batch=(50, 200)), 0.28 * 50 * 200),  # most episodes end before step 200
    "zero_order": Arm(_of(zero_order, batch=(50, 200)), 0.28 * 2 * 50 * 200),
    "actor_critic": Arm(_sampled, 64 * 16),
    "implicit": Arm(_of(implicit, effort=60), 0, 0.1),
    "expected_actor_critic": Arm(_expected, 0),
}


def at_cost(cost: Any) -> BilevelRL:
    """The problem at a cost that may be traced: the designer's reward is linear in it."""
    free, one = four_rooms(cost=0.0), four_rooms(cost=1.0)
    taxed = lambda x, s, a: (1 - cost) * free.upper.reward(x, s, a) + cost * one.upper.reward(x, s, a)  # noqa: E731
    problem = free._replace(upper=Return(taxed, free.upper.cost))
    return problem._replace(exact=exact(problem, temperature=0.005))


def lanes_of(arm: Arm, steps: int) -> Callable[..., Solver]:
    """The method at (τ, cost, step, heat) of a lane, all traced."""

    def build(tau, cost, step, heat):
        cooled = lambda count: tau * heat ** (1 - jnp.minimum(count / (0.7 * steps), 1.0))  # noqa: E731
        moved = optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(step))
        return arm.build(at_cost(cost), steps, cooled, moved)

    return build


def carry_out(config: Config, out: Path, say: Callable[[str], None]) -> Path:
    """The ascent, then every arm; a part that is done is not done again. Returns: path of the page."""
    told = {"cells": CELLS, "published": PUBLISHED, "known": KNOWN, "arms": list(ARMS)}
    write_part(out, "published", told)
    if read_part(out, "ascent") is None:
        say(f"exact-gradient ascent, {config.ascent:,} updates in nine cells")
        write_part(out, "ascent", ascent(config))
    for name, arm in ARMS.items():
        if read_part(out, name) is None:
            say(f"{name}: choosing among {len(config.steps) * len(config.heats)} trials in each cell")
            write_part(out, name, entry(config, arm, say))
    return draw(out)


def ascent(config: Config) -> dict[str, Any]:
    """The published step of exact-gradient ascent from one start, in float64."""
    start = 0.01 * np.random.default_rng(0).normal(size=105)
    build = lanes_of(Arm(_of(implicit, effort=100), 0), config.ascent)
    with jax.enable_x64(True):
        rows = [(*cell, 0.5, 1.0) for cell in CELLS]
        found = run(Lanes(build, at_cost, np.array(rows), np.tile(start, (9, 1))), config.ascent, None, [0] * 9)
    return {"values": found.scores.tolist(), "known": KNOWN, "seconds": found.seconds}


def entry(config: Config, arm: Arm, say: Callable[[str], None]) -> dict[str, Any]:
    """An arm: its trials on the tuning seeds, and its chosen settings in each cell on the others."""
    budget = config.transitions if arm.samples else None
    steps = max(1, int(budget / arm.samples if budget else arm.share * config.updates))
    build = lanes_of(arm, steps)
    grid = [(step, heat) for step in config.steps for heat in config.heats]

    def lanes(rows, seeds):
        free = four_rooms()
        x = np.asarray(jax.vmap(lambda seed: free.init(jax.random.key(seed))[0])(jnp.asarray(seeds)))
        with jax.enable_x64(not arm.samples):  # 1/w asks for it, where no noise hides what is rounded
            return run(Lanes(build, at_cost, np.array(rows), x), steps, budget, seeds)

    tuning = [10_000 + i for i in range(config.tuning_seeds)]
    rows = [(*cell, *trial, seed) for cell in CELLS for trial in grid for seed in tuning]
    trials = lanes([row[:4] for row in rows], [row[4] for row in rows])
    scores = trials.scores.reshape(len(CELLS), len(grid), len(tuning)).mean(-1)
    chosen = scores.argmax(1)
    say(f"chosen (step, heat): {', '.join(f'{grid[k][0]:g} × {grid[k][1]:g}' for k in chosen)}; {trials.seconds:.0f} s")
    rows = [(*cell, *grid[k], seed) for cell, k in zip(CELLS, chosen, strict=True) for seed in range(config.seeds)]
    found = lanes([row[:4] for row in rows], [row[4] for row in rows])
    return {
        "grid": grid,
        "trials": scores.tolist(),
        "chosen": chosen.tolist(),
        "values": found.scores.reshape(len(CELLS), config.seeds).tolist(),
        "transitions": found.spent.reshape(len(CELLS), config.seeds).mean(1).tolist() if budget else 0,
        "updates": found.updates,
        "seconds": trials.seconds + found.seconds,
    }


def draw(out: Path) -> Path:
    """The page of what is there. Returns: its path. Raises: BadInput where a part is damaged."""
    from upperhand.report.four_rooms_page import write

    try:
        return write(out)
    except ValueError as error:
        raise BadInput(str(error)) from error
