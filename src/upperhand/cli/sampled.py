"""How the sampled hypergradient estimators do by themselves: mean, stated bias and noise at fixed x, exact policies."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from upperhand.forms import BilevelRL
from upperhand.hoist import hoist
from upperhand.hypergradients import penalty, streams, two_sided
from upperhand.hypergradients.bellman import Upper, upper_derivatives
from upperhand.hypergradients.cut import cut
from upperhand.hypergradients.difference import central, neighbours
from upperhand.hypergradients.directions import along_direction
from upperhand.hypergradients.response import sampled_response, through_response
from upperhand.hypergradients.stationary import settled, stationary
from upperhand.hypergradients.trajectories import trajectories
from upperhand.mdps.sampling import Law, law
from upperhand.policy_gradients.episodes import episodes, visited
from upperhand.policy_gradients.linear import suitable
from upperhand.policy_gradients.surrogate import soft_return
from upperhand.rewards.table import reward_table
from upperhand.run import seed_key
from upperhand.types import Key, Scalar, Tree

MOST = 4
"""Numbers of x up to which finite differences are among the estimators."""
RADIUS = 0.05
"""h of the differences, in units of x."""
RIDGE, SOLVES = 0.3, 6
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
    falls: bool = False  # its bias falls as 1/B: the mean is extrapolated from two batches
    share: int = 1  # of so many draws one is made


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


class Place(NamedTuple):
    """A problem, prepared for drawing."""

    problem: BilevelRL
    world: Law
    length: int  # T of whole episodes

    def solution(self, x: Tree, tau: Scalar, w: Scalar) -> Any:
        """π*_τ(x), [S, A]."""
        return self.problem.exact.lower_solution(x, tau)

    def table(self, reward: Callable, x: Tree) -> Any:
        """A reward everywhere, [S, A]."""
        return reward_table(reward, x, self.problem.mdp.states, self.problem.mdp.actions)

    def derivatives(self, x: Tree, pi: Any) -> Upper:
        """Of upper, exactly."""
        return upper_derivatives(self.problem, x, pi, suitable(self.problem.mdp))

    def visited(self, key: Key, pi: Any, batch: tuple[int, int]) -> Any:
        """An empirical occupancy, [S, A], from as many whole episodes as chains."""
        seen = episodes(self.world, key, pi, batch[0], self.length)
        return visited(seen, self.problem.mdp.discount, *pi.shape)

    def returned(self, key: Key, x: Tree, tau: Scalar, batch: tuple[int, int]) -> Scalar:
        """Φ_τ(x) from whole episodes."""
        mu = self.visited(key, self.solution(x, tau, tau), batch)
        return self.problem.upper.cost(x) - jnp.sum(mu * self.table(self.problem.upper.reward, x))


def stream(place: Place, estimator: streams.Estimator, aim: Callable, stated: str) -> Study:
    """An estimator of hypergradients/streams.py."""
    problem, world = place.problem, place.world
    return Study(
        lambda x, tau, w: settled(problem, x, tau, w, estimator.low),
        lambda key, x, tau, w, at, batch: stationary(problem, world, key, x, w, estimator, at, batch),
        lambda x, tau, w: aim(problem, x, tau, w),
        lambda batch: estimator.streams * batch[0] * batch[1],
        stated,
        knows_w=True,
    )


def difference(place: Place, dx: int) -> Study:
    """Central differences of sampled returns."""

    def slopes(value, x):
        flat, unravel = ravel_pytree(x)
        points = neighbours(flat, RADIUS)
        return unravel(central(jax.vmap(jax.vmap(lambda point: value(unravel(point))))(points), RADIUS))

    return Study(
        lambda x, tau, w: jnp.zeros(()),
        lambda key, x, tau, w, at, batch: slopes(lambda x: place.returned(key, x, tau, batch), x),
        lambda x, tau, w: slopes(lambda x: place.problem.exact.value(x, tau), x),
        lambda batch: 2 * dx * batch[0] * place.length,
        "O(h²)",
    )


def direction(place: Place) -> Study:
    """A central difference of sampled returns along a random direction."""

    def draw(key, x, tau, w, at, batch):
        ways, walks = jax.random.split(key)
        one = lambda x, known: (place.returned(walks, x, tau, batch), known)  # noqa: E731
        return along_direction(one, ways, x, RADIUS, jnp.zeros(2))[1]

    truth = lambda x, tau, w: place.problem.exact.hypergradient(x, tau)  # noqa: E731
    return Study(lambda x, tau, w: jnp.zeros(()), draw, truth, lambda batch: 2 * batch[0] * place.length, "O(h²)")


def visits(place: Place) -> Study:
    """HPGD's every-visit averages."""
    problem, length = place.problem, place.length
    return Study(
        place.solution,
        lambda key, x, tau, w, pi, batch: trajectories(problem, place.world, key, x, pi, tau, (batch[0], length))[1],
        lambda x, tau, w: cut(problem, x, place.solution(x, tau, w), tau, length),
        lambda batch: batch[0] * length,
        "the cut's; O(1/B), extrapolated",
        falls=True,
    )


def response(place: Place) -> Study:
    """PARL's linear system from the episodes themselves."""
    problem = place.problem

    def draw(key, x, tau, w, pi, batch):
        settings = ((batch[0], place.length), RIDGE, SOLVES)
        return sampled_response(problem, place.world, key, x, jnp.log(pi), tau, *settings)[1]

    def aim(x, tau, w):
        pi = place.solution(x, tau, w)
        upper = place.derivatives(x, pi)

        def lower(x, theta):
            return soft_return(problem.mdp, place.table(problem.reward, x), jax.nn.log_softmax(theta), tau)

        dtheta = pi * (upper.dpi - jnp.sum(pi * upper.dpi, -1, keepdims=True))
        through = through_response(lower, x, jnp.log(pi), dtheta, RIDGE, SOLVES)
        return jax.tree.map(jnp.add, upper.dx, through)

    samples = lambda batch: batch[0] * place.length  # noqa: E731
    stated = "the ridge's; O(1/B), extrapolated"
    return Study(place.solution, draw, aim, samples, stated, falls=True, share=2)


def direct(place: Place) -> Study:
    """Partial SGD: what is left without the policy."""
    upper = place.problem.upper

    def draw(key, x, tau, w, pi, batch):
        _, pull = jax.vjp(lambda x: place.table(upper.reward, x), x)
        return jax.tree.map(jnp.add, jax.grad(upper.cost)(x), pull(-place.visited(key, pi, batch))[0])

    aim = lambda x, tau, w: place.derivatives(x, place.solution(x, tau, w)).dx  # noqa: E731
    return Study(place.solution, draw, aim, lambda batch: batch[0] * place.length, "all through the policy")


def studies(problem: BilevelRL, dx: int) -> dict[str, Study]:
    """The sampled estimators that fit a problem, by the name of the solver or the stream that they are of."""
    place = Place(problem, law(problem.mdp), horizon(problem.mdp.discount))
    found = {
        "two_stream": stream(place, streams.two_stream, penalty, "the penalty's, O(w)"),
        "coupled": stream(place, streams.coupled, penalty, "the penalty's, O(w)"),
        "one_stream": stream(place, streams.one_stream, penalty, "the penalty's, O(w)"),
        "two_sided_stream": stream(place, streams.two_sided_stream, two_sided, "the penalty's, O(w²)"),
        "hpgd": visits(place),
        "parl": response(place),
        "partial_sgd": direct(place),
        "zero_order": direction(place),
    }
    return found | ({"finite_difference": difference(place, dx)} if dx <= MOST else {})


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
) -> Iterator[Sampled]:
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
    known = studies(problem, ravel_pytree(first)[0].size)
    scalar = jnp.asarray(1.0, jnp.float64)
    for name in names or known:
        study = known[name]
        sizes = [(k * batch[0], batch[1]) for k in (FALLING if study.falls else (1,))]
        made = max(2, draws // study.share)
        programs = [moments(problem, study, xs, made, size, scalar) for size in sizes]
        for tau in temperatures:
            for w in weights if study.knows_w else (None,):
                at = (jnp.asarray(tau, jnp.float64), jnp.asarray(1.0 if w is None else w, jnp.float64))
                parts = [
                    tuple(np.asarray(part) for part in program(seed_key(seed + i), *at))
                    for i, program in enumerate(programs)
                ]
                yield summed(name, tau, w, study, parts, made, sizes[0])


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
