"""Solver → Solver: what changes how a method is run, not what it does."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from upperhand.solver import AskTell, Solver
from upperhand.types import Count, Key, Scalar, Tree

LARGEST = 1e30
"""A loss or a hypergradient beyond this has left all bounds, though float32 still holds it."""


def vmapped(solver: Solver | AskTell) -> Solver | AskTell:
    """The method over a leading axis of seeds: of x, theta, state and keys, and of what it tells.

    Args:
      solver: a method on one problem.
    Returns: Solver; every leaf of state and info has a leading axis [N]. One seed's numbers may differ from its single
      run by rounding.
      A method that asks a person takes the seeds in turn: its networks fill the machine already.
    Cost: that of N seeds.
    """
    if isinstance(solver, AskTell):
        return solver._replace(init=jax.vmap(solver.init), ask=in_turn(solver.ask), tell=in_turn(solver.tell))
    return Solver(jax.vmap(solver.init), jax.vmap(solver.update))


def in_turn(function: Callable) -> Callable:
    """A function over a leading axis of its arguments, one after another in one program."""
    return lambda *args: jax.lax.map(lambda arg: function(*arg), args)


class Guarded(NamedTuple):
    """A method's state, as it was when it was last finite."""

    inner: Any  # of the method
    count: Count  # updates asked for
    upper: Scalar  # as last told, 0 before
    lower: Scalar
    failed: Bool[Array, ""]  # from here on the method stands still

    @property
    def x(self) -> Tree:
        """The last finite upper variable."""
        return self.inner.x

    @property
    def y(self) -> Tree:
        """The last finite lower variable."""
        return self.inner.y


def guarded(solver: Solver) -> Solver:
    """The method, standing still from the first update that is not finite, so that one seed does not stop the others.

    An update fails where a float of its new state is not finite, or where its losses or its hypergradient are not or
    exceed 1e30. From then on the state is the one before it, the losses are those told last, the hypergradient is told
    as zeros; the count and the cost go on.

    Args:
      solver: a method on one problem.
    Returns: Solver; its state has `failed` besides. As long as nothing fails, its numbers are the method's own.
    Cost: that of the method, and a look at every number of its state.
    """

    def init(x, y):
        zero = jnp.zeros((), float)
        inner = solver.init(x, y)
        shapes = jax.eval_shape(solver.update, jax.random.key(0), inner)[1]
        losses = (zero.astype(loss.dtype) for loss in (shapes.upper, shapes.lower))
        return Guarded(inner, inner.count, *losses, jnp.asarray(False))

    def update(key: Key, state: Guarded):
        after, info = solver.update(key, state.inner)
        is_good = below(after, jnp.inf) & below((info.upper, info.lower, info.hypergradient), LARGEST) & ~state.failed
        inner = jax.tree.map(lambda new, old: jnp.where(is_good, new, old), after, state.inner)
        upper, lower = jnp.where(is_good, info.upper, state.upper), jnp.where(is_good, info.lower, state.lower)
        dx = jax.tree.map(lambda leaf: jnp.where(is_good, leaf, jnp.zeros_like(leaf)), info.hypergradient)
        told = info._replace(upper=upper, lower=lower, hypergradient=dx)
        return Guarded(inner, state.count + 1, upper, lower, ~is_good), told

    return Solver(init, update)


def below(tree: Tree, bound: float) -> Bool[Array, ""]:
    """Whether the size of every float of a tree is below a bound; NaN is not. Other leaves are not looked at."""
    floats = [leaf for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    return jnp.all(jnp.stack([jnp.all(jnp.abs(leaf) < bound) for leaf in floats] or [jnp.asarray(True)]))
