"""SBiO-BreD: BiO-BreD from samples in a single loop, with a truncated random series in place of the inverse Hessian.

    n  = mean over batch draws of  ∂_y lower(x, y; ζ₀)
    dx = mean over them of  ∂ₓ upper − ∇²_xy lower(ζ₀) [ (terms/L) Π_{i=1..k} ( I − ∇²_yy lower(ζᵢ)/L ) ] ∂_y upper
    y  ← project_y( y − y_step n )
    x  ← M(x, dx) = argmin over u in X of  ⟨dx, u⟩ + l1 ‖u‖₁ + (1/x_step) D(u, x)          both at the old x and y

Each draw has a k of its own, uniform on 0 … terms − 1; L is `smoothness`; D is the Bregman distance of the mirror
function, see hypergradients/mirrors.py. The bias of dx is at most (L C/μ)(1 − μ/L)^terms, C ≥ ‖∂_y upper‖.

Needs: products with ∇²_yy and ∇²_xy of lower, each from fresh samples; a lower level strongly convex in y.
It fails where L is set below the curvature of some sample (the product explodes), and needs many terms where μ/L is
small. Steps that the theorem allows are far too small to use; an x_step of a third of y_step has been seen to work.
Stop on G = ( x − M(x, d) )/x_step with d averaged over updates, or exact, not on how far x moves, which scales with
x_step; the noise of one dx keeps its own G away from 0.
Cost: an update is batch · (1 upper + terms lower) batches of the problem, 3·batch partial gradients and, on average,
batch · (terms + 1)/2 second-order products; batches beyond ζ_k are counted as drawn.
Reference: "Enhanced Bilevel Optimization via Bregman Distance" (arXiv 2107.12301, NeurIPS 2022), Algorithm 2 (from the
paper). Ours: ζ₀ serves n too (the samples are the paper's batch · (terms + 1)), y_step is the paper's λη, and the last
x is the result, where the paper draws one of all.
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
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Schedule, Step, Tree


class State(NamedTuple):
    """What the next update needs."""

    x: Tree  # upper variable
    y: Tree  # near the minimiser of lower(x, ·)
    step: Any  # the mirror's memory, of x
    y_step: optax.OptState  # of y
    count: Count  # updates done


def sbio_bred(
    problem: Bilevel,
    *,
    steps: int = 1000,
    batch: int = 16,
    terms: int = 12,
    smoothness: float = 3.0,
    x_step: Schedule | optax.GradientTransformation = 0.03,
    y_step: Step = 0.1,
    mirror: Mirror = euclidean,
) -> Solver:
    """Build SBiO-BreD.

    Args:
      problem: general, with or without l1.
      steps: planned updates, over which two ends of a schedule are joined.
      batch: draws of an update, each of one upper and `terms` lower batches of the problem.
      terms: of the series for the inverse Hessian.
      smoothness: L, at least the largest curvature of lower in y, of any sample.
      x_step: size of the mirror step, two ends of it, or an optax transformation in place of the whole Euclidean step,
        where there is no l1.
      y_step: step size of plain descent, two ends of it, or an optax transformation; well below 1/L.
      mirror: what measures nearness in x: euclidean, adaptive (steps of every coordinate's own scale), or entropy
        (x on the simplex); in Python also mirrors.diagonal(floor=…).
    Returns: Solver. Raises: ValueError for a problem of first order or a setting out of its range.
    Cost: an update is 3·batch partial gradients and about batch · (terms + 1)/2 second-order products.
    """
    plain(problem, "sbio_bred", order=2, takes_l1=True)
    whole("batch", (batch,), 1)
    estimate = estimator(problem, terms, smoothness)
    moving, descend_y = mover(problem, mirror, x_step, steps), descent("y_step", y_step, steps)
    samples = batch * (problem.drawn[0] + terms * problem.drawn[1])

    def init(x, y):
        return State(x, y, moving.init(x), descend_y.init(y), jnp.asarray(0, jnp.int32))

    def update(key: Key, state: State):
        x, y = state.x, state.y
        found = mean(lambda key: estimate(key, (x, y), x, y), jax.random.split(key, batch))  # lines 1 and 2
        move, y_state = descend_y.update(found.dy, state.y_step, y)
        new_y = problem.project_y(optax.apply_updates(y, move))  # line 3
        new_x, memory = moving.step(state.step, x, found.dx, state.count)  # line 4
        new = State(new_x, new_y, memory, y_state, state.count + 1)
        spent = cost(samples, GRADIENTS * batch)._replace(products=found.products)
        return new, Info(found.upper, found.lower, found.dx, spent, {})

    return Solver(init, update)
