"""How the arms of rlhf_matters move: one rule for all, so that they differ in what they ask of a batch alone.

A reward model z weighs the features φ of a text, in units of the score U; the agent gets x = z/τ, and τ holds its
KL at the budget. A round: B texts of the agent of x, their scores, and

    z ← z + η (C + ridge)⁻¹ g                   C the covariance of φ, a running mean;  log τ ← log τ + rate (KL/budget − 1)

    least squares    g = Cov(φ, U − zφ)                  fits what the agent is paid for to the score
    Bradley–Terry    g ∝ Σ (σ(ΔU/T) − σ(zΔφ/T)) Δφ       over all pairs of the batch, with the person's exact odds
    joint            g = Cov(∇ₓ log π_x, U − τ log π_x/π_ref)    the hypergradient of E U − τ KL
    residual         g = Cov(φ, U − τ r₀ − zφ)           least squares that knows what else the agent is paid for

Any C gives the same fixed points. For the Gibbs law of zφ/τ least squares and joint are the same rule. A label is a
score of a text: the preference arm gets all pairs of B scored texts, more than as many comparisons would tell.
What comes out is the mean of z over the second half of the rounds, at the τ that then holds the budget.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

BATCH = 32
STEP, RATE, RIDGE, KEEP = 0.15, 0.15, 0.1, 0.9
LONGEST = 0.25
"""A step of x has at most this share of the budget as its KL, as C has it."""
TEMPERATURE = 0.25
"""T of the person's odds, in units of U."""
FROZEN, MOVING = ("frozen_ls", "frozen_bt"), ("alternating_ls", "alternating_bt", "joint")
UNLABELLED = 512
"""Texts of π_ref, without labels, that C begins with."""
FITS = (64, 256, 512)
"""Texts a lane by which τ is set at the end, without labels."""


class Round(NamedTuple):
    """B texts of each of L lanes."""

    texts: Any  # [L, B, …] as the agent knows them
    features: np.ndarray  # [L, B, k] φ
    log_ratio: np.ndarray  # [L, B] log π_x/π_ref
    kl: np.ndarray  # [L] KL(π_x ‖ π_ref) of a text, exact or over these texts
    own: np.ndarray  # [L, B] r₀, or 0


class Agent(NamedTuple):
    """Who answers to x, in as many lanes as there are rows of x."""

    names: list[str]  # k of them, what x weighs
    play: Callable[[Sequence[Any], np.ndarray, int], Round]  # (seed of each lane, x [L, k], B) → texts of π_x
    pull: Callable[[Round, np.ndarray, np.ndarray], np.ndarray]  # (round, x, c [L, B]) → Σ c ∇ₓ log π_x, [L, k]
    scores: Callable[[Round], np.ndarray]  # U of each text, [L, B]: the person


class Lanes(NamedTuple):
    """What runs side by side."""

    arms: list[str]
    budgets: np.ndarray  # [L] KL, nats a text
    seeds: list[int]


def centred(values: np.ndarray) -> np.ndarray:
    """Less their mean over the batch."""
    return values - values.mean(1, keepdims=True)


def sigmoid(u: np.ndarray) -> np.ndarray:
    """1/(1 + e⁻ᵘ)."""
    return 0.5 * (1 + np.tanh(0.5 * u))


def squares(z: np.ndarray, features: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Cov(φ, U − zφ) of a batch, [L, k]."""
    rest = centred(u) - np.einsum("lbk,lk->lb", centred(features), z)
    return np.einsum("lb,lbk->lk", rest, centred(features)) / (u.shape[1] - 1)


def odds(z: np.ndarray, features: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The same where odds of pairs are fitted, in units in which it is `squares` to first order in 1/T, [L, k]."""
    total = np.einsum("lbk,lk->lb", features, z)
    pairs = lambda v: sigmoid((v[:, :, None] - v[:, None]) / TEMPERATURE)  # noqa: E731
    rest = (pairs(u) - pairs(total)).sum(2)
    return 4 * TEMPERATURE * np.einsum("lb,lbk->lk", rest, features) / (u.shape[1] * (u.shape[1] - 1))


def covariance(features: np.ndarray) -> np.ndarray:
    """[L, k, k] of a batch."""
    deviation = centred(features)
    return np.einsum("lbk,lbj->lkj", deviation, deviation) / (features.shape[1] - 1)


def direction(arms: Sequence[str], agent: Agent, found: Round, u: np.ndarray, z: np.ndarray, tau: np.ndarray):
    """g of each lane's arm, [L, k]."""
    own = tau[:, None] * found.own * np.array([[arm == "residual_ls"] for arm in arms])
    g = squares(z, found.features, u - own)
    is_bt, is_joint = (np.array([arm == name for arm in arms]) for name in ("alternating_bt", "joint"))
    if is_bt.any():
        g[is_bt] = odds(z, found.features, u)[is_bt]
    if is_joint.any():
        weights = centred(u - tau[:, None] * found.log_ratio) / (u.shape[1] - 1)
        g[is_joint] = agent.pull(found, z / tau[:, None], weights * is_joint[:, None])[is_joint]
    return g


def stepped(c: np.ndarray, g: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """η (C + ridge)⁻¹ g of each lane, not longer than LONGEST; the ridge is a share of the diagonal."""
    diagonal = np.einsum("lkk->lk", c)
    ridge = RIDGE * diagonal + 1e-2 * diagonal.mean(1, keepdims=True) + 1e-9
    dz = STEP * np.linalg.solve(c + ridge[:, :, None] * np.eye(g.shape[1]), g[:, :, None])[:, :, 0]
    cost = np.einsum("lk,lkj,lj->l", dz, c, dz) / (2 * unit)
    return dz * np.minimum(1.0, (LONGEST / np.maximum(cost, 1e-12)) ** 0.5)[:, None]


def moved(agent: Agent, lanes: Lanes, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """The moving arms to their end.

    Args:
      agent: who answers.
      lanes: arm, budget and seed of each.
      rounds: each asks for BATCH labels a lane.
    Returns: z [L, k] and τ [L].
    """
    k, count = len(agent.names), len(lanes.arms)
    first = agent.play([(seed, 4, 0) for seed in lanes.seeds], np.zeros((count, k)), UNLABELLED)
    z, tau, c = np.zeros((count, k)), np.full(count, 0.3), covariance(first.features)
    kept, weight = [np.zeros((count, k)), np.zeros(count)], 0
    for step in range(rounds):
        found = agent.play([(seed, 1, step) for seed in lanes.seeds], z / tau[:, None], BATCH)
        u = agent.scores(found)
        c = KEEP * c + (1 - KEEP) * covariance(found.features)
        g = direction(lanes.arms, agent, found, u, z, tau)
        z = z + stepped(c, g, (tau**2 * lanes.budgets))
        tau = tau * np.exp(RATE * np.clip(found.kl / lanes.budgets - 1, -1, 1))
        if 2 * step >= rounds:
            kept, weight = [kept[0] + z, kept[1] + np.log(tau)], weight + 1
    return kept[0] / weight, np.exp(kept[1] / weight)


def frozen(agent: Agent, arm: str, seeds: Sequence[int], rounds: int) -> np.ndarray:
    """z [N, k] of a reward model that is fitted once, to as many labels of texts of π_ref."""
    k, count = len(agent.names), len(seeds)
    rounds = [agent.play([(seed, 0, step) for seed in seeds], np.zeros((count, k)), BATCH) for step in range(rounds)]
    heard = [(found.features, agent.scores(found)) for found in rounds]
    c = np.mean([covariance(features) for features, _ in heard], 0)
    curve, z = c + 1e-3 * np.einsum("lkk->lk", c)[:, :, None] * np.eye(k) + 1e-9 * np.eye(k), np.zeros((count, k))
    for _ in range(1 if arm == "frozen_ls" else 60):
        g = np.mean([(squares if arm == "frozen_ls" else odds)(z, *each) for each in heard], 0)
        z = z + np.linalg.solve(curve, g[:, :, None])[:, :, 0]
    return z


def settled(agent: Agent, z: np.ndarray, tau: np.ndarray, budgets: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """τ [L] at which the agent's KL is the budget, as KL ∝ 1/τ² has it, on growing batches without labels."""
    for step, batch in enumerate(FITS):
        found = agent.play([(seed, 2, step) for seed in seeds], z / tau[:, None], batch)
        tau = tau * np.clip(found.kl / budgets, 0.25, 4.0) ** 0.5
    return tau


def outcomes(agent: Agent, z: np.ndarray, tau: np.ndarray, seeds: Sequence[int], texts: int) -> dict[str, np.ndarray]:
    """Score, its standard error and KL of each lane on fresh texts, the same random numbers for every arm."""
    size = min(texts, 256)
    rounds = [agent.play([(seed, 3, at) for seed in seeds], z / tau[:, None], size) for at in range(texts // size)]
    u = np.concatenate([agent.scores(found) for found in rounds], 1)
    error = u.std(1, ddof=1) / u.shape[1] ** 0.5
    return {"score": u.mean(1), "error": error, "reached": np.mean([found.kl for found in rounds], 0), "rounds": rounds}
