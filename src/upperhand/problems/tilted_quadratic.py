"""Quadratics with upper tilted along y: the penalised problem's best x is exact at every w, its stiffness is not.

upper = ½ ‖x − a‖² + tilt qᵀy              lower = ½ (y − Bx)ᵀ A (y − Bx)
y*(x) = Bx                                 ∇Φ(x) = x − a + tilt Bᵀq, best at a − tilt Bᵀq

A has eigenvalues from 1 to 5, ‖Bᵀq‖ = 1. min_y [ w upper + lower ] has the same gradient in x as w Φ + min lower, for
every w, since upper is linear in y. ‖∇Φ(a)‖ = tilt: that is how far off a method ends which drops the path through y.

Try: alt_pbgd
Reference: derived, as the smallest problem for the smoothness of F_w in "Efficient Penalty-Based Bilevel Methods:
Improved Analysis, Novel Updates, and Flatness Condition" (arXiv 2511.16796).
"""

import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import positive, whole


def tilted_quadratic(*, numbers: int = 20, tilt: float = 0.05, seed: int = 0) -> Bilevel:
    """Follow a quadratic that is tilted along y, x ∈ R^numbers, from x = 0.

    Args:
      numbers: length of x and of y.
      tilt: norm of what upper's slope in y adds to ∇Φ.
      seed: of A, B, a and q, which all starts share.
    Returns: Bilevel with its oracle.
    Raises: ValueError for a number of numbers or a tilt that is not above 0.
    """
    whole("numbers", (numbers,), 1)
    positive("tilt", tilt)
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.normal(size=(numbers, numbers)))[0]
    A = turn @ np.diag(np.linspace(1, 5, numbers)) @ turn.T
    B = random.normal(size=(numbers, numbers)) / np.sqrt(numbers)
    a, q = random.normal(size=(2, numbers))
    q = tilt * q / np.linalg.norm(B.T @ q)
    drop = B.T @ q
    x_star = a - drop
    of = lambda x, array: jnp.asarray(array, x.dtype)  # noqa: E731

    def lower(x, y, batch):
        off = y - of(x, B) @ x
        return jnp.vdot(off, of(x, A) @ off) / 2

    return Bilevel(
        lambda key: (jnp.zeros(numbers), jnp.zeros(numbers)),
        lambda x, y, batch: jnp.sum((x - of(x, a)) ** 2) / 2 + jnp.vdot(of(x, q), y),
        lower,
        exact=truth(
            lambda x: of(x, B) @ x,
            lambda x: jnp.sum((x - of(x, a)) ** 2) / 2 + jnp.vdot(of(x, drop), x),
            lambda x: x - of(x, x_star),
            lambda: (x_star, float(np.sum((x_star - a) ** 2) / 2 + drop @ x_star)),
        ),
    )
