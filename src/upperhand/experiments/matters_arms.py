"""How the arms of rlhf_matters move: one rule for all, so that they differ in what they ask of a batch alone.

A reward model z weighs the features φ of a text, in units of the score U; the agent gets x = z/τ, and τ holds its
KL at the budget. A round: B texts of the agent of x, their scores, and

    z ← z + η (C + ridge)⁻¹ g        C the covariance of φ, a running mean
    log τ ← log τ + rate (KL/budget − 1)

    least squares    g = Cov(φ, U − zφ)                  fits what the agent is paid for to the score
    Bradley–Terry    g ∝ Σ (σ(ΔU/T) − σ(zΔφ/T)) Δφ       over all pairs of the batch, with the person's exact odds
    joint            g = Cov(∇ₓ log π_x, U − τ log π_x/π_ref)    the hypergradient of E U − τ KL
    residual         g = Cov(φ, U − τ r₀ − zφ)           least squares that knows what else the agent is paid for

Any C gives the same fixed points. For the Gibbs law of zφ/τ least squares and joint are the same rule. A label is a
score of a text: the preference arm gets all pairs of B scored texts, more than as many comparisons would tell.
What comes out is the mean of z over the second half of the rounds, at the τ that then holds the budget.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

BATCH = 32
STEP, RATE, RIDGE, KEEP = 0.15, 0.15, 0.1, 0.9
LONGEST = 0.25
"""A step of x has at most this share of the budget as its KL, as C has it."""
TEMPERATURE = 0.25
"""T of the person's odds, in units of U."""
ARMS = ("alternating_ls", "alternating_bt", "joint", "frozen_ls", "frozen_bt")
UNLABELLED = 512
"""Texts of π_ref, without labels, that C begins with."""
SETTLED = 256
"""Texts a lane by which τ is set at the end, without labels."""


class Round(NamedTuple):
    """B texts of each of L lanes."""

    texts: Any  # [L, B, …] as the agent knows them
    features: np.ndarray  # [L, B, k] φ
    slopes: np.ndarray | None  # [L, B, k] ∇ₓ log π_x, where it is known without asking for it
    log_ratio: np.ndarray  # [L, B] log π_x/π_ref
    kl: np.ndarray  # [L] KL(π_x ‖ π_ref) of a text, exact or over these texts
    own: np.ndarray  # [L, B] r₀, or 0


class Agent(NamedTuple):
    """Who answers to x, in as many lanes as there are rows of x."""

    names: list[str]  # k of them, what x weighs
    play: Callable[[Sequence[Any], np.ndarray, int], Round]  # (seed of each lane, x [L, k], B) → texts of π_x
    pull: Callable[[Round, np.ndarray, np.ndarray], np.ndarray]  # (round, x, c [L, B]) → Σ c ∇ₓ log π_x, [L, k]
    scores: Callable[[Round], np.ndarray]  # U of each text, [L, B]: the person
    exact: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]] | None = None  # x → (E U, KL) [L], where it is known


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


def direction(
    arms: Sequence[str], agent: Agent, found: Round, u: np.ndarray, z: np.ndarray, tau: np.ndarray
) -> np.ndarray:
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


def stepped(c: np.ndarray, slope: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """η (C + ridge)⁻¹ g of each lane, g its slope, not longer than LONGEST; the ridge is a share of the diagonal."""
    diagonal = np.einsum("lkk->lk", c)
    ridge = RIDGE * diagonal + 1e-2 * diagonal.mean(1, keepdims=True) + 1e-9
    dz = STEP * np.linalg.solve(c + ridge[:, :, None] * np.eye(slope.shape[1]), slope[:, :, None])[:, :, 0]
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
    seeds = list(dict.fromkeys(lanes.seeds))
    first = agent.play([(seed, 4, 0) for seed in seeds], np.zeros((len(seeds), k)), UNLABELLED)
    c = covariance(first.features)[[seeds.index(seed) for seed in lanes.seeds]]
    z, tau = np.zeros((count, k)), np.full(count, 0.3)
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


def frozen(agent: Agent, lanes: Lanes, rounds: int) -> np.ndarray:
    """z [L, k] of reward models that are fitted once, to as many labels of texts of π_ref; the budget has no part."""
    k = len(agent.names)
    seeds = list(dict.fromkeys(lanes.seeds))
    zero = np.zeros((len(seeds), k))
    found = [agent.play([(seed, 0, step) for seed in seeds], zero, BATCH) for step in range(rounds)]
    heard = [(each.features, agent.scores(each)) for each in found]
    c = np.mean([covariance(features) for features, _ in heard], 0)
    curve = c + (1e-3 * np.einsum("lkk->lk", c) + 1e-9)[:, :, None] * np.eye(k)
    fits = {}
    for arm, rule, steps in (("frozen_ls", squares, 1), ("frozen_bt", odds, 100)):
        z = zero
        for _ in range(steps if arm in lanes.arms else 0):
            g = np.mean([rule(z, *each) for each in heard], 0)
            z = z + np.linalg.solve(curve, g[:, :, None])[:, :, 0]
        fits[arm] = z
    return np.array([fits[arm][seeds.index(seed)] for arm, seed in zip(lanes.arms, lanes.seeds, strict=True)])


def settled(agent: Agent, lanes: Lanes, z: np.ndarray, tau: np.ndarray) -> np.ndarray:
    """τ [L] at which the agent's KL is nearest to the budget, on the same random numbers each time.

    Secants of log KL in log τ; half the way between what was too much and what was too little, where a secant leaves
    that. Where KL is not exact it is that of SETTLED texts, without labels.
    """
    at, slope, last = np.log(tau), np.full(len(tau), -1.5), None
    low, high, best = np.full(len(tau), -np.inf), np.full(len(tau), np.inf), (at, np.full(len(tau), np.inf))
    for _ in range(8 if agent.exact is None else 40):
        x, keys = z * np.exp(-at)[:, None], [(seed, 2) for seed in lanes.seeds]
        kl = agent.play(keys, x, SETTLED).kl if agent.exact is None else agent.exact(x)[1]
        over = np.log(np.maximum(kl, 1e-3) / lanes.budgets)
        best = np.where(np.abs(over) < best[1], at, best[0]), np.minimum(np.abs(over), best[1])
        low, high = np.where(over > 0, np.maximum(low, at), low), np.where(over <= 0, np.minimum(high, at), high)
        if last is not None:
            run = at - last[0]
            is_moved = np.abs(run) > 1e-9
            slope = np.where(is_moved, np.minimum((over - last[1]) / np.where(is_moved, run, 1.0), -0.5), slope)
        last, after = (at, over), at - np.clip(over / slope, -0.7, 0.7)
        is_outside = np.isfinite(low) & np.isfinite(high) & ((after <= low) | (after >= high))
        at = np.where(is_outside, (np.where(is_outside, low, 0) + np.where(is_outside, high, 0)) / 2, after)
    return np.exp(best[0])


def outcomes(agent: Agent, lanes: Lanes, x: np.ndarray, texts: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list]:
    """Score, its standard error and KL of each lane, [L], and the texts: fresh ones, of the same random numbers."""
    if agent.exact is not None:
        score, kl = agent.exact(x)
        return score, np.zeros(len(score)), kl, []
    size = min(texts, 256)
    found = [agent.play([(seed, 3, at) for seed in lanes.seeds], x, size) for at in range(-(-texts // size))]
    u = np.concatenate([agent.scores(each) for each in found], 1)
    written = np.concatenate([each.texts for each in found], 1)
    return u.mean(1), u.std(1, ddof=1) / u.shape[1] ** 0.5, np.mean([each.kl for each in found], 0), list(written)


def lanes_of(arms: Sequence[str], budgets: Sequence[float], seeds: Sequence[int]) -> Lanes:
    """Every arm at every budget with every seed, the last fastest."""
    rows = [(arm, budget, seed) for arm in arms for budget in budgets for seed in seeds]
    return Lanes([row[0] for row in rows], np.array([row[1] for row in rows], float), [row[2] for row in rows])


def contest(
    agent: Agent,
    arms: Sequence[str],
    budgets: Sequence[float],
    seeds: Sequence[int],
    *,
    labels: int,
    texts: int,
    beside: Callable[[Any], dict[str, float]] | None = None,
) -> list[dict[str, Any]]:
    """Every arm at every budget of KL.

    Args:
      agent: who answers.
      arms: names, the frozen ones last.
      budgets: KL, nats a text.
      seeds: of the labels' texts, the same for every arm.
      labels: of each arm, budget and seed.
      texts: fresh ones behind each score.
      beside: texts of a lane → what is told beside its score.
    Returns: an entry each of arm and budget.
    """
    rounds, began = max(1, labels // BATCH), time.perf_counter()
    moving, still = ([arm for arm in arms if arm.startswith("frozen") == is_frozen] for is_frozen in (False, True))
    runs = [lanes_of(group, budgets, seeds) for group in (moving, still)]
    z, tau = moved(agent, runs[0], rounds)
    z = np.concatenate([z, frozen(agent, runs[1], rounds)]) if still else z
    tau = np.concatenate([tau, np.full(len(z) - len(tau), 0.15)])
    lanes = lanes_of([*moving, *still], budgets, seeds)
    x = z / settled(agent, lanes, z, tau)[:, None]
    score, error, kl, written = outcomes(agent, lanes, x, texts)
    told = [beside(each) for each in written] if beside else [{}] * len(score)
    seconds, size = (time.perf_counter() - began) / len(lanes.arms), len(seeds)
    entries = []
    for first in range(0, len(lanes.arms), size):
        here = slice(first, first + size)
        entry = {"arm": lanes.arms[first], "kl": float(lanes.budgets[first]), "score": score[here].tolist()}
        entry |= {"reached": kl[here].tolist(), "error": error[here].tolist(), "x": x[first].tolist()}
        entry |= {name: [one[name] for one in told[here]] for name in told[first]}
        entries.append(entry | {"seconds": seconds * size})
    return entries
