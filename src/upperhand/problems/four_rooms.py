"""Where should taxes stand, so that an agent on its way to its own goal passes through the designer's cell?

    r_x(s) = 1 at the goal, else −budget · softmax(x)(cell(s))                     x ∈ R^105
    upper  = −E Σ γᵗ ( 1{cell(s) = (8, 4)} − cost · 1{s is the goal} · ‖taxes‖₁ )

Reference: HPGD, "Contextual Bilevel Reinforcement Learning", NeurIPS 2024, arXiv 2406.01575, the Four Rooms experiment
(from the authors' code). Here an episode draws its goal with its first state, and model and rollouts share one kernel.
‖taxes‖₁ counts the share that lies on the goal's own cell, as their reported values do.
"""

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from upperhand.forms import BilevelRL, Exact, Return
from upperhand.hypergradients.exact import exact
from upperhand.mdps.four_rooms import CELLS, MAP, MOVES, WALLS, four_rooms_world, number
from upperhand.policies.softmax import softmax
from upperhand.policy_gradients.linear import dense, is_small, occupancy, sweeps
from upperhand.rewards.incentives import spent, taxed_goal
from upperhand.schedule import nonnegative
from upperhand.types import Scalar

TARGET = (8, 4)
"""The cell (row, column) that the designer wants visited."""


def four_rooms(
    *,
    goals: tuple[tuple[int, int], ...] = ((1, 9), (11, 11)),
    cost: float = 3.0,
    budget: float = 0.2,
    slip: float = 0.44,
    spread: float = 0.01,
    discount: float = 0.99,
    temperature: float = 0.005,
) -> BilevelRL:
    """Tax the cells of four rooms, x ∈ R^105: a weight a cell, and one for the budget that is not spent.

    Args:
      goals: cells (row, column) that agents walk to, equally likely.
      cost: of the taxes to the designer, per unit, charged where the goal is reached.
      budget: of taxes, in units of reward.
      slip: probability that another move happens, in [0, 1]; 0.33 is the classical world.
      spread: standard deviation of the first x around 0.
      discount: γ in [0, 1), per step.
      temperature: τ at which the oracle judges, in units of reward; published at 0.001, 0.003 and 0.005.
    Returns: BilevelRL with its oracle; no best x is known. With Φ = −V, published values V are negated.
    Raises: ValueError, as `four_rooms_world`, and for a number that is not above 0 (cost, spread: below 0).
    """
    for name, value in (("budget", budget), ("temperature", temperature)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    for name, value in (("cost", cost), ("spread", spread)):
        nonnegative(name, value)
    mdp, C = four_rooms_world(goals=goals, slip=slip, discount=discount), len(CELLS)
    is_goal, cell = mdp.ending[:, 0] == 1, np.arange(mdp.states) % C
    is_target, policy = cell == number(TARGET), softmax(mdp.states, mdp.actions)

    def u(x, s, a) -> Scalar:
        hit, end = (jnp.asarray(where, x.dtype)[s] for where in (is_target, is_goal))
        return hit - cost * end * spent(x, budget)

    problem = BilevelRL(
        mdp=mdp,
        reward=taxed_goal(cell, is_goal, budget),
        policy=policy,
        upper=Return(u, lambda x: jnp.zeros((), x.dtype)),
        init=lambda key: (spread * jax.random.normal(key, (C + 1,)), policy.init(key)),
    )
    oracle = exact(problem, temperature=temperature)
    return problem._replace(exact=oracle, maps=lambda xs: _maps(problem, oracle, xs, cost, budget))


def _maps(problem: BilevelRL, oracle: Exact, xs: ArrayLike, cost: float, budget: float) -> dict:
    """What the report draws: the copies of the rooms laid over one another, rows downwards."""
    mdp, C = problem.mdp, len(CELLS)
    cell, goals = np.arange(mdp.states) % C, np.flatnonzero(mdp.ending[:, 0]) % C
    visits, greedy = cell_visits(problem, oracle, xs, cell)
    with jax.enable_x64(True):
        xs = jnp.asarray(np.asarray(xs), jnp.float64)
        taxes = -budget * np.asarray(jax.nn.softmax(xs))[:, :-1]
    paid = np.zeros(C)
    paid[number(TARGET)] = 1
    paid[goals] += cost * taxes.sum(-1).mean()
    return {
        "reward": on_map(taxes),
        "occupancy": on_map(visits),
        "greedy": on_map(greedy),
        "upper_reward": on_map(paid[None])[0],
        "payment": on_map(taxes),
        "moves": MOVES,
        "walls": WALLS,
        "start": on_map(np.bincount(cell, mdp.start)[None])[0],
        "goals": CELLS[goals],
        "rows_down": np.asarray(1),
    }


def cell_visits(
    problem: BilevelRL, oracle: Exact, xs: ArrayLike, cell: np.ndarray, *, moves: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Where the agent of each found x spends its time, and the move it makes there most.

    Args:
      xs: [N, dx].
      cell: [S] number of the cell of each state.
      moves: actions that count as moves, the first ones; all where not given.
    Returns: shares of time [N, cells], actions [N, cells]. Host code, float64.
    """
    mdp, cells = problem.mdp, int(cell.max()) + 1
    resolvent = dense if is_small(mdp) else sweeps()

    def one(x):
        mu = occupancy(mdp, oracle.lower_solution(x, oracle.temperature), resolvent)
        mu = jnp.zeros((cells, mdp.actions)).at[cell].add(mu)
        return jnp.sum(mu, -1) / jnp.sum(mu), mu[:, :moves].argmax(-1)

    with jax.enable_x64(True):
        xs = jnp.asarray(np.asarray(xs), jnp.float64)
        return tuple(map(np.asarray, jax.jit(lambda xs: jax.lax.map(one, xs))(xs)))


def on_map(numbers: ArrayLike) -> np.ndarray:
    """Numbers a cell [N, 104] on the map [N, 13, 13], 0 in the walls."""
    numbers = np.asarray(numbers)
    drawn = np.zeros((len(numbers), *MAP.shape), numbers.dtype)
    drawn[:, CELLS[:, 0], CELLS[:, 1]] = numbers
    return drawn
