"""How far the penalty hypergradients are from the exact one, and the exact one from a difference quotient."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from upperhand.errors import BadInput
from upperhand.forms import BilevelRL, Return
from upperhand.hoist import hoist
from upperhand.hypergradients import penalty, two_sided
from upperhand.run import seed_key
from upperhand.types import Scalar, Tree

DISTANCE = 1e-5
"""Half the distance of a difference quotient, relative to 1 + ‖x‖: its own error in float64 is some 1e-9."""


class Finding(NamedTuple):
    """How a hypergradient does at several x."""

    method: str
    temperature: float
    weight: float | None  # w, where the method has one
    cosine: np.ndarray  # [P] with the exact one
    error: np.ndarray  # [P] relative, in norm


def check(
    problem: BilevelRL, *, temperatures: Sequence[float], weights: Sequence[float], points: int = 5, seed: int = 0
) -> list[Finding]:
    """The hypergradients of a problem against its exact one, in float64.

    Args:
      problem: with its oracle, and an upper objective that the penalty methods take.
      temperatures, weights: τ (reward) and w.
      points: random x, drawn as the problem draws starts.
      seed: of the draws.
    Returns: for each τ the exact one against central differences of Φ along a random direction (a cosine of ±1, the
      sign), then each method at each w; the penalty methods only where upper is linear in the occupancy.
    Raises: ValueError where the problem has no oracle.
    Cost: 3 values and (2 methods · weights + 1) hypergradients a τ and x.
    """
    oracle = problem.exact
    if oracle is None:
        raise BadInput("the problem has no exact oracle to check against: give it `exact`.")
    with jax.enable_x64(True):
        xs = drawn(problem, points, seed)

        def gradients(x, tau, w):
            found = (oracle.hypergradient(x, tau), penalty(problem, x, tau, w), two_sided(problem, x, tau, w))
            return tuple(ravel_pytree(tree)[0] for tree in found)

        example = jnp.asarray(1.0, jnp.float64)
        slope_of = hoist(
            lambda tau: slopes(lambda x: oracle.value(x, tau), lambda x: oracle.hypergradient(x, tau), xs, seed),
            example,
        )
        findings = []
        if isinstance(problem.upper, Return):
            gradients_of = hoist(lambda tau, w: jax.lax.map(lambda x: gradients(x, tau, w), xs), example, example)
        for tau in temperatures:
            at = jnp.asarray(tau, jnp.float64)
            findings.append(Finding("exact", tau, None, *compared(*slope_of(at))))
            for w in weights if isinstance(problem.upper, Return) else ():
                truth, *others = gradients_of(at, jnp.asarray(w, jnp.float64))
                for name, other in zip(("penalty", "two_sided"), others, strict=True):
                    findings.append(Finding(name, tau, w, *compared(truth, other)))
        return findings


def slopes(
    value: Callable[[Tree], Scalar], hypergradient: Callable[[Tree], Tree], xs: Tree, seed: int
) -> tuple[Float[Array, "P 1"], Float[Array, "P 1"]]:
    """The slope of a value along a random direction at each x: by central differences, and by its hypergradient.

    Args:
      value, hypergradient: of an x.
      xs: every leaf [P, …], float64.
      seed: of the directions.
    Returns: both [P, 1]. Cost: two values and a hypergradient at an x.
    """
    flat, unflatten = ravel_pytree(jax.tree.map(lambda leaf: leaf[0], xs))
    points = len(jax.tree.leaves(xs)[0])
    directions = jax.random.normal(seed_key(seed + 1), (points, flat.size), jnp.float64)
    directions = directions / jnp.linalg.norm(directions, axis=1, keepdims=True)

    def slope(pair):
        x, along = pair
        point = ravel_pytree(x)[0]
        half = DISTANCE * (1 + jnp.linalg.norm(point))
        ends = [value(unflatten(point + sign * half * along)) for sign in (1, -1)]
        return (ends[0] - ends[1])[None] / (2 * half), (along @ ravel_pytree(hypergradient(x))[0])[None]

    return jax.lax.map(slope, (xs, directions))


def drawn(problem: BilevelRL, points: int, seed: int) -> Tree:
    """Random x as the problem draws starts, float64. Returns: every leaf [points, …]."""
    xs = jax.vmap(lambda key: problem.init(key)[0])(jax.random.split(seed_key(seed), points))
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), xs)


def compared(truth: jax.Array, other: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and relative error of rows [P, D] with the true ones."""
    truth, other = np.asarray(truth), np.asarray(other)
    lengths = np.maximum(np.linalg.norm(truth, axis=1), 1e-300), np.maximum(np.linalg.norm(other, axis=1), 1e-300)
    return (truth * other).sum(1) / (lengths[0] * lengths[1]), np.linalg.norm(other - truth, axis=1) / lengths[0]
