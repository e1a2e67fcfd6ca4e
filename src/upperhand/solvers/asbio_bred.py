"""ASBiO-BreD: SBiO-BreD with recursive variance reduction, a large batch now and then and small ones between.

    every `restart` updates   n, dx  =  means over the large batch at (x, y), as in sbio_bred
    else, of a small batch    n  ← n  + mean[ ∂_y lower(x, y) − ∂_y lower(x⁻, y⁻) ]
                              dx ← dx + mean[ estimate(x, y) − estimate(x⁻, y⁻) ]     x⁻, y⁻ of the update before
    y  ← project_y( y − y_step n )
    x  ← M(x, dx) = argmin over u in X of  ⟨dx, u⟩ + l1 ‖u‖₁ + (1/x_step) D(u, x)          both at the old x and y

Both points see the same samples and the same k of the random series: with a k of its own for each, the differences
would not shrink with the steps, and the errors would pile up. D is the Bregman distance of the mirror function, see
hypergradients/mirrors.py.

Needs: as sbio_bred; losses whose sampled second derivatives vary little between x⁻ and x.
It fails where steps are large (the differences are as noisy as what they correct), and is not always the better one:
at a fixed budget a well-chosen large batch of sbio_bred can beat it. Stop as in sbio_bred.
Cost: in mean over an update ( large + 2 (restart − 1) small )/restart estimates, each of 3 partial gradients and about
(terms + 1)/2 second-order products; samples are counted once for both points.
Reference: "Enhanced Bilevel Optimization via Bregman Distance" (arXiv 2107.12301, NeurIPS 2022), Algorithm 3 (from the
paper). Derived: that k is the same at both points. Ours: as in sbio_bred.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from upperhand.forms import Bilevel
from upperhand.hypergradients.mirrors import Mirror, euclidean, mover
from upperhand.hypergradients.neumann import GRADIENTS, estimator, mean
from upperhand.hypergradients.partial import plain
from upperhand.schedule import descent, whole
from upperhand.solver import Cost, Info, Solver
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    x_before: Tree  # the same, of the update before
    y_before: Tree
    d: Tree  # like x, the running estimate of ∇Φ
    n: Tree  # like y, the running estimate of ∂_y lower
    step: Any  # the mirror's memory, of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def asbio_bred(
    problem: Bilevel,
    *,
    steps: int = 1000,
    batch: tuple[int, int] = (240, 8),
    restart: int = 20,
    terms: int = 12,
    smoothness: float = 3.0,
    x_step: Schedule | optax.GradientTransformation = 0.03,
    y_step: Step = 0.1,
    mirror: Mirror = euclidean,
) -> Solver:
    """Build ASBiO-BreD.

    Args:
      problem: general, with or without l1.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: draws of an update that restarts, a multiple of the second, and of each other one.
      restart: the estimates are made afresh every so many updates.
      terms: of the series for the inverse Hessian.
      smoothness: L, at least the largest curvature of lower in y, of any sample.
      x_step: size of the mirror step, two ends of it, or an optax transformation in place of the whole Euclidean step,
        where there is no l1.
      y_step: step size of plain descent, two ends of it, or an optax transformation; well below 1/L.
      mirror: what measures nearness in x: euclidean, adaptive (steps of every coordinate's own scale), or entropy
        (x on the simplex); in Python also mirrors.diagonal(floor=…).
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: in mean over an update ( batch[0] + 2 (restart − 1) batch[1] )/restart estimates.
    """
    plain(problem, "asbio_bred", order=2, takes_l1=True)
    large, small = whole("batch", batch, 2)
    if large % small:
        raise ValueError(f"batch must be a multiple of the small one, and the small one: got {batch!r}. Try (240, 8).")
    whole("restart", (restart,), 1)
    estimate = estimator(problem, terms, smoothness)
    moving, descend_y = mover(problem, mirror, x_step, steps), descent("y_step", y_step, steps)
    samples = problem.drawn[0] + terms * problem.drawn[1]

    def init(x, y):
        d, n = optax.tree.zeros_like(x), optax.tree.zeros_like(y)
        return State(x, y, x, y, d, n, moving.init(x), descend_y.init(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, y = state.x, state.y
        is_fresh = state.count % restart == 0

        def summed(point):
            """The mean over some rounds of small batches, those of a round the same at every point."""
            x, y, rounds = point

            def told(r):
                keys = jax.random.split(jax.random.fold_in(key, r), small)
                found = mean(lambda key: estimate(key, (state.x, state.y), x, y), keys)
                share = jax.tree.map(lambda leaf: leaf / jnp.maximum(rounds, 1).astype(leaf.dtype), found)
                return share._replace(products=found.products)

            none = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(told, 0))
            return jax.lax.fori_loop(0, rounds, lambda r, total: optax.tree.add(total, told(r)), none)

        # loops of a traced length, since a condition would work both sides through under vmap
        both = lambda now, before: jnp.stack([now, before])  # noqa: E731
        xs, ys = jax.tree.map(both, (x, y), (state.x_before, state.y_before))
        rounds = jnp.where(is_fresh, jnp.asarray([large // small, 0]), 1)
        found = jax.lax.map(summed, (xs, ys, rounds))
        here, there = (jax.tree.map(lambda leaf, at=at: leaf[at], found) for at in (0, 1))
        corrected = lambda now, old, before: jnp.where(is_fresh, now, old + now - before)  # noqa: E731
        n = jax.tree.map(corrected, here.dy, state.n, there.dy)  # line 1 or 2
        dx = jax.tree.map(corrected, here.dx, state.d, there.dx)  # line 1 or 3
        move, y_state = descend_y.update(n, state.y_step, y)
        new_y = problem.project_y(optax.apply_updates(y, move))  # line 4
        new_x, memory = moving.step(state.step, x, dx, state.count)  # line 5
        new = State(new_x, new_y, x, y, dx, n, memory, y_state, state.count + 1)
        draws, estimates = jnp.where(is_fresh, large, small), jnp.where(is_fresh, large, 2 * small)
        spent = Cost(samples * draws, GRADIENTS * estimates, here.products + there.products)
        spent = jax.tree.map(lambda count: count.astype(jnp.float32), spent)
        return new, Info(here.upper, here.lower, dx, spent, {})

    return Solver(init, update)
