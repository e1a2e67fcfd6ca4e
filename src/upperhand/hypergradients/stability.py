"""Whether a single-loop method with an averaged hypergradient is stable at a solution: the linearised flow's fate."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree

from upperhand.forms import Bilevel
from upperhand.hypergradients.partial import curved, partials
from upperhand.types import Tree


def abscissa(
    problem: Bilevel,
    x: Tree,
    y: Tree,
    *,
    x_rate: float,
    y_rate: float,
    z_rate: float,
    average_rate: float | None = None,
    batches: tuple[Tree, Tree] = (None, None),
) -> float:
    """The spectral abscissa of MA-SOBA's flow, linearised at a point; of SOBA's where there is no average.

    x' = −x_rate h        h' = average_rate ( ∂ₓ upper − ∇²_xy lower z − h )
    y' = −y_rate ∂_y lower        z' = −z_rate ( ∇²_yy lower z − ∂_y upper )

    A rate is what one update takes: of `ma_soba` pace · x_step, y_step, z_step and average. Only their ratios decide
    the sign. Below 0 the flow comes back to a solution, and so does the method once all its rates are small enough;
    above 0 it swings ever further away, however small they are.

    Args:
      problem: general, small: a matrix of (2 dx + 2 dy)² numbers is formed.
      x, y: the solution, or near it; z is solved for there, in the least-squares sense.
      x_rate, y_rate, z_rate, average_rate: rates.
      batches: an upper and a lower batch, where the losses take them.
    Returns: the largest real part of an eigenvalue, for one update. Raises: ValueError for a problem of first order.
    Cost: 2 dx + 2 dy derivatives of the flow, one eigenvalue problem; host code.
    Reference: derived.
    """
    if problem.order < 2:
        raise ValueError("abscissa uses 2 derivatives of lower, and this problem's are right up to 1.")
    above, below = batches

    def directions(x, y, z):
        upper, lower = partials(problem.upper, x, y, above), curved(problem.lower, x, y, below)
        cross, product = lower.products(z)
        return optax.tree.sub(upper.dx, cross), lower.dy, optax.tree.sub(product, upper.dy)

    @jax.jit
    def linearised(x, y):
        """The derivative of the directions of (x, y, z), flat, at the z of the point."""
        flat, shape = ravel_pytree(y)
        pull = ravel_pytree(directions(x, y, shape(jnp.zeros_like(flat)))[2])[0]
        hessian = jax.jacfwd(lambda z: ravel_pytree(directions(x, y, shape(z))[2])[0])(jnp.zeros_like(flat))
        point, shape_point = ravel_pytree((x, y, shape(jnp.linalg.lstsq(hessian, -pull)[0])))
        return jax.jacfwd(lambda point: ravel_pytree(directions(*shape_point(point)))[0])(point)

    slopes = np.asarray(linearised(x, y), float)
    dy = ravel_pytree(y)[0].size
    dx = len(slopes) - 2 * dy
    rates = np.repeat([average_rate or x_rate, y_rate, z_rate], [dx, dy, dy])
    flow = -rates[:, None] * slopes
    if average_rate is not None:
        h = -average_rate * np.eye(dx), -x_rate * np.eye(dx)
        moved = np.concatenate([h[1], np.zeros((2 * dy, dx)), h[0]])  # what h does to x, y, z and itself
        still = np.concatenate([np.zeros((dx, len(flow))), flow[dx:], -flow[:dx]])
        flow = np.concatenate([still, moved], 1)
    return float(np.linalg.eigvals(flow).real.max())
