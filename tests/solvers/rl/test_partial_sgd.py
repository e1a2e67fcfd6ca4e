"""Partial SGD: no move by one bit where upper has no x of its own; else the root of its direct derivative."""

import jax
import numpy as np
import pytest

from probes import bandit, through_policy, two_states
from upperhand.run import run, seed_key
from upperhand.solvers.rl import expected_partial_sgd, partial_sgd

BUILDERS = pytest.mark.parametrize("build", [partial_sgd, expected_partial_sgd])


def end(build, probe, steps, **settings):
    solver, key = build(probe.problem, steps=steps, temperature=probe.tau, **settings), seed_key(0)
    state = jax.jit(solver.init)(*probe.problem.init(key))
    return state.x, run(solver, key, state, steps=steps, every=steps).x


@BUILDERS
def test_it_does_not_move_where_upper_has_no_x_of_its_own(build):
    """Φ of `through_policy` depends on x through the policy only, and its hypergradient at the start is not 0."""
    probe = through_policy()
    start, x = end(build, probe, 50)
    assert np.asarray(start).tobytes() == np.asarray(x).tobytes()
    assert abs(probe.hypergradient(np.asarray(start))) > 0.1


@BUILDERS
@pytest.mark.parametrize("rung", [bandit, two_states])
def test_it_ends_where_its_direct_derivative_is_zero_and_not_at_the_minimiser(build, rung):
    """The cost is ½‖x − m‖² and u knows no x: it ends at m, which is x* less the part through the policy."""
    probe = rung()
    m = -np.asarray(jax.grad(probe.problem.upper.cost)(np.zeros_like(probe.x_star)))
    _, x = end(build, probe, 2000, x_step=(0.05, 0.001))
    np.testing.assert_allclose(x, m, atol=2e-3)
    assert np.linalg.norm(m - probe.x_star) > 0.05
