"""What a method is: a pair of pure functions, what it tells and what it spends."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from upperhand.types import Key, Scalar, Tree


class Cost(NamedTuple):
    """What one update spent."""

    samples: Scalar  # transitions, every stream counted
    gradients: Scalar  # first-order gradients of upper, lower or the reward table
    products: Scalar  # second-order products


class Info(NamedTuple):
    """What a person wants to know of one update; the state carries only what the next one needs."""

    upper: Scalar  # the method's own estimate of the upper loss
    lower: Scalar  # the method's own estimate of the lower loss, −J_τ
    hypergradient: Tree  # like x, the estimate that moved x
    cost: Cost
    scheduled: Mapping[str, Scalar]  # the scheduled settings at this update: temperature, penalty weight
    measured: Mapping[str, Scalar] = {}  # what else it saw in its samples; a row tells means over its updates
    at: Tree = None  # like x: where the hypergradient was taken, if that is not the x of the state before


class Solver(NamedTuple):
    """A method on one problem.

    The state is a NamedTuple with `x`, `y` (like the problem's), `count` (updates done) and what else the method needs.
    """

    init: Callable[[Tree, Tree], Any]  # (x, y) → state
    update: Callable[[Key, Any], tuple[Any, Info]]  # (key, state) → (state, info)


class Asked(NamedTuple):
    """What a method wants a person to judge."""

    tokens: Int[Array, "B T"]  # texts
    seed: Int[Array, ""]  # of whatever the answer draws
    wanted: Bool[Array, ""]  # whether an answer is wanted at all in this update
    silence: Float[Array, "..."]  # what stands in the place of the answers where none is wanted


class AskTell(NamedTuple):
    """A method that asks a person in the middle of every update: two pure functions, and host code between them."""

    init: Callable[[Tree, Tree], Any]  # (x, y) → state
    ask: Callable[[Key, Any], Asked]  # (key, state) → what to judge
    answer: Callable[[Any, int], Any]  # (tokens [B, T], seed) → [B, ...] of one start; host code
    tell: Callable[[Key, Any, Asked, Any], tuple[Any, Info]]  # (key, state, asked, answers) → (state, info)


def cost(samples: float | Scalar = 0.0, gradients: float = 0.0, products: float = 0.0) -> Cost:
    """A Cost of float32 arrays, from numbers; samples may be counted as they are made."""
    return Cost(*(jnp.asarray(value, jnp.float32) for value in (samples, gradients, products)))
