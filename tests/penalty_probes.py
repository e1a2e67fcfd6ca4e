"""What the tests of the penalty methods share: a problem with derivatives by hand, and ways to run a method."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from contract import light
from upperhand.forms import Bilevel
from upperhand.types import Scaled

X, Y = (-0.9, 0.6), (-0.3, 0.9)  # boxes that runs on `bent` bump into
START = np.array([0.5, -0.7]), np.array([0.2, -0.4])
STEPS = 25
WEIGHTS = np.geomspace(3.0, 0.1, STEPS)  # w of each update: above and below 1


def bent() -> Bilevel:
    """No quadratic, with boxes: upper = Σ xy + ½(y − 1)², lower = Σ ½(y − x²)² + ¼y⁴."""
    return Bilevel(
        lambda key: tuple(map(jnp.asarray, START)),
        lambda x, y, batch: jnp.sum(x * y + (y - 1) ** 2 / 2),
        lambda x, y, batch: jnp.sum((y - x**2) ** 2 / 2 + y**4 / 4),
        project_x=lambda x: jnp.clip(x, *X),
        project_y=lambda y: jnp.clip(y, *Y),
    )


def weight(count):
    """w at a count."""
    return jnp.asarray(WEIGHTS)[count]


def ux(x, y):
    return y


def uy(x, y):
    return x + y - 1


def lx(x, y):
    return -2 * x * (y - x**2)


def ly(x, y):
    return y - x**2 + y**3


def walked(solver, steps: int = STEPS):
    """x and y [steps, ...] of a run on `bent`."""

    def body(state, key):
        state, _ = solver.update(key, state)
        return state, (state.x, state.y)

    start = solver.init(*map(jnp.asarray, START))
    return light(lambda state: jax.lax.scan(body, state, jax.random.split(jax.random.key(0), steps))[1])(start)


def agree(solver, by_hand: Callable) -> None:
    """A run on `bent` is the one by hand.

    Args:
      solver: built for `bent`, with `weight`.
      by_hand: generator of (x, y) after each update, from NumPy alone.
    """
    wanted = [np.array(part) for part in zip(*by_hand(), strict=True)]
    assert len(wanted[0]) == STEPS
    for found, mine in zip(walked(solver), wanted, strict=True):
        np.testing.assert_allclose(found, mine, rtol=1e-11, atol=1e-13)
    assert min(np.ptp(part, axis=0).min() for part in wanted) > 0.01 and np.any(wanted[0] == X[0])  # moves, to the wall


def ended(make: Callable, problem: Bilevel, weights, x, y, steps: int):
    """The last state from (x, y) at every w, in one program: make(problem, penalty=…) → Solver."""

    def follow(w):
        solver = make(problem, penalty=Scaled(1.0, w))
        body = lambda _, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
        return jax.lax.fori_loop(0, steps, body, solver.init(jnp.asarray(x, float), jnp.asarray(y, float)))

    return light(jax.vmap(follow))(jnp.asarray(weights, float))


def scalars(upper: Callable, lower: Callable, **fields) -> Bilevel:
    """A problem of one x and one y."""
    return Bilevel(
        lambda key: (jnp.zeros(1), jnp.zeros(1)),
        lambda x, y, batch: upper(x[0], y[0]),
        lambda x, y, batch: lower(x[0], y[0]),
        **fields,
    )


def pulled(a: float, b: float) -> Bilevel:
    """upper = ½(x − a)² + ½(y − b)², lower = ½(y − x)²; penalised y − x = w(b − a)/(w + 2)."""
    return scalars(lambda x, y: ((x - a) ** 2 + (y - b) ** 2) / 2, lambda x, y: (y - x) ** 2 / 2)


def trap() -> Bilevel:
    """upper = sin²(y − 2π/3), lower = y² + 2 sin² y, whose only solution is 0."""
    return scalars(lambda x, y: jnp.sin(y - 2 * jnp.pi / 3) ** 2, lambda x, y: y**2 + 2 * jnp.sin(y) ** 2)
