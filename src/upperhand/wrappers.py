"""Solver → Solver: what changes how a method is run, not what it does."""

import jax

from upperhand.solver import Solver


def vmapped(solver: Solver) -> Solver:
    """The method over a leading axis of seeds: of x, theta, state and keys, and of what it tells.

    Args:
      solver: a method on one problem.
    Returns: Solver; every leaf of state and info has a leading axis [N]. One seed's numbers may differ from its single
      run by rounding.
    Cost: that of N seeds.
    """
    return Solver(jax.vmap(solver.init), jax.vmap(solver.update))
