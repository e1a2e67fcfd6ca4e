"""The ridge critic against NumPy's normal equations, and where its answer is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.policy_gradients.text_critic import critic, taught, values
from upperhand.texts import Reading


def reading(rng, size=5, length=4, width=3):
    lengths = rng.integers(1, length + 1, size)
    alive = (np.arange(length)[None] < lengths[:, None]).astype(float)
    hidden = rng.normal(size=(size, length + 1, width))
    return Reading(*map(jnp.asarray, (alive.astype(int), alive, hidden, hidden, np.zeros((size, length, 6)))))


def rows_of(batch):
    """(features, text, position) of every living position, by loops."""
    size, length = batch.alive.shape
    return [
        (np.concatenate([batch.hidden[b, t], np.eye(length)[t]]), b, t)
        for b in range(size)
        for t in range(length)
        if batch.alive[b, t]
    ]


@pytest.mark.parametrize("weighted", [False, True])
def test_it_solves_averaged_normal_equations(weighted):
    """Three batches, keep ½: weights ½, ¼, ⅛ over ⅞, each a sum over positions, a mean over texts."""
    rng = np.random.default_rng(0)
    known, gram, target = critic(3, 4, keep=0.5, ridge=0.1), np.zeros((7, 7)), np.zeros(7)
    for weight in (1 / 8, 1 / 4, 1 / 2):
        batch, returns = reading(rng), rng.normal(size=(5, 4))
        q = rng.dirichlet(np.ones(5)) if weighted else np.full(5, 0.2)
        known = taught(known, batch, jnp.asarray(returns), jnp.asarray(q) if weighted else None)
        for row, b, t in rows_of(batch):
            gram += weight * q[b] * np.outer(row, row) / (7 / 8)
            target += weight * q[b] * returns[b, t] * row / (7 / 8)
    solution = np.linalg.solve(gram + 0.1 * np.eye(7), target)
    np.testing.assert_allclose(known.solution, solution, rtol=1e-10)
    new = reading(rng)
    wanted = np.zeros((5, 4))
    for row, b, t in rows_of(new):
        wanted[b, t] = row @ solution
    np.testing.assert_allclose(values(known, new), wanted, atol=1e-12)


def test_it_expects_nothing_at_first_and_then_what_is_left():
    """A reward of 1 a position, all texts of length 4: V_t = 4 − t, up to the ridge."""
    rng = np.random.default_rng(1)
    known = critic(3, 4, keep=0.9, ridge=1e-8)
    batch = reading(rng, size=40)._replace(alive=jnp.ones((40, 4)))
    np.testing.assert_array_equal(values(known, batch), np.zeros((40, 4)))
    left = np.broadcast_to([4.0, 3, 2, 1], (40, 4))
    known = taught(known, batch, jnp.asarray(left))
    np.testing.assert_allclose(values(known, batch), left, atol=1e-5)


@pytest.mark.parametrize("setting", [{"keep": 1.0}, {"keep": -0.1}, {"ridge": 0.0}, {"ridge": float("nan")}])
def test_other_settings_are_refused(setting):
    with pytest.raises(ValueError, match="keep"):
        critic(3, 4, **setting)
