"""The sampled zero-order method: both points see the same random numbers; it goes downhill."""

import jax
import numpy as np
import optax
import pytest
from test_expected_actor_critic import corner
from test_hpgd import downhill

from probes import constant
from upperhand.hypergradients.directions import direction
from upperhand.solvers.rl import zero_order


def estimates(radius, many=400):
    """Many dx of `constant` at its first x, and their directions Z, [many, 2] each."""
    problem, tau, *_ = constant()
    x, y = problem.init(jax.random.key(0))
    settings = {"batch": (16, 30), "sweeps": 1, "x_step": optax.set_to_zero(), "temperature": tau}
    solver = zero_order(problem, radius=radius, **settings)
    dx = lambda key: solver.update(key, solver.init(x, y))[1].hypergradient  # noqa: E731
    z = lambda key: direction(jax.random.split(key)[0], x)  # noqa: E731
    keys = jax.random.split(jax.random.key(3), many)
    return tuple(np.asarray(jax.jit(jax.vmap(function))(keys)) for function in (dx, z))


@pytest.mark.parametrize("radius", [1e-3, 1.0])
def test_both_points_see_the_same_random_numbers(radius):
    """Where the reward does not know x both policies are one, and Û+ − Û− = 2h (x − Cᵀp̂)·Z whatever h.

    So (dx·Z)/‖Z‖² = (x − Cᵀp̂)·Z: linear in Z to the noise of p̂ alone, of some 0.1. With random numbers of their own
    the returns would differ by that noise over h, which is some 100 at h = 0.001.
    """
    dx, z = estimates(radius)
    slope = (dx * z).sum(1) / (z**2).sum(1)
    probe = constant()
    wanted = z @ probe.hypergradient(np.array([1.5, -1.0]))
    assert np.std(wanted) > 1
    off = slope - wanted
    assert 0.005 < np.std(off) < 0.5 and abs(off.mean()) < 5 * np.std(off) / np.sqrt(len(off))


def test_it_ends_near_the_best_goal():
    """As for hpgd, 400 updates of 2·50·100 transitions: within 0.02."""
    solver = zero_order(corner(), steps=400, temperature=0.05, x_step=0.2, batch=(50, 100), sweeps=60)
    found, before = downhill(solver, 400)
    assert (before > 0.5).all() and (found < 0.02).all(), found
