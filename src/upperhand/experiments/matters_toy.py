"""Part c of rlhf_matters: when a reward model that moves with the policy can be better at all, by enumeration.

Texts are four letters of an alphabet of four, 256 in all. π_ref is a Markov chain whose rows are drawn from
Dirichlet(1). x weighs the counts of three letters (the fourth's follows). A score U and an agent's own reward r₀ are
weights of pairs of neighbours, the first with the beginning, drawn from a normal law; U is

    U = √(1 − ρ) additive + √ρ remainder      each of mean 0 and variance 1 under π_ref; the additive part is a draw of
                                              weights of counts, the remainder what counts cannot tell (orthogonal)

and r₀ has mean 0 and variance 1. The agent's law of x:

    π_t(a | s) ∝ π_ref(a | s) exp(x_a + γ V_{t+1}(a))        γ = 1 is the Gibbs law π_ref exp(R_x)/Z

Arms find a direction; x is scaled to a KL of 1, E U counts, as a gap in % of what the best x of many starts gains.
With r₀ nothing is scaled: the value is F = E U − β KL at β = ½, and gaps are differences of F.

    frozen           least squares of U on the counts under π_ref
    least_squares    least squares under π_x, half of the way a round, after 120 of them; at large ρ some run in circles
    bradley_terry    the same of the expected preference loss, where U_i − U_j are log odds, by Newton steps
    joint            ascent of E U along KL = 1 (of F with r₀) from the frozen x
    residual         with r₀: least squares of U − β r₀ under π_x: knows what the agent is paid for

Reference: the setting is reconstructed from its description; figures of an earlier, independent study are PUBLISHED.
"""

import itertools
import time
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from upperhand.types import Scalar

LETTERS = np.array(list(itertools.product(range(4), repeat=4)))
"""[256, 4] every text."""
BEFORE = np.concatenate([np.full((256, 1), 4), LETTERS[:, :-1]], 1)
"""[256, 4] the letter before each; 4 is the beginning."""
COUNTS = np.stack([(letter == LETTERS).sum(1) for letter in range(3)], 1).astype(float)
"""[256, 3] what x weighs."""
TAKEN = np.eye(4)[LETTERS].reshape(256, 16)
"""[256, 16] which letter is where; a product is faster than a look-up."""
LEFT = np.eye(5)[BEFORE].reshape(256, 20)
"""[256, 20] which letter is before which place."""
BUDGET, BETA = 1.0, 0.5
RHOS, GAMMAS, OMEGAS = (0.0, 0.25, 0.5, 0.75, 0.95), (0.0, 0.5, 0.9, 1.0), (0.5, 1.0)
ROUNDS, DAMPING = 120, 0.5
"""Of a fixed point, and steps of an ascent."""

_PAID = ("frozen", "least_squares", "residual")
_ARMS = ("frozen", "least_squares", "bradley_terry", "joint")
_TIES = (
    ((0, 0), (0, 0), (0, 0), (0, 0)),
    ((3, 4), (0, 0), (0, 0), (0, 0)),
    ((8, 9), (0.1, None), (0.2, None), (0, 0)),
    ((19, 16), (0.6, None), (2.7, 9), (1.0, None)),
    ((46, 34), (5, 21), (5, 12), (4, 11)),
)
_DISCOUNT = ((2.5, 5.4), (0.6, 2.3), (0.02, 1.0), (0.0, 0.9))
_OWN = ((0.859, 0.018, 0.018, 0.0), (0.807, 0.089, 0.089, 0.0))
PUBLISHED = {
    "ties": [{"rho": rho} | dict(zip(_ARMS, row, strict=True)) for rho, row in zip(RHOS, _TIES, strict=True)],
    "discount": [
        {"gamma": gamma, "rho": rho, "least_squares": (found, None)}
        for gamma, row in zip(GAMMAS, _DISCOUNT, strict=True)
        for rho, found in zip((0.0, 0.5), row, strict=True)
    ],
    "own": [
        {"omega": omega} | {arm: (found, None) for arm, found in zip(("joint", *_PAID), row, strict=True)}
        for omega, row in zip(OMEGAS, _OWN, strict=True)
    ],
}
"""Mean and standard deviation (None: not told) over 50 instances of an independent study."""


class World(NamedTuple):
    """An instance."""

    chain: Float[Array, "5 4"]  # log π_ref(letter | letter before)
    log_ref: Float[Array, "256"]
    score: Float[Array, "256"]  # U
    own: Float[Array, "256"]  # r₀, times ω


def worlds(count: int, rho: float, omega: float, seed: int) -> World:
    """Instances; the same ones for every ρ and ω.

    Args:
      count: N of them.
      rho: share of U's variance that no weights of counts explain.
      omega: how much the agent's own reward weighs.
      seed: of all draws.
    Returns: World, every array with N in front.
    """
    return World(*(np.array(part) for part in zip(*(_world(seed, i, rho, omega) for i in range(count)), strict=True)))


def _world(seed: int, index: int, rho: float, omega: float) -> World:
    draw = np.random.default_rng([seed, index])
    chain = np.log(np.maximum(draw.dirichlet(np.ones(4), 5), 1e-300))
    log_ref = chain[BEFORE, LETTERS].sum(1)
    pi = np.exp(log_ref)

    def unit(u):
        u = u - pi @ u
        return u / np.sqrt(pi @ u**2)

    pairs = lambda: draw.normal(size=(5, 4))[BEFORE, LETTERS].sum(1)  # noqa: E731
    known = np.concatenate([np.ones((256, 1)), COUNTS], 1)
    additive, rough, own = COUNTS @ draw.normal(size=3), pairs(), pairs()
    rough = rough - known @ np.linalg.lstsq(np.sqrt(pi)[:, None] * known, np.sqrt(pi) * rough, rcond=None)[0]
    score = np.sqrt(1 - rho) * unit(additive) + np.sqrt(rho) * unit(rough)
    return World(chain, log_ref, score, omega * unit(own))


def law(world: World, x: Float[Array, "3"], gamma: float | Scalar) -> Float[Array, "256"]:
    """log π_x of every text: the agent's soft Bellman equation backwards over the four letters, without r₀."""
    r, values, v = jnp.append(x, 0.0), [], jnp.zeros(5)
    for _ in range(4):
        q = r + gamma * v[:4]
        v = jax.nn.logsumexp(world.chain + q[None, :], axis=1)
        values = [(q, v), *values]
    q, v = (jnp.concatenate(parts) for parts in zip(*values, strict=True))
    return world.log_ref + TAKEN @ q - LEFT @ v


def gibbs(world: World, x: Float[Array, "3"]) -> Float[Array, "256"]:
    """log π_x of the agent that is paid r₀ besides."""
    return jax.nn.log_softmax(world.log_ref + COUNTS @ x + world.own)


def kl(world: World, log_pi: Float[Array, "256"]) -> Float[Array, ""]:
    """KL(π ‖ π_ref) of a text, nats."""
    return jnp.exp(log_pi) @ (log_pi - world.log_ref)


def scaled(world: World, x: Float[Array, "3"], gamma: float | Scalar) -> Float[Array, "3"]:
    """x times what makes KL the budget: bisection, then Newton; a very long x where no length reaches it."""
    x = x / jnp.linalg.norm(x)
    at = lambda size: kl(world, law(world, jnp.exp(size) * x, gamma))  # noqa: E731

    def halve(_, ends):
        middle = (ends[0] + ends[1]) / 2
        is_above = at(middle) > BUDGET
        return jnp.where(is_above, ends[0], middle), jnp.where(is_above, middle, ends[1])

    def newton(_, size):
        found, slope = jax.jvp(at, (size,), (1.0,))
        return jnp.clip(size - (found - BUDGET) / jnp.maximum(slope, 1e-9), low, high)

    low, high = jax.lax.fori_loop(0, 8, halve, (-4.0, 7.0))
    return jnp.exp(jax.lax.fori_loop(0, 4, newton, (low + high) / 2)) * x


def _centred(log_pi):
    pi = jnp.exp(log_pi)
    centred = COUNTS - (pi @ COUNTS)[None, :]
    return pi, centred, centred.T @ (pi[:, None] * centred)


def _solve(matrix, vector):
    """3 × 3, by cross products: what LAPACK would do for many small ones takes longer to compile than to run."""
    a, b, c = matrix + 1e-9 * jnp.trace(matrix) * jnp.eye(3)
    sides = jnp.stack([jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b)], 1)
    return sides @ vector / (a @ sides[:, 0])


def fitted(log_pi: Float[Array, "256"], score: Float[Array, "256"]) -> Float[Array, "3"]:
    """Least squares of a score on the counts under π, with an intercept."""
    pi, centred, covariance = _centred(log_pi)
    return _solve(covariance, centred.T @ (pi * score))


def preferred(log_pi: Float[Array, "256"], score: Float[Array, "256"], x: Float[Array, "3"]) -> Float[Array, "3"]:
    """x after a Newton step, of length ½ at most, of the expected Bradley–Terry loss on pairs drawn from π."""
    pi, total = jnp.exp(log_pi), COUNTS @ x
    guess = jax.nn.sigmoid(total[:, None] - total[None, :])
    label = jax.nn.sigmoid(score[:, None] - score[None, :])
    slope = COUNTS.T @ (pi * ((label - guess) @ pi))
    curve = pi[:, None] * (guess * (1 - guess)) * pi[None, :]
    step = _solve(COUNTS.T @ (curve.sum(1)[:, None] * COUNTS) - COUNTS.T @ curve @ COUNTS, slope)
    return x + step / jnp.maximum(1.0, 2 * jnp.linalg.norm(step))


def ascended(world: World, x: Float[Array, "3"], gamma: float | Scalar, steps: int = ROUNDS) -> Float[Array, "3"]:
    """x at a local best of E U on KL = 1: gradients along it, whitened under π_ref, in steps that must improve."""
    metric = _centred(world.log_ref)[2]
    of = lambda x: law(world, x, gamma)  # noqa: E731
    value = lambda x: jnp.exp(of(x)) @ world.score  # noqa: E731

    def body(_, carry):
        x, best, step = carry
        up, wall = jax.grad(value)(x), jax.grad(lambda x: kl(world, of(x)))(x)
        across = _solve(metric, wall)
        along = _solve(metric, up) - across * (up @ across) / (wall @ across + 1e-300)
        after = scaled(world, x + step * along, gamma)
        found = value(after)
        is_better = found > best
        return jnp.where(is_better, after, x), jnp.where(is_better, found, best), step * jnp.where(is_better, 1.5, 0.4)

    x = scaled(world, x, gamma)
    return jax.lax.fori_loop(0, steps, body, (x, value(x), 0.5))[0]


def directions(count: int) -> np.ndarray:
    """[N, 3] spread over the sphere (golden spiral)."""
    at = np.arange(count) + 0.5
    height, turn = 1 - 2 * at / count, np.pi * (1 + 5**0.5) * at
    wide = np.sqrt(1 - height**2)
    return np.stack([np.cos(turn) * wide, np.sin(turn) * wide, height], 1)


def gaps(world: World, gamma: float | Scalar, starts: int = 120) -> dict[str, Array]:
    """Arm → gap to the best joint x, % of what that gains.

    Args:
      world: one instance.
      gamma: the agent's discount.
      starts: directions that are looked at; the best four are ascended from, for the best x.
    """
    at = lambda x: law(world, scaled(world, x, gamma), gamma)  # noqa: E731
    value = lambda x: jnp.exp(at(x)) @ world.score  # noqa: E731
    one = lambda x: x / jnp.linalg.norm(x)  # noqa: E731
    refit = lambda _, x: one((1 - DAMPING) * one(x) + DAMPING * one(fitted(at(x), world.score)))  # noqa: E731
    prefer = lambda pi, x: preferred(pi, world.score, x)  # noqa: E731
    frozen = fitted(world.log_ref, world.score)
    pairs = jax.lax.fori_loop(0, 10, lambda _, x: prefer(world.log_ref, x), jnp.zeros(3))
    ends = {
        "frozen": frozen,
        "least_squares": jax.lax.fori_loop(0, ROUNDS, refit, frozen),
        "bradley_terry": jax.lax.fori_loop(0, ROUNDS, lambda _, x: x + DAMPING * (prefer(at(x), x) - x), pairs),
        "joint": ascended(world, frozen, gamma),
    }
    found = {arm: value(x) for arm, x in ends.items()}
    many = jnp.asarray(directions(starts))
    tops = many[jax.lax.top_k(jax.vmap(value)(many), min(4, starts))[1]]
    climbed = jax.vmap(lambda x: value(ascended(world, x, gamma, ROUNDS // 2)))(tops)
    best = jnp.max(jnp.stack([climbed.max(), *found.values()]))
    return {arm: 100 * (best - value) / best for arm, value in found.items()}


def own(world: World) -> dict[str, Array]:
    """F of the joint x where the agent is paid r₀ besides, and how much less the other arms have of it."""
    score = lambda x: _value(world, gibbs(world, x))  # noqa: E731

    def refit(known):
        step = lambda _, x: (x + fitted(gibbs(world, x), world.score - known * BETA * world.own) / BETA) / 2  # noqa: E731
        return jax.lax.fori_loop(0, ROUNDS // 2, step, frozen)

    def body(_, carry):
        x, best, step = carry
        after = x + step * _solve(BETA * _centred(gibbs(world, x))[2], jax.grad(score)(x))
        is_better = score(after) > best
        ends = jnp.where(is_better, after, x), jnp.where(is_better, score(after), best)
        return *ends, jnp.where(is_better, jnp.minimum(1.5 * step, 1.0), 0.4 * step)

    frozen = fitted(world.log_ref, world.score) / BETA
    joint = jax.lax.fori_loop(0, ROUNDS // 2, body, (frozen, score(frozen), 1.0))[1]
    others = {"frozen": frozen, "least_squares": refit(0.0), "residual": refit(1.0)}
    return {"joint": joint} | {arm: joint - score(x) for arm, x in others.items()}


def _value(world, log_pi):
    return jnp.exp(log_pi) @ world.score - BETA * kl(world, log_pi)


def table(instances: int, seed: int = 0, starts: int = 120) -> dict[str, Any]:
    """The whole part.

    Args:
      instances: N of each row.
      seed: of their draws.
      starts: directions that are looked at for the best joint x.
    Returns: ties, discount and own, a list of N numbers for each arm, and what was published.
    Cost: 2 compilations and half a second an instance of each row, about.
    """
    began = time.perf_counter()
    listed = lambda found: {arm: np.asarray(each).tolist() for arm, each in found.items()}  # noqa: E731
    with jax.enable_x64(True):
        judge = jax.jit(lambda gamma, world: jax.lax.map(lambda one: gaps(one, gamma, starts), world, batch_size=10))
        rough = {rho: jax.tree.map(jnp.asarray, worlds(instances, rho, 0.0, seed)) for rho in RHOS}
        ties = [{"rho": rho} | listed(judge(1.0, world)) for rho, world in rough.items()]
        keys = [(gamma, rho) for gamma in GAMMAS for rho in (0.0, 0.5)]
        kept = {(1.0, row["rho"]): {arm: row[arm] for arm in _ARMS} for row in ties}
        found = [kept.get(key) or listed(judge(key[0], rough[key[1]])) for key in keys]
        discount = [{"gamma": gamma, "rho": rho} | each for (gamma, rho), each in zip(keys, found, strict=True)]
        pay = jax.jit(jax.vmap(own))
        paid = [{"omega": omega} | listed(pay(worlds(instances, 0.0, omega, seed))) for omega in OMEGAS]
    told = {"instances": instances, "ties": ties, "discount": discount, "own": paid, "published": PUBLISHED}
    return told | {"seconds": time.perf_counter() - began}
