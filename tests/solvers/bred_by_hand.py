"""The estimator E6 and soft thresholds in NumPy, on problems whose derivatives are written out: noisy_lasso."""

from functools import lru_cache

import jax
import numpy as np

CURVATURE, TARGET = np.linspace(1, 2, 10), np.linspace(-2, 2, 10)  # of noisy_lasso


def soft(v, threshold):
    return np.where(v > threshold, v - threshold, np.where(v < -threshold, v + threshold, 0.0))


@lru_cache
def program(problem, terms):
    """One compiled program for the random numbers of one estimate."""

    def draw(key, x, y):
        key_upper, key_lower, key_k = jax.random.split(key, 3)
        below = [problem.draw_lower(jax.random.fold_in(key_lower, i), x, y) for i in range(terms)]
        return jax.random.randint(key_k, (), 0, terms), problem.draw_upper(key_upper, x, y), below

    return jax.jit(draw, compiler_options={"xla_backend_optimization_level": 0})


def drawn(problem, key, terms, x, y):
    """k, u′ and (u, e) of every ζ, from the key of an estimate."""
    k, above, below = jax.tree.map(np.asarray, program(problem, terms)(key, x, y))
    return int(k), above, below


def estimated(numbers, terms, L, x, y):
    """(dx, dy) of E6: all Hessians are diagonal, ∇²_yy = a (1 + u) and ∇²_xy = −a (1 + u)."""
    k, above, below = numbers
    z = terms / L * (1 + above) * (y - TARGET)
    for u, _ in below[1 : k + 1]:
        z = z - CURVATURE * (1 + u) * z / L
    u, e = below[0]
    return CURVATURE * (1 + u) * z, CURVATURE * (1 + u) * (y - x) + e


def averaged(batch, terms, L, x, y):
    """The mean of E6 over a list of random numbers."""
    each = [estimated(numbers, terms, L, x, y) for numbers in batch]
    return np.mean([dx for dx, _ in each], 0), np.mean([dy for _, dy in each], 0)
