"""Clipped SGD: the rule in NumPy, what clip does to tails, and what it must not be said to do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.problems import norm_power
from upperhand.solvers.single import clipped_sgd

UPDATES = 25


def followed(solver, problem, updates=UPDATES):
    """First state, states after each update, stacked, and the keys."""
    keys = jax.random.split(jax.random.key(4), updates)
    body = lambda state, key: (lambda out: (out[0], out))(solver.update(key, state))  # noqa: E731
    first = solver.init(*problem.init(jax.random.key(0)))
    states, infos = jax.jit(lambda state: jax.lax.scan(body, state, keys)[1])(first)
    return first, states, infos, keys


@pytest.mark.parametrize(("holder", "batch"), [(1.0, 1), (0.5, 3)])
def test_it_is_the_rule_written_in_numpy(holder, batch):
    problem = norm_power(holder=holder, numbers=3)
    solver = clipped_sgd(problem, steps=UPDATES, x_step=(0.2, 0.05), clip=(4.0, 1.0), batch=batch)
    first, states, infos, keys = followed(solver, problem)
    drawn = jax.vmap(problem.draw, (0, None))
    noises = [drawn(k[None] if batch == 1 else jax.random.split(k, batch), first.x).mean(0) for k in keys]
    z, seen, cut = np.asarray(first.x), [], 0
    for k, noise in enumerate(noises):
        seen.append(z)
        d = z * np.linalg.norm(z) ** (holder - 1) + np.asarray(noise)
        np.testing.assert_allclose(
            infos.hypergradient[k], d, rtol=1e-6, atol=1e-6
        )  # two ends are joined in single precision
        np.testing.assert_allclose(states.x[k], np.mean(seen, 0), rtol=1e-6, atol=1e-6)
        bound, size = 4.0 * 0.25 ** (k / UPDATES), 0.2 * 0.25 ** (k / UPDATES)
        cut += np.linalg.norm(d) > bound
        z = z - size * min(1, bound / np.linalg.norm(d)) * d
        np.testing.assert_allclose(states.z[k], z, rtol=1e-6, atol=1e-6)
    assert 3 < cut < UPDATES


def test_an_infinite_clip_is_none():
    problem = norm_power(numbers=3)
    plain = followed(clipped_sgd(problem, clip=float("inf")), problem)[1]
    large = followed(clipped_sgd(problem, clip=1e12), problem)[1]
    np.testing.assert_array_equal(plain.x, large.x)
    np.testing.assert_array_equal(plain.z, large.z)
    assert jnp.abs(plain.x - followed(clipped_sgd(problem, clip=1.0), problem)[1].x).max() > 1e-3
