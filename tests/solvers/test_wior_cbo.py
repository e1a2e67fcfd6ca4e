"""WiOR-CBO against a NumPy re-expression, and its direction against the exact hypergradient."""

import jax
import jax.numpy as jnp
import numpy as np

from contract import light
from upperhand.hypergradients.ordering import Ordering
from upperhand.problems import conditional_quadratics
from upperhand.solvers import wior_cbo

as_they_come = Ordering(lambda key, at, is_first, length: at, False)


def told(solver, problem, updates, x=None):
    """States and Infos after each update, stacked."""
    first = solver.init(*problem.init(jax.random.key(0)))
    first = first if x is None else first._replace(x=x)
    keys = jax.random.split(jax.random.key(1), updates)
    return light(
        lambda state: jax.lax.scan(lambda s, key: (lambda out: (out[0], out))(solver.update(key, s)), state, keys)[1]
    )(first)


def test_it_is_the_update_rule_written_in_numpy():
    """2 upper examples of 3 lower ones, in the order as they come, batches of 2 and of 1."""
    problem, s, t, u, passes, radius = (
        conditional_quadratics(examples=2, conditions=3, numbers=2),
        0.3,
        0.1,
        0.2,
        2,
        0.5,
    )

    def data(i, j):
        """A, B, b of a lower example, read off its loss."""
        slope = lambda x, y: jax.grad(problem.lower, 1)(x, y, i, j)  # noqa: E731
        zero = jnp.zeros(2)
        return jax.jacobian(slope, 1)(zero, zero), -jax.jacobian(slope)(zero, zero), -slope(zero, zero)

    each = light(jax.vmap(jax.vmap(data, (None, 0)), (0, None)))(jnp.arange(2), jnp.arange(3))
    A, B, b = map(np.asarray, each)
    c = [-np.asarray(jax.grad(problem.upper, 1)(jnp.zeros(2), jnp.zeros(2), i)) for i in range(2)]

    def direction(x, i):
        y, z = np.zeros((2, 2))
        for j in list(range(3)) * passes:
            y, z = y - t * (A[i][j] @ y - B[i][j] @ x - b[i][j]), z - u * (A[i][j] @ z - (y - c[i]))
            z = z * min(1.0, radius / np.linalg.norm(z))
        return x / 2 + np.mean([B[i][j].T @ z for j in range(3)], 0), y

    settings = {"x_step": s, "y_step": t, "z_step": u, "passes": passes, "ordering": as_they_come, "radius": radius}
    for batch in (1, 2):
        states, infos = told(wior_cbo(problem, batch=batch, **settings), problem, 4)
        x = np.zeros(2)
        for k in range(4):
            each = [direction(x, i) for i in ([k % 2] if batch == 1 else [0, 1])]
            dx, y = (np.mean([one[part] for one in each], 0) for part in range(2))
            x = x - s * dx
            np.testing.assert_allclose(infos.hypergradient[k], dx, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(states.x[k], x, rtol=1e-11, atol=1e-13)
            np.testing.assert_allclose(states.y[k], y, rtol=1e-11, atol=1e-13)
        assert float(infos.cost.samples[0]) == batch * (1 + 2 * 3)


def test_its_directions_over_a_pass_are_the_exact_hypergradient():
    """One lower example for each upper one, solved to the end: nothing is left to an order, and x hardly moves."""
    problem, x = conditional_quadratics(examples=5, conditions=1, numbers=3), jnp.asarray([0.5, -1.0, 2.0])
    _, infos = told(wior_cbo(problem, x_step=1e-12, y_step=0.3, z_step=0.3, passes=120), problem, 5, x)
    np.testing.assert_allclose(infos.hypergradient.mean(0), problem.exact.hypergradient(x), atol=1e-9)
    np.testing.assert_allclose(infos.upper.mean(), problem.exact.value(x), rtol=1e-9)
