"""ASBiO-BreD: its updates in NumPy, with one set of samples and of k for both points; restarts; cost."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from bred_by_hand import averaged, drawn, soft

from contract import light
from upperhand.problems import noisy_lasso
from upperhand.solvers import asbio_bred
from upperhand.wrappers import vmapped

TERMS, L, SIZE = 4, 3.0, 0.2


def solver(problem):
    settings = {"terms": TERMS, "smoothness": L, "x_step": SIZE, "y_step": 0.1}
    return asbio_bred(problem, batch=(4, 2), restart=3, **settings)


def test_updates_in_numpy():
    """Seven updates of two seeds side by side: afresh at 0, 3 and 6 from two rounds of two draws, else the difference
    of means at both points. Mapped, so that loops of traced length are held to it too."""
    problem = noisy_lasso()
    made = vmapped(solver(problem))
    xs, ys = np.random.default_rng(0).normal(size=(2, 2, 10))
    state, update = made.init(jnp.asarray(xs), jnp.asarray(ys)), light(made.update)
    told = []
    for t in range(7):
        state, info = update(jax.random.split(jax.random.key(t), 2), state)
        told.append((state, info))
    for seed, (x, y) in enumerate(zip(xs, ys, strict=True)):
        before, d, n = (x, y), 0.0, 0.0
        for t, (state, info) in enumerate(told):
            key, points = jax.random.split(jax.random.key(t), 2)[seed], 1 if t % 3 == 0 else 2
            rounds = range(2 if t % 3 == 0 else 1)
            keys = [each for r in rounds for each in jax.random.split(jax.random.fold_in(key, r), 2)]
            batch = [drawn(problem, each, TERMS, jnp.asarray(x), jnp.asarray(y)) for each in keys]
            dx, dy = averaged(batch, TERMS, L, x, y)
            if t % 3:
                old_dx, old_dy = averaged(batch, TERMS, L, *before)
                dx, dy = d + dx - old_dx, n + dy - old_dy
            before, d, n = (x, y), dx, dy
            x, y = soft(x - SIZE * dx, SIZE * 0.3), y - 0.1 * dy
            for found, wanted in ((info.hypergradient, d), (state.x, x), (state.y, y)):
                np.testing.assert_allclose(found[seed], wanted, rtol=1e-10, atol=1e-12)
            spent = [float(part[seed]) for part in info.cost]
            wanted = [len(keys) * (1 + TERMS), 3 * points * len(keys), points * sum(k + 1 for k, _, _ in batch)]
            assert spent == wanted


def test_the_large_batch_is_a_multiple_of_the_small_one():
    with pytest.raises(ValueError, match=r"^batch must be a multiple.*got \(10, 4\)"):
        asbio_bred(noisy_lasso(), batch=(10, 4))
