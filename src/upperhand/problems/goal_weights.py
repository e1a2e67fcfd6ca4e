"""How should a budget of reward be spread over a grid? World and designer of goal_placement, one weight a cell.

r_x(s) = budget · softmax(x)(s)        x ∈ R^S
upper  = −(1 − γ) E Σ γᵗ u(s) + pull ‖x‖²
"""

from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import BilevelRL
from upperhand.hypergradients.enumeration import polished
from upperhand.hypergradients.exact import exact
from upperhand.problems.goal_placement import ENUMERABLE, grid_maps, grid_problem
from upperhand.rewards.goal import weighted_goals


def goal_weights(
    *,
    size: int = 10,
    slip: float = 0.1,
    walls: tuple[tuple[int, int], ...] = (),
    budget: float = 1.0,
    upper_bumps: tuple[tuple[float, float, float, float], ...] = ((7, 2, 1, 1), (5, 5, 1.5, -0.5)),
    pull: float = 1e-5,
    discount: float = 0.95,
    temperature: float = 0.005,
) -> BilevelRL:
    """Spread a budget of reward over a grid, x ∈ R^(size²).

    Args:
      size: cells a side.
      slip: probability that another move happens, in [0, 1].
      walls: cells (i, j) that nobody enters.
      budget: of reward, shared by the cells.
      upper_bumps: the designer's reward, rows (i, j, width, height).
      pull: cost of uneven weights, per squared unit of x.
      discount: γ in [0, 1), per step.
      temperature: τ at which the oracle judges, in units of reward.
    Returns: BilevelRL with its oracle; the best known x, up to 400 states, is the polished best of the spreads that
      favour one cell: a reference, not a proven optimum.
    Raises: ValueError, as `gridworld`, and for a budget or a temperature that is not above 0.
    """
    for name, value in (("budget", budget), ("temperature", temperature)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    problem = grid_problem(size, slip, walls, upper_bumps, discount)
    S = problem.mdp.states
    share = weighted_goals(S)
    problem = problem._replace(
        reward=lambda x, s, a: budget * share(x, s, a),
        upper=problem.upper._replace(cost=lambda x: pull * jnp.sum(x**2)),
        init=lambda key: (jax.random.normal(key, (S,)), problem.policy.init(key)),
    )
    oracle = exact(problem, temperature=temperature)
    if S <= ENUMERABLE:
        candidates = np.concatenate([strength * np.eye(S) for strength in (2.0, 4.0, 6.0)])
        judge = oracle
        oracle = judge._replace(best=lru_cache(maxsize=1)(lambda: polished(judge, candidates, most=3)))
    return problem._replace(exact=oracle, maps=lambda xs: grid_maps(problem, oracle, xs, size, walls))
