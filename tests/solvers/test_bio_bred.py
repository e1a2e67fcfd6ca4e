"""BiO-BreD: the bias of few loops (B1), the gradient through the loops, the entropy (B3), and the update in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from bred_by_hand import soft

from contract import light
from upperhand.forms import Bilevel
from upperhand.hypergradients.mirrors import adaptive, diagonal, entropy
from upperhand.problems import simplex_target, sparse_shift
from upperhand.solvers import bio_bred

TARGET = np.array([2.0, -1.5, 0.3, -0.2, 0.05, 1.0])


def matrix():
    """A of sparse_shift, by hand."""
    axes = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    return axes @ np.diag(np.linspace(1, 10, 6)) @ axes.T


def ended(solver, x, y, steps):
    body = lambda _, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
    return light(lambda state: jax.lax.fori_loop(0, steps, body, state))(solver.init(jnp.asarray(x), jnp.asarray(y)))


@pytest.mark.parametrize(
    ("loops", "error", "digit"), [(1, 1.37, 0.01), (3, 0.94, 0.01), (10, 0.30, 0.01), (60, 0.015, 1e-3)]
)
def test_few_loops_stay_biased_by_what_the_closed_form_says(loops, error, digit):
    """B1: ‖x − soft(c, l1)‖, to the digits of other code; x solves 0 ∈ (I − (I − y_step A)^loops)(x − c) + l1 ∂|x|."""
    problem = sparse_shift()
    x = ended(bio_bred(problem, loops=loops, x_step=0.75, y_step=0.05), np.zeros(6), np.zeros(6), 3000).x
    assert np.linalg.norm(x - soft(TARGET, 0.5)) == pytest.approx(error, abs=digit / 2)
    kept = np.eye(6) - np.linalg.matrix_power(np.eye(6) - 0.05 * matrix(), loops)
    slope = kept @ (np.asarray(x) - TARGET)
    inside = np.clip(slope, -0.5, 0.5)
    np.testing.assert_allclose(np.where(x == 0, slope - inside, slope + 0.5 * np.sign(x)), 0, atol=1e-9)


def test_the_gradient_goes_through_the_loops_from_a_constant_start():
    """Central differences of upper after 3 steps, from the same y, on a lower level that is not quadratic; NumPy."""
    random = np.random.default_rng(0)
    mix, x, y, weight = random.normal(size=(3, 2)), random.normal(size=2), random.normal(size=3), random.normal(size=3)
    lower = lambda x, y, batch: jnp.sum(jnp.logaddexp(y - mix @ x, mix @ x - y)) + jnp.sum(y**2) / 4  # noqa: E731
    problem = Bilevel(None, lambda x, y, batch: jnp.vdot(y, weight) ** 2 + jnp.sum(jnp.sin(x)), lower)
    solver = bio_bred(problem, loops=3, y_step=0.3)
    _, info = light(solver.update)(jax.random.key(0), solver.init(jnp.asarray(x), jnp.asarray(y)))

    def value(x):
        z = y
        for _ in range(3):
            z = z - 0.3 * (np.tanh(z - mix @ x) + z / 2)
        return (z @ weight) ** 2 + np.sin(x).sum()

    h = 1e-5 * np.eye(2)
    np.testing.assert_allclose(info.hypergradient, [(value(x + e) - value(x - e)) / 2e-5 for e in h], rtol=1e-7)
    np.testing.assert_allclose(info.upper, value(x), rtol=1e-12)
    assert (float(info.cost.gradients), float(info.cost.products)) == (5, 6)


@pytest.mark.parametrize("mirror", ["euclidean", "diagonal"])
def test_updates_in_numpy(mirror):
    """Five updates of loops of y, d = (I − (I − y_step A)^loops)ᵀ (y − c), and both mirror steps, written out."""
    problem, loops, size, A = sparse_shift(), 4, 0.3, matrix()
    given = {"mirror": diagonal(floor=0.05, average=0.2)} if mirror == "diagonal" else {}
    random = np.random.default_rng(1)
    x, y, v = random.normal(size=6), random.normal(size=6), np.zeros(6)
    state = ended(bio_bred(problem, loops=loops, x_step=size, y_step=0.05, **given), x, y, 5)
    for t in range(5):
        for _ in range(loops):
            y = y - 0.05 * A @ (y - x)
        d = (np.eye(6) - np.linalg.matrix_power(np.eye(6) - 0.05 * A, loops)).T @ (y - TARGET)
        v = 0.8 * v + 0.2 * d * d
        h = np.sqrt(v / (1 - 0.8 ** (t + 1))) + 0.05 if given else 1.0
        x = soft(x - size * d / h, size * 0.5 / h)
    np.testing.assert_allclose(state.x, x, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(state.y, y, rtol=1e-11)


def test_the_entropy_finds_shares():
    """B3: x → c = (.5, .3, .15, .05) inside the simplex, to rounding; each step is the closed form."""
    problem, x = simplex_target(), np.array([0.1, 0.2, 0.3, 0.4])
    solver = bio_bred(problem, loops=60, x_step=1.0, y_step=0.5, mirror=entropy)
    first, info = light(solver.update)(jax.random.key(0), solver.init(jnp.asarray(x), jnp.zeros(4)))
    wanted = x * np.exp(-np.asarray(info.hypergradient))
    np.testing.assert_allclose(first.x, wanted / wanted.sum(), rtol=1e-12)
    np.testing.assert_allclose(ended(solver, x, np.zeros(4), 1000).x, (0.5, 0.3, 0.15, 0.05), rtol=0, atol=3e-16)


def test_a_transformation_is_the_whole_step_or_refused():
    """optax.sgd(s) without l1 is the size s; with l1, or another mirror, its size is not known."""
    problem = sparse_shift()
    free = problem._replace(l1=0.0)
    x = [ended(bio_bred(free, loops=2, x_step=step), TARGET, TARGET, 3).x for step in (0.2, optax.sgd(0.2))]
    np.testing.assert_allclose(*x, rtol=1e-13)
    for case, settings in ((problem, {}), (free, {"mirror": adaptive})):
        with pytest.raises(ValueError, match="^x_step must be a size"):
            bio_bred(case, x_step=optax.adam(0.1), **settings)
