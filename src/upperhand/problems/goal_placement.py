"""Where should the goal stand? An agent walks to it; the designer cares about what it passes on the way.

    r_x(s) = exp(−‖s − x‖² / (2 width²))
    upper  = −(1 − γ) E Σ γᵗ u(s) + pull ‖x − centre‖²        u a sum of bumps, good and bad

Reference: the GridWorld experiment named in the abstract of Zeng, Bhatt, Ganesh, Koppel, "A Regularized Actor-Critic
Algorithm for Bi-Level Reinforcement Learning", 2026. Its full text was not available to us: this instance is our own.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from upperhand.forms import BilevelRL, Exact, Return
from upperhand.hypergradients.enumeration import lattice, polished, values
from upperhand.hypergradients.exact import exact
from upperhand.mdps.gridworld import MOVES, gridworld, positions
from upperhand.mdps.mazes import maze as maze_walls
from upperhand.policies.softmax import softmax
from upperhand.policy_gradients.linear import dense, is_small, occupancy, sweeps
from upperhand.rewards.goal import bumps, goal
from upperhand.rewards.table import reward_table

ENUMERABLE = 400
"""States up to which the best x is found by enumeration, in at most half a minute."""


def goal_placement(
    *,
    size: int = 10,
    slip: float = 0.1,
    maze: Literal["open", "rooms", "spiral", "comb"] = "open",
    walls: tuple[tuple[int, int], ...] = (),
    width: float = 4.0,
    upper_bumps: tuple[tuple[float, float, float, float], ...] = ((7, 2, 1, 1), (5, 5, 1.5, -0.5)),
    pull: float = 0.001,
    discount: float = 0.95,
    temperature: float = 0.005,
) -> BilevelRL:
    """Place a goal in a grid, x ∈ [0, size − 1]².

    Args:
      size: cells a side.
      slip: probability that another move happens, in [0, 1].
      maze: walls of four rooms, of a spiral corridor or of a comb of corridors; open has none.
      walls: further cells (i, j) that nobody enters.
      width: of the goal's reward, in cells.
      upper_bumps: the designer's reward, rows (i, j, width, height).
      pull: cost of leaving the centre, per squared cell.
      discount: γ in [0, 1), per step.
      temperature: τ at which the oracle judges, in units of reward.
    Returns: BilevelRL with its oracle; the best x is known up to 400 states.
    Raises: ValueError, as `gridworld` and `mdps.mazes.maze`, and for a width or a temperature that is not above 0.
    """
    for name, value in (("width", width), ("temperature", temperature)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    walls = (*maze_walls(maze, size), *walls)
    problem = grid_problem(size, slip, walls, upper_bumps, discount)
    cells, far, centre = positions(size), float(size - 1), (size - 1) / 2
    problem = problem._replace(
        reward=goal(cells, width),
        upper=problem.upper._replace(cost=lambda x: pull * jnp.sum((x - centre) ** 2)),
        init=lambda key: (jax.random.uniform(key, (2,), maxval=far), problem.policy.init(key)),
        project_x=lambda x: jnp.clip(x, 0.0, far),
    )
    axis = np.linspace(0, far, min(4 * (size - 1), 36) + 1)  # a quarter of a cell, coarser on large grids
    oracle = exact(problem, temperature=temperature)
    if size**2 > ENUMERABLE:
        return problem._replace(exact=oracle, maps=lambda xs: grid_maps(problem, oracle, xs, size, walls))

    @lru_cache(maxsize=1)
    def landscape():
        return values(oracle, lattice((axis, axis)))

    @lru_cache(maxsize=1)
    def best():
        points = lattice((axis, axis))
        return polished(oracle, points[landscape().argsort()[:8]], bounds=(0.0, far))

    def maps(xs):
        found = {"axis": axis, "landscape": landscape().reshape(len(axis), len(axis))}
        return found | {"best_x": best()[0], "best": best()[1]} | grid_maps(problem, oracle, xs, size, walls)

    return problem._replace(exact=oracle._replace(best=best), maps=maps)


def grid_problem(
    size: int, slip: float, walls: Sequence[Sequence[int]], upper_bumps: Sequence[Sequence[float]], discount: float
) -> BilevelRL:
    """A grid world with half of the starts at (0, 0), and the designer's bumps; no reward, cost or start x yet."""
    mdp = gridworld(size, slip=slip, walls=walls, discount=discount)
    if mdp.start[0] == 0:
        raise ValueError("walls must leave (0, 0) free: half of the agents start there.")
    mdp = mdp._replace(start=(mdp.start + np.eye(1, mdp.states)[0]) / 2)
    u = bumps(positions(size), upper_bumps, scale=1 - discount)
    policy = softmax(mdp.states, mdp.actions)
    return BilevelRL(mdp, None, policy, Return(u, lambda x: jnp.asarray(0.0)), None)


def grid_maps(problem: BilevelRL, oracle: Exact, xs: ArrayLike, size: int, walls: Sequence[Sequence[int]]) -> dict:
    """What the report draws of a grid: for each found x the agent's reward, occupancy and greedy move.

    Args:
      xs: [N, dx], the found x of each seed.
    Returns: arrays by name; the first axis of `reward`, `occupancy`, `greedy` is the seed. Host code, float64.
    """
    mdp, grid = problem.mdp, (-1, size, size)
    resolvent = dense if is_small(mdp) else sweeps()

    def one(x):
        pi = oracle.lower_solution(x, oracle.temperature)
        r = reward_table(problem.reward, x, mdp.states, mdp.actions)
        visits = (1 - mdp.discount) * jnp.sum(occupancy(mdp, pi, resolvent), -1)
        return r.mean(-1), visits, pi.argmax(-1)

    with jax.enable_x64(True):
        xs = jnp.asarray(np.asarray(xs), jnp.float64)
        u = reward_table(problem.upper.reward, xs[0], mdp.states, mdp.actions).mean(-1)
        reward, visits, greedy = jax.jit(lambda xs: jax.lax.map(one, xs))(xs)
    return {
        "reward": np.asarray(reward).reshape(grid),
        "occupancy": np.asarray(visits).reshape(grid),
        "greedy": np.asarray(greedy).reshape(grid),
        "upper_reward": np.asarray(u).reshape(size, size) / (1 - mdp.discount),
        "moves": MOVES,
        "walls": np.asarray(list(walls), int).reshape(-1, 2),
        "start": np.asarray(mdp.start).reshape(size, size),
    }
