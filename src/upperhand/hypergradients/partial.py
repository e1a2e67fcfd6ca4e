"""The partial derivatives of both losses at a point: what every general method begins with."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from upperhand.forms import Bilevel, Minimise
from upperhand.types import Key, Scalar, Tree


class Partials(NamedTuple):
    """A loss and its first derivatives."""

    loss: Scalar
    dx: Tree  # like x
    dy: Tree  # like y


class Curved(NamedTuple):
    """The lower loss, its gradient in y, and products with its second derivatives, all from one graph."""

    loss: Scalar
    dy: Tree  # ∇_y lower, like y
    products: Callable[[Tree], tuple[Tree, Tree]]  # z like y → ( ∇²_xy lower z, like x;  ∇²_yy lower z, like y )


def plain(
    problem: Bilevel,
    name: str,
    *,
    order: int = 1,
    takes_l1: bool = False,
    takes_coupling: bool = False,
    tasks: bool = False,
) -> Bilevel:
    """The problem, if a method can take it.

    Args:
      problem: what a builder was given.
      name: of the method, for the message.
      order: how many derivatives of lower the method uses.
      takes_l1, takes_coupling: whether it can take l1 ‖x‖₁ and constraints that couple x and y.
      tasks: whether it wants several tasks; the others want none.
    Returns: the problem. Raises: ValueError, in one line, which tells what to do.
    """
    if not isinstance(problem, Bilevel):
        instead = "Choose clipped_sgd or clipped_sstm" if isinstance(problem, Minimise) else "See as_bilevel for worlds"
        raise ValueError(f"{name} takes a Bilevel problem: got {type(problem).__name__}. {instead}.")
    if problem.order < order:
        raise ValueError(
            f"{name} uses {order} derivatives of lower, and this problem's are right up to {problem.order}: "
            "choose a method of first order, such as alt_pbgd or v_pbgd."
        )
    if problem.l1 and not takes_l1:
        raise ValueError(
            f"{name} has no step for l1 = {problem.l1}: choose bio_bred, sbio_bred or asbio_bred, or l1 = 0."
        )
    if (problem.constraint is not None) != takes_coupling:
        has = "constraints that couple x and y" if problem.constraint is not None else "no constraint"
        other = "pbgd_blocc or pbgd_free_coupled" if problem.constraint is not None else "alt_pbgd or pbgd_free"
        raise ValueError(f"{name} is not for this problem, which has {has}: choose {other}.")
    if bool(problem.tasks) != tasks:
        kind = f"{problem.tasks} tasks" if problem.tasks else "one task"
        raise ValueError(
            f"{name} is not for a problem with {kind}: choose {'morma_soba' if problem.tasks else 'ma_soba'}."
        )
    return problem


def clouds(problem: Bilevel, name: str) -> tuple[int, int]:
    """How many particles x and y are, if a method that moves clouds can take the problem.

    Returns: N of x, M of y. Raises: ValueError where the problem names none, or its start has not as many.
    """
    N, M = problem.particles
    if not N or not M:
        raise ValueError(
            f"{name} moves clouds of particles, and this problem has none: choose alt_pbgd, or set `particles`."
        )
    for which, tree, many in zip("xy", jax.eval_shape(problem.init, jax.random.key(0)), (N, M), strict=True):
        for leaf in jax.tree.leaves(tree):
            if leaf.shape[:1] != (many,):
                raise ValueError(f"{name} wants every leaf of {which} to be [{many}, ...]: got {leaf.shape}.")
    return N, M


def partials(loss: Callable[[Tree, Tree, Tree], Array], x: Tree, y: Tree, batch: Tree) -> Partials:
    """A loss and both gradients. Returns: Partials. Cost: one gradient."""
    value, (dx, dy) = jax.value_and_grad(loss, argnums=(0, 1))(x, y, batch)
    return Partials(value, dx, dy)


def curved(lower: Callable[[Tree, Tree, Tree], Array], x: Tree, y: Tree, batch: Tree) -> Curved:
    """The lower loss with its second derivatives as products; a matrix is never formed.

    Args:
      lower: (x, y, batch) → []; of several tasks their sum.
      x, y: the point.
      batch: of `draw_lower`.
    Returns: Curved. Cost: one gradient; each call of `products` one reverse pass over it, which gives both products.
    """

    def slope(x, y):
        loss, dy = jax.value_and_grad(lower, argnums=1)(x, y, batch)
        return dy, loss

    dy, pull, loss = jax.vjp(slope, x, y, has_aux=True)
    return Curved(loss, dy, pull)


def moves(problem: Bilevel, name: str) -> Bilevel:
    """The problem, if upper knows x directly: a method that drops the path through y*(x) cannot move otherwise.

    Returns: the problem; one whose data are traced cannot be looked at, and is taken. Raises: ValueError where ∂ₓ upper
      is 0 at two random points.
    """

    def size(key: Key):
        at, draw, away = jax.random.split(key, 3)
        leaves, structure = jax.tree.flatten(problem.init(at))
        keys = jax.random.split(away, len(leaves))
        x, y = structure.unflatten(
            [leaf + jax.random.normal(key, leaf.shape, leaf.dtype) for leaf, key in zip(leaves, keys, strict=True)]
        )
        x = problem.project_x(x)
        dx = jax.grad(problem.upper)(x, y, problem.draw_upper(draw, x, y))
        return sum(jnp.sum(jnp.abs(leaf)) for leaf in jax.tree.leaves(dx))

    try:
        with jax.ensure_compile_time_eval():
            is_direct = any(float(size(jax.random.key(seed))) for seed in range(2))
    except jax.errors.ConcretizationTypeError:
        return problem
    if not is_direct:
        raise ValueError(
            f"{name} cannot move here: upper does not depend on x but through y, and {name} drops that path. "
            "Choose alt_pbgd or v_pbgd."
        )
    return problem
