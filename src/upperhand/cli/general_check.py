"""How far general hypergradients are from the exact one: implicit differentiation, and the value penalty at each w."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.flatten_util import ravel_pytree

from upperhand.cli.check import Finding, compared, slopes
from upperhand.errors import BadInput
from upperhand.forms import Bilevel, Minimise
from upperhand.hoist import hoist
from upperhand.hypergradients.partial import curved, partials
from upperhand.hypergradients.response import conjugate_gradients
from upperhand.run import seed_key
from upperhand.types import Scalar, Tree

BATCHES = 256
"""Batches whose mean stands for an expected loss, where a problem has no finite set of examples."""
SOLVES, SEARCHES = 1000, 300
"""The most conjugate gradients, and the most steps of L-BFGS, at an x."""
RESTING = 1e-10
"""Norm of a gradient in y at which L-BFGS stops, relative to 1 + that at its start."""


class Losses(NamedTuple):
    """Both losses without batches."""

    upper: Callable[[Tree, Tree], Scalar]
    lower: Callable[[Tree, Tree], Scalar]


def check_general(
    problem: Bilevel | Minimise, *, weights: Sequence[float], points: int = 5, seed: int = 0
) -> list[Finding]:
    """The hypergradients of a general problem against its exact one, in float64.

    Args:
      problem: with its oracle; of a single-level one the gradient.
      weights: w of the value penalty.
      points: random x: a start and standard normal numbers, the nearest allowed x of it.
      seed: of the draws.
    Returns: the exact one against central differences of Φ along a random direction (a cosine of ±1, the sign); then
      `implicit` at y*(x), by conjugate gradients, and `value_penalty` at each w, whose y minimises w upper + lower by
      L-BFGS from y*(x) on; both only where there is a y, x and y are not coupled and there is one task.
    Raises: ValueError where the problem has no oracle.
    Cost: an x takes 3 values, at most 1000 Hessian products, and at most 300 steps of L-BFGS for each w.
    """
    oracle = problem.exact
    if oracle is None:
        raise BadInput("the problem has no exact oracle to check against: give it `exact`.")
    with jax.enable_x64(True):
        xs = scattered(problem, points, seed)
        tau = oracle.temperature

        def smooth(x):  # the hypergradient is that of Φ without l1 ‖x‖₁
            l1 = getattr(problem, "l1", 0.0)
            return oracle.value(x, tau) - l1 * jnp.sum(jnp.abs(ravel_pytree(x)[0]))

        found = hoist(lambda: slopes(smooth, lambda x: oracle.hypergradient(x, tau), xs, seed))()
        findings = [Finding("exact", tau, None, *compared(*found))]
        if isinstance(problem, Minimise) or problem.constraint is not None or problem.tasks:
            return findings

        def at(x, w):
            y = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), oracle.lower_solution(x, tau))
            told = losses(problem, seed, x, y)
            y = lowest(lambda y: told.lower(x, y), y) if is_noisy(problem) else y  # y* of the means
            found = oracle.hypergradient(x, tau), implicit(told, x, y), penalised(told, problem, x, y, w)
            return tuple(ravel_pytree(tree)[0] for tree in found)

        program = hoist(lambda w: jax.lax.map(lambda x: at(x, w), xs), jnp.asarray(1.0, jnp.float64))
        for place, w in enumerate(weights):
            truth, exactly, bent = program(jnp.asarray(w, jnp.float64))
            if not place:
                findings.append(Finding("implicit", tau, None, *compared(truth, exactly)))
            findings.append(Finding("value_penalty", tau, w, *compared(truth, bent)))
        return findings


def is_noisy(problem: Bilevel) -> bool:
    """Whether its losses can only be drawn, so that a mean over `BATCHES` batches stands for them."""
    return problem.examples is None and problem.drawn != (0, 0)


def losses(problem: Bilevel, seed: int, x: Tree, y: Tree) -> Losses:
    """Both losses over all examples, or as means over batches that are drawn at a point, the same at every point."""

    def mean(loss, draw, key):
        drawn = jax.vmap(lambda key: draw(key, x, y))(jax.random.split(key, BATCHES))
        if not jax.tree.leaves(drawn):  # a loss that needs no batch
            return lambda x, y: loss(x, y, drawn)
        return lambda x, y: jnp.mean(jax.vmap(lambda batch: loss(x, y, batch))(drawn))

    key_upper, key_lower = jax.random.split(seed_key(seed + 2))
    if is_noisy(problem):
        upper = mean(problem.upper, problem.draw_upper, key_upper)
        return Losses(upper, mean(problem.lower, problem.draw_lower, key_lower))
    if problem.examples is not None:
        above = problem.examples.take_upper(jnp.arange(problem.examples.upper))
        below = problem.examples.take_lower(jnp.arange(problem.examples.lower))
    else:
        above, below = problem.draw_upper(key_upper, x, y), problem.draw_lower(key_lower, x, y)
    return Losses(lambda x, y: problem.upper(x, y, above), lambda x, y: problem.lower(x, y, below))


def scattered(problem: Bilevel | Minimise, points: int, seed: int) -> Tree:
    """Random allowed x, float64: starts with standard normal numbers added. Returns: every leaf [points, …]."""

    def one(key):
        key_start, key_away = jax.random.split(key)
        start = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float64), problem.init(key_start)[0])
        flat, unflatten = ravel_pytree(start)
        return problem.project_x(unflatten(flat + jax.random.normal(key_away, flat.shape, flat.dtype)))

    return jax.vmap(one)(jax.random.split(seed_key(seed), points))


def implicit(told: Losses, x: Tree, y: Tree) -> Tree:
    """∂ₓ upper − ∇²_xy lower [∇²_yy lower]⁻¹ ∂_y upper at y*(x)."""
    upper = partials(lambda x, y, _: told.upper(x, y), x, y, None)
    lower = curved(lambda x, y, _: told.lower(x, y), x, y, None)
    solves = min(SOLVES, 2 * ravel_pytree(y)[0].size + 10)
    z = conjugate_gradients(lambda z: lower.products(z)[1], upper.dy, solves)
    return optax.tree.sub(upper.dx, lower.products(z)[0])


def penalised(told: Losses, problem: Bilevel, x: Tree, y: Tree, w: Scalar) -> Tree:
    """∂ₓ upper(x, y_w) + ( ∂ₓ lower(x, y_w) − ∂ₓ lower(x, y) )/w; NaN where y_w is not an allowed y."""
    bent = lowest(lambda y: w * told.upper(x, y) + told.lower(x, y), y)
    dx = lambda loss, y: jax.grad(loss)(x, y)  # noqa: E731
    found = jax.tree.map(lambda u, a, b: u + (a - b) / w, dx(told.upper, bent), dx(told.lower, bent), dx(told.lower, y))
    away = optax.tree.norm(optax.tree.sub(problem.project_y(bent), bent))
    return jax.tree.map(lambda leaf: jnp.where(away < 1e-9, leaf, jnp.nan), found)


def lowest(loss: Callable[[Tree], Scalar], y: Tree) -> Tree:
    """Where a loss is least near y, by L-BFGS."""
    search, both = optax.lbfgs(), optax.value_and_grad_from_state(loss)
    least = RESTING * (1 + optax.tree.norm(jax.grad(loss)(y)))

    def more(carry: tuple[Tree, Any]) -> Any:
        state = carry[1]
        steps, slope = (optax.tree.get(state, name) for name in ("count", "grad"))
        return (steps == 0) | ((steps < SEARCHES) & (optax.tree.norm(slope) > least))

    def step(carry):
        y, state = carry
        value, slope = both(y, state=state)
        move, state = search.update(slope, state, y, value=value, grad=slope, value_fn=loss)
        return optax.apply_updates(y, move), state

    return jax.lax.while_loop(more, step, (y, search.init(y)))[0]
