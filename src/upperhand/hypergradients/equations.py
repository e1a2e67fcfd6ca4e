"""Two coupled equations from a problem: as they are, or those that a bilevel problem is solved by."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from upperhand.forms import Bilevel, Equations
from upperhand.hypergradients.partial import curved, partials, plain
from upperhand.solver import Cost, cost
from upperhand.types import Key, Scalar, Tree


class Sample(NamedTuple):
    """Both equations at a point, of one draw."""

    slow: Tree  # like x, the mean is 0 at the solution; −slow moves x
    fast: tuple[Tree, Tree]  # like (y, z)
    upper: Scalar  # the upper loss; of equations ½‖slow‖²
    lower: Scalar  # the lower loss; of equations ½‖fast‖²


class Coupled(NamedTuple):
    """The fast variable is (y, z)."""

    hidden: Callable[[Tree], Tree]  # y → z to begin with
    sample: Callable[[Key, Tree, Tree, Tree], Sample]  # (key, x, y, z) → Sample
    project_y: Callable[[Tree], Tree]
    cost: Cost  # of a sample


def coupled(problem: Bilevel | Equations, name: str) -> Coupled:
    """The equations of a problem.

    Of a bilevel problem, with z = [∇²_yy lower]⁻¹ ∂_y upper as a second fast variable:
    slow = ∂ₓ upper − ∇²_xy lower z        fast = ( ∂_y lower,  ∇²_yy lower z − ∂_y upper )

    Args:
      problem: equations, which have no z, or general, of order 2.
      name: of the method, for the message.
    Returns: Coupled. Raises: ValueError as `plain`.
    Cost: a sample of a bilevel problem is one upper and one lower batch, 3 partial gradients, 2 products; of equations
      one batch and both of them, counted as 2 gradients.
    """
    if isinstance(problem, Equations):
        return _given(problem)
    plain(problem, name, order=2)

    def sample(key, x, y, z):
        key_upper, key_lower = jax.random.split(key)
        upper = partials(problem.upper, x, y, problem.draw_upper(key_upper, x, y))
        lower = curved(problem.lower, x, y, problem.draw_lower(key_lower, x, y))
        across, along = lower.products(z)
        slow, fast = optax.tree.sub(upper.dx, across), (lower.dy, optax.tree.sub(along, upper.dy))
        return Sample(slow, fast, upper.loss, lower.loss)

    return Coupled(optax.tree.zeros_like, sample, problem.project_y, cost(sum(problem.drawn), 3, 2))


def _given(problem: Equations) -> Coupled:
    """Equations as they are."""
    half = lambda tree: optax.tree.norm(tree, squared=True) / 2  # noqa: E731

    def sample(key, x, y, z):
        batch = problem.draw(key, x, y)
        slow, fast = problem.slow(x, y, batch), problem.fast(x, y, batch)
        return Sample(slow, (fast, z), half(slow), half(fast))

    return Coupled(lambda y: (), sample, lambda y: y, cost(problem.drawn, 2))
