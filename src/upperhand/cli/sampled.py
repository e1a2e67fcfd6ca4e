"""How the sampled hypergradient estimators do by themselves: mean, stated bias and noise at fixed x, exact policies."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from upperhand.forms import BilevelRL
from upperhand.hoist import hoist
from upperhand.hypergradients import penalty, streams, two_sided
from upperhand.hypergradients.bellman import upper_derivatives
from upperhand.hypergradients.difference import central, neighbours
from upperhand.hypergradients.directions import along_direction
from upperhand.hypergradients.response import sampled_response, through_response
from upperhand.hypergradients.stationary import settled, stationary
from upperhand.hypergradients.trajectories import trajectories
from upperhand.mdps.sampling import law
from upperhand.policy_gradients.episodes import episodes, visited
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.surrogate import soft_return
from upperhand.rewards.table import reward_table
from upperhand.run import seed_key

MOST = 4
"""Numbers of x up to which finite differences are among the estimators."""
RADIUS = 0.05
"""h of the differences, in units of x."""
RIDGE, SOLVES = 0.03, 20
"""Of PARL's linear system; its stated bias is that of the exact system with this ridge."""
FALLING = (4, 16)
"""Batches, as multiples of the asked one, from which a bias of O(1/B) is extrapolated away."""


class Study(NamedTuple):
    """An estimator at one problem: pure functions of (x, τ, w)."""

    prepare: Callable  # (x, tau, w) → what a draw needs
    draw: Callable  # (key, x, tau, w, prepared, batch) → dx
    aim: Callable  # (x, tau, w) → what its mean is by theory, like x
    samples: Callable  # batch → transitions a draw
    stated: str  # its bias, in words
    knows_w: bool = False
    falls: bool = False  # its bias falls as 1/B: the mean is extrapolated from B and 4B


class Sampled(NamedTuple):
    """How an estimator does, over P points."""

    method: str
    temperature: float
    weight: float | None  # w, where the method has one
    cosine: np.ndarray  # [P] of the mean with the exact hypergradient
    bias: np.ndarray  # [P] of the mean, relative to ‖∇Φ‖
    stated: np.ndarray  # [P] of what theory says the mean is, likewise
    off: float  # distance of the two along ∇Φ, over all points, in standard errors
    noise: np.ndarray  # [P] standard deviation of a single transition's worth, relative to ‖∇Φ‖
    words: str  # the stated bias in words


def horizon(discount: float) -> int:
    """Steps after which less than 1e-4 of the discounted weight is left."""
    return max(1, int(np.ceil(np.log(1e-4) / np.log(discount)))) if discount > 0 else 1


def studies(problem: BilevelRL, dx: int) -> dict[str, Study]:
    """The sampled estimators that fit a problem, by name."""
    world, gamma, size = law(problem.mdp), problem.mdp.discount, (problem.mdp.states, problem.mdp.actions)
    solution, truth = problem.exact.lower_solution, lambda x, tau, w: problem.exact.hypergradient(x, tau)
    long, resolvent = horizon(gamma), suitable(problem.mdp)
    pi_of = lambda x, tau, w: solution(x, tau)  # noqa: E731
    whole = lambda batch: episodes_of(batch, long)  # noqa: E731

    def stream(estimator, aim, stated):
        return Study(
            lambda x, tau, w: settled(problem, x, tau, w, estimator.low),
            lambda key, x, tau, w, at, batch: stationary(problem, world, key, x, w, estimator, at, batch),
            lambda x, tau, w: aim(problem, x, tau, w),
            lambda batch: estimator.streams * batch[0] * batch[1],
            stated,
            knows_w=True,
        )

    def evaluate(key, batch):
        def one(x, tau):
            seen = episodes(world, key, solution(x, tau), *whole(batch))
            u = reward_table(problem.upper.reward, x, *size)
            return problem.upper.cost(x) - jnp.sum(visited(seen, gamma, *size) * u)

        return one

    def differences(key, x, tau, w, at, batch):
        flat, unravel = ravel_pytree(x)
        one = lambda point: evaluate(key, batch)(unravel(point), tau)  # noqa: E731
        return unravel(central(jax.vmap(jax.vmap(one))(neighbours(flat, RADIUS)), RADIUS))

    def quotient(x, tau, w):
        flat, unravel = ravel_pytree(x)
        value = lambda point: problem.exact.value(unravel(point), tau)  # noqa: E731
        return unravel(central(jax.vmap(jax.vmap(value))(neighbours(flat, RADIUS)), RADIUS))

    def direction(key, x, tau, w, at, batch):
        ways, walks = jax.random.split(key)
        one = lambda x, known: (evaluate(walks, batch)(x, tau), known)  # noqa: E731
        return along_direction(one, ways, x, RADIUS, jnp.zeros(2))[1]

    def visits(key, x, tau, w, pi, batch):
        return trajectories(problem, world, key, x, pi, tau, whole(batch))[1]

    def response(key, x, tau, w, pi, batch):
        return sampled_response(problem, world, key, x, jnp.log(pi), tau, whole(batch), RIDGE, SOLVES)[1]

    def direct(key, x, tau, w, pi, batch):
        seen = episodes(world, key, pi, *whole(batch))
        _, pull = jax.vjp(lambda x: reward_table(problem.upper.reward, x, *size), x)
        return jax.tree.map(jnp.add, jax.grad(problem.upper.cost)(x), pull(-visited(seen, gamma, *size))[0])

    def direct_part(x, tau, w):
        return upper_derivatives(problem, x, solution(x, tau), resolvent).dx

    def ridged(x, tau, w):
        pi = solution(x, tau)
        upper = upper_derivatives(problem, x, pi, resolvent)
        r = lambda x: reward_table(problem.reward, x, *size)  # noqa: E731
        lower = lambda x, theta: soft_return(problem.mdp, r(x), jax.nn.log_softmax(theta), tau)  # noqa: E731
        dtheta = pi * (upper.dpi - jnp.sum(pi * upper.dpi, -1, keepdims=True))
        through = through_response(lower, x, jnp.log(pi), dtheta, RIDGE, SOLVES)
        return jax.tree.map(jnp.add, upper.dx, through)

    nothing = lambda x, tau, w: jnp.zeros(())  # noqa: E731
    one_run = lambda batch: whole(batch)[0] * whole(batch)[1]  # noqa: E731
    found = {
        "two_stream": stream(streams.two_stream, penalty, "the penalty's, O(w)"),
        "coupled": stream(streams.coupled, penalty, "the penalty's, O(w)"),
        "one_stream": stream(streams.one_stream, penalty, "the penalty's, O(w)"),
        "two_sided_stream": stream(streams.two_sided_stream, two_sided, "the penalty's, O(w²)"),
        "hpgd": Study(pi_of, visits, truth, one_run, "O(1/B), extrapolated", falls=True),
        "parl": Study(pi_of, response, ridged, one_run, "the ridge's; O(1/B), extrapolated", falls=True),
        "partial_sgd": Study(pi_of, direct, direct_part, one_run, "all through the policy"),
        "zero_order": Study(nothing, direction, truth, lambda b: 2 * one_run(b), "O(h²)"),
    }
    if dx <= MOST:
        cost = lambda b: 2 * dx * one_run(b)  # noqa: E731
        found["finite_difference"] = Study(nothing, differences, quotient, cost, "O(h²)")
    return found


def episodes_of(batch: tuple[int, int], length: int) -> tuple[int, int]:
    """As many whole episodes as chains: (B, T)."""
    return batch[0], length


def measure(
    problem: BilevelRL,
    xs: Any,
    *,
    temperatures: Sequence[float],
    weights: Sequence[float],
    draws: int,
    batch: tuple[int, int],
    seed: int = 0,
    names: Sequence[str] | None = None,
) -> list[Sampled]:
    """Each sampled estimator at each τ (and w), over some x.

    Args:
      problem: with its oracle; its upper objective a Return.
      xs: points, every leaf [P, …], float64.
      temperatures, weights: τ (reward) and w.
      draws: independent estimates at each x.
      batch: chains and their steps; estimators of whole episodes take as many episodes as chains.
      seed: of the draws.
      names: which estimators; all that fit where not given.
    Returns: for each τ each estimator at each w. Cost: points · draws · samples transitions each.
    """
    first = jax.tree.map(lambda leaf: leaf[0], xs)
    known, found = studies(problem, ravel_pytree(first)[0].size), []
    scalar = jnp.asarray(1.0, jnp.float64)
    for name in names or known:
        study = known[name]
        sizes = [(k * batch[0], batch[1]) for k in (FALLING if study.falls else (1,))]
        programs = [moments(problem, study, xs, draws, size, scalar) for size in sizes]
        for tau in temperatures:
            for w in weights if study.knows_w else (None,):
                at = (jnp.asarray(tau, jnp.float64), jnp.asarray(1.0 if w is None else w, jnp.float64))
                parts = [
                    tuple(np.asarray(part) for part in program(seed_key(seed + i), *at))
                    for i, program in enumerate(programs)
                ]
                found.append(summed(name, tau, w, study, parts, draws, sizes[0]))
    return found


def moments(problem: BilevelRL, study: Study, xs: Any, draws: int, batch: tuple[int, int], scalar: Any) -> Callable:
    """The program (key, τ, w) → mean [P, dx], variance [P, dx], variance along ∇Φ [P], aim [P, dx], truth [P, dx]."""
    flat = lambda tree: ravel_pytree(tree)[0]  # noqa: E731

    def one(key, x, tau, w):
        prepared, truth = study.prepare(x, tau, w), flat(problem.exact.hypergradient(x, tau))
        keys = jax.random.split(key, draws)
        estimates = jax.lax.map(lambda key: flat(study.draw(key, x, tau, w, prepared, batch)), keys, batch_size=16)
        along = estimates @ truth / jnp.linalg.norm(truth)
        return jnp.mean(estimates, 0), jnp.var(estimates, 0), jnp.var(along), flat(study.aim(x, tau, w)), truth

    def program(key, tau, w):
        points = jax.tree.leaves(xs)[0].shape[0]
        return jax.lax.map(lambda pair: one(pair[0], pair[1], tau, w), (jax.random.split(key, points), xs))

    return hoist(program, seed_key(0), scalar, scalar)


def summed(
    name: str, tau: float, w: float | None, study: Study, parts: list, draws: int, batch: tuple[int, int]
) -> Sampled:
    """What the moments say, over points."""
    mean, variance, along, aim, truth = parts[0]
    length = np.linalg.norm(truth, axis=1)
    guess, error = mean, along / draws
    if study.falls:
        guess, error = (4 * parts[1][0] - mean) / 3, (16 * parts[1][2] / draws + along / draws) / 9
    gaps = ((guess - aim) * truth).sum(1) / length
    cosine = (mean * truth).sum(1) / np.maximum(np.linalg.norm(mean, axis=1) * length, 1e-300)
    noise = np.sqrt(variance.sum(1) * study.samples(batch)) / length
    error = np.maximum(error, (1e-9 * length) ** 2)  # an estimate without noise is right up to rounding
    off = float(np.sum(gaps / np.sqrt(error)) / np.sqrt(len(gaps)))
    bias, stated = (np.linalg.norm(each - truth, axis=1) / length for each in (mean, aim))
    return Sampled(name, tau, w, cosine, bias, stated, off, noise, study.stated)
