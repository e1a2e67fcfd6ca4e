"""Random directions: on a quadratic the estimate is unbiased at every radius and has the variance that theory tells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.directions import along_direction, direction

D, N = 5, 200_000


def quadratic():
    """Φ = ½ xᵀHx + b·x, H and b."""
    rng = np.random.default_rng(0)
    H, b = rng.normal(size=(D, D)), rng.normal(size=D)
    return H + H.T, b


def estimates(loss, x, radius):
    """N estimates [N, D]."""
    one = lambda key: along_direction(lambda x, _: (loss(x), x), key, x, radius, jnp.zeros(2))[1]  # noqa: E731
    return np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), N)))


@pytest.mark.parametrize("radius", [0.01, 0.3, 3.0])
def test_on_a_quadratic_it_is_unbiased_and_its_second_moment_is_known(radius):
    """E dx = ∇Φ and E ‖dx‖² = (dim + 2) ‖∇Φ‖², both within 4.5 standard errors: false alarm 4e-5 a radius.

    The forward form's second moment, h²/4 · E ‖Z‖² (ZᵀHZ)² more, is refused where it is told apart, at 0.3 and at 3.
    """
    H, b = quadratic()
    x = np.linspace(-1, 1, D)
    gradient = H @ x + b
    found = estimates(lambda x: x @ jnp.asarray(H) @ x / 2 + jnp.asarray(b) @ x, jnp.asarray(x), radius)
    error = found.std(0, ddof=1) / np.sqrt(N)
    assert (np.abs(found.mean(0) - gradient) < 4.5 * error).all()
    assert np.abs(gradient / error).max() > 100
    squares = (found**2).sum(1)
    error, wanted = squares.std(ddof=1) / np.sqrt(N), (D + 2) * gradient @ gradient
    assert abs(squares.mean() - wanted) < 4.5 * error
    z = np.random.default_rng(2).normal(size=(N, D))
    forward = wanted + radius**2 / 4 * np.mean((z**2).sum(1) * np.einsum("nd,de,ne->n", z, H, z) ** 2)
    assert radius < 0.1 or abs(squares.mean() - forward) > 10 * error


def test_it_is_the_gradient_of_the_smoothed_loss():
    """Φ = Σ x³: ∇ E Φ(x + h Z) = 3 (x² + h²), within 4.5 standard errors; 3 x² is refused."""
    x, h = jnp.asarray([0.5, -0.2, 0.1, 0.0, 1.0]), 0.4
    found = estimates(lambda x: jnp.sum(x**3), x, h)
    error = found.std(0, ddof=1) / np.sqrt(N)
    assert (np.abs(found.mean(0) - 3 * (np.asarray(x) ** 2 + h**2)) < 4.5 * error).all()
    assert np.abs(found.mean(0) - 3 * np.asarray(x) ** 2).min() > 10 * error.max()


def test_a_direction_is_like_x_and_its_numbers_are_independent():
    """Two leaves of one shape are not the same numbers; mean 0, variance 1, no correlation."""
    x = {"one": jnp.zeros(3), "two": jnp.zeros(3), "last": jnp.zeros(())}
    z = jax.vmap(lambda key: direction(key, x))(jax.random.split(jax.random.key(0), 20_000))
    assert jax.tree.structure(z) == jax.tree.structure(x)
    rows = np.concatenate([np.asarray(leaf).reshape(20_000, -1) for leaf in jax.tree.leaves(z)], 1)
    np.testing.assert_allclose(rows.T @ rows / 20_000, np.eye(7), atol=0.06)


def test_both_points_and_what_is_known_there_belong_together():
    """known[0] goes with x + h Z, known[1] with x − h Z, and what is found there comes back in the same order."""
    x = jnp.asarray([1.0, 2.0])
    evaluate = lambda point, mark: (jnp.sum(point) + mark, point - x + mark)  # noqa: E731
    loss, dx, found = along_direction(evaluate, jax.random.key(4), x, 0.1, jnp.asarray([10.0, 20.0]))
    z = np.asarray(direction(jax.random.key(4), x))
    np.testing.assert_allclose(found, np.stack([10 + 0.1 * z, 20 - 0.1 * z]), rtol=1e-9)
    np.testing.assert_allclose(loss, 18.0, rtol=1e-12)
    np.testing.assert_allclose(dx, (z.sum() - 50) * z, rtol=1e-9)
