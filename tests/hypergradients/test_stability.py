"""The stability of an averaged single-loop method: figures on a quadratic, four equations by hand, the method."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import general_probes as probes
from upperhand.hypergradients.stability import abscissa
from upperhand.problems import quadratic
from upperhand.run import seed_key
from upperhand.solvers import ma_soba, soba

MEASURED = {
    (1, 1, 1, 1): 0.050,
    (1, 2, 2, 1): -0.003,
    (1, 4, 4, 1): -0.136,
    (0.3, 2, 2, 1): -0.184,
    (1, 1, 1, None): -0.299,
}
"""(rates of x, y, z and the average) → the abscissa on `quadratic`, of the specification; None is SOBA."""


@pytest.fixture(scope="module")
def solution():
    problem = quadratic()
    x = jnp.asarray(problem.exact.best()[0])
    return problem, x, problem.exact.lower_solution(x)


def at(solution, rates):
    return abscissa(*solution, **dict(zip(("x_rate", "y_rate", "z_rate", "average_rate"), rates, strict=True)))


@pytest.mark.parametrize("rates", MEASURED)
def test_the_figures_of_the_specification(solution, rates):
    assert at(solution, rates) == pytest.approx(MEASURED[rates], abs=6e-4)


def test_without_vectors_it_is_the_matrix_by_hand():
    """y* = 2x, upper = ½(y − 1)² + x²/4, lower = (3/2)(y − 2x)² of numbers: four equations written out."""
    problem = probes.follows().problem._replace(
        upper=lambda x, y, batch: jnp.sum((y - 1) ** 2 / 2 + x**2 / 4),
        lower=lambda x, y, batch: jnp.sum(1.5 * (y - 2 * x) ** 2),
    )
    s, c1, c2, c3 = 0.7, 0.9, 1.1, 0.8
    by_hand = np.array([  # x, y, z, h
        [0, 0, 0, -s], [6 * c1, -3 * c1, 0, 0], [0, c2, -3 * c2, 0], [c3 / 2, 0, 6 * c3, -c3],
    ])  # fmt: skip
    found = abscissa(problem, jnp.array([0.5]), jnp.array([1.0]), x_rate=s, y_rate=c1, z_rate=c2, average_rate=c3)
    assert found == pytest.approx(np.linalg.eigvals(by_hand).real.max(), abs=1e-12)


def test_it_tells_when_the_method_diverges(solution):
    """From 0.01 away: with the unstable rates ‖x − x*‖ has grown a hundredfold, with the stable ones it is gone; so it
    is with SOBA at the rates that are unstable with an average."""
    problem, x_star, y_star = solution
    a, z_star = (
        0.05,
        jnp.linalg.solve(
            jax.hessian(problem.lower, 1)(x_star, y_star, None), jax.grad(problem.upper, 1)(x_star, y_star, None)
        ),
    )

    def away(rates):
        s, c1, c2, c3 = rates
        scale = lambda size: optax.scale(-size)  # noqa: E731
        solver = ma_soba(problem, x_step=scale(s), pace=a, y_step=scale(c1 * a), z_step=scale(c2 * a), average=a)
        state = solver.init(x_star + 0.01, y_star)._replace(z=z_star)
        body = lambda _, state: solver.update(seed_key(0), state)[0]  # noqa: E731
        return jnp.linalg.norm(jax.lax.fori_loop(0, 4000, body, state).x - x_star)

    unstable, stable = jax.jit(jax.vmap(away))(jnp.array([[1.0, 1, 1, 1], [0.3, 2, 2, 1]]))
    assert unstable > 100 * 0.01 * 5**0.5 and stable < 1e-10
    plain = soba(problem, x_step=a, y_step=a, z_step=a)
    state = plain.init(x_star + 0.01, y_star)._replace(z=z_star)
    end = jax.jit(lambda state: jax.lax.fori_loop(0, 4000, lambda _, s: plain.update(seed_key(0), s)[0], state))(state)
    assert jnp.linalg.norm(end.x - x_star) < 1e-10
