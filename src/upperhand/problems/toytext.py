"""Bonuses and tolls that make a selfish agent of Gymnasium's toy-text worlds serve a designer, who pays for them.

    r_x(s, a) = scale · r₀(s, a) + most · x(cell(s))               x ∈ [−1, 1]^cells
    upper     = −worth · E Σ γᵗ ( u(s, a) − price · most · x(cell(s))² )

r₀ is the world's own reward; scale and worth bring three worlds to one temperature and one penalty weight. A bonus is
paid, and a toll is collected at the same expense, where the agent is; what nobody meets costs nothing.

* frozen_lake: the agent hurries over the ice to a present worth 100 and risks a hole. The designer runs the rescue: a
  fall costs her 100, and she would rather have it walk where no hole is near. Her loss is told in tens.
* cliff_walking: the agent takes the shortest way, along the edge of the cliff. The designer owns the edge, and every
  step on it costs her as much as a step costs the agent.
* taxi: the agent drives the shortest way, through the centre. The designer lives there, and every step of a taxi in
  the nine cells of the centre costs her as much as it costs the driver.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from upperhand.forms import BilevelRL, Exact, Return
from upperhand.hypergradients.exact import exact
from upperhand.mdps.mdp import MDP
from upperhand.mdps.toytext import toytext_world
from upperhand.policies.softmax import softmax
from upperhand.problems.four_rooms import cell_visits
from upperhand.rewards.incentives import added
from upperhand.schedule import nonnegative
from upperhand.types import Scalar


class World(NamedTuple):
    """What is known of a toy-text world besides its table."""

    name: str  # Gymnasium's
    options: dict  # of the table
    scale: float  # of its own reward, so that one temperature fits all
    worth: float  # of a unit of the agent's in the upper loss
    shape: tuple[int, int]  # rows and columns of cells
    inside: int  # states that share a cell; state // inside is the cell
    moves: tuple[tuple[int, int], ...]  # change of (row, column) by the first four actions
    goals: tuple[tuple[int, int], ...]  # cells (row, column)


WORLDS = {
    "frozen_lake": World(
        "FrozenLake", {"map_name": "8x8"}, 100.0, 0.1, (8, 8), 1, ((0, -1), (1, 0), (0, 1), (-1, 0)), ((7, 7),)
    ),
    "cliff_walking": World("CliffWalking", {}, 1.0, 1.0, (4, 12), 1, ((-1, 0), (0, 1), (1, 0), (0, -1)), ((3, 11),)),
    "taxi": World(
        "Taxi", {}, 1.0, 1.0, (5, 5), 20, ((1, 0), (-1, 0), (0, 1), (0, -1)), ((0, 0), (0, 4), (4, 0), (4, 3))
    ),
}


def toytext(
    *,
    world: Literal["frozen_lake", "cliff_walking", "taxi"] = "cliff_walking",
    price: float = 1.0,
    most: float = 1.0,
    spread: float = 0.1,
    discount: float = 0.99,
    temperature: float = 0.2,
) -> BilevelRL:
    """Set bonuses and tolls in a toy-text world, x ∈ [−1, 1]^cells.

    Args:
      world: frozen_lake (8x8, slippery: 64 cells), cliff_walking (48) or taxi (25).
      price: of incentives, per unit that is paid or collected where they are at `most`.
      most: largest bonus or toll a step, in units of reward; a step costs the agent 1 on the cliff and in the taxi.
      spread: standard deviation of the first x around 0.
      discount: γ in [0, 1), per step.
      temperature: τ at which the oracle judges, in units of reward; well below 0.5, lest wandering pays.
    Returns: BilevelRL with its oracle; no best x is known.
    Raises: ValueError for an unknown world, for numbers out of their range, and where Gymnasium is not installed.
    """
    if world not in WORLDS:
        raise ValueError(f"world must be one of {', '.join(WORLDS)}: got {world!r}.")
    for name, value in (("most", most), ("temperature", temperature)):
        if not 0 < value < float("inf"):
            raise ValueError(f"{name} must be a finite number above 0: got {value!r}.")
    for name, value in (("price", price), ("spread", spread)):
        nonnegative(name, value)
    about = WORLDS[world]
    mdp, own = toytext_world(about.name, discount=discount, options=about.options)
    cell, interest = np.arange(mdp.states) // about.inside, _interest(world, mdp, own)
    policy, cells = softmax(mdp.states, mdp.actions), about.shape[0] * about.shape[1]

    def u(x, s, a) -> Scalar:
        paid = price * most * x[jnp.asarray(cell, jnp.int32)[s]] ** 2
        return about.worth * (jnp.asarray(interest, x.dtype)[s, a] - paid)

    def within(x):
        return jnp.clip(x, -1.0, 1.0)

    problem = BilevelRL(
        mdp=mdp,
        reward=added(about.scale * own, cell, most),
        policy=policy,
        upper=Return(u, lambda x: jnp.zeros((), x.dtype)),
        init=lambda key: (within(spread * jax.random.normal(key, (cells,))), policy.init(key)),
        project_x=within,
    )
    oracle = exact(problem, temperature=temperature)
    return problem._replace(exact=oracle, maps=lambda xs: _maps(problem, oracle, xs, world, interest, most))


def _interest(world: str, mdp: MDP, own: np.ndarray) -> np.ndarray:
    """The designer's interest [S, A], in the scaled units of the agent."""
    if world == "frozen_lake":  # an end pays 1 with the present, else it is a fall
        return -WORLDS[world].scale * (mdp.ending - own) * _stood_on(mdp)[:, None]
    row, column = np.divmod(np.arange(mdp.states) // WORLDS[world].inside, WORLDS[world].shape[1])
    unwanted = row == 2 if world == "cliff_walking" else (abs(row - 2) <= 1) & (abs(column - 2) <= 1)
    return -np.repeat(unwanted[:, None], mdp.actions, 1).astype(float)


def _stood_on(mdp: MDP) -> np.ndarray:
    """Whether an episode can go on from a state [S]."""
    found = mdp.start > 0
    found[mdp.successor[mdp.probability > 0]] = True
    return found


def _maps(problem: BilevelRL, oracle: Exact, xs: ArrayLike, world: str, interest: np.ndarray, most: float) -> dict:
    """What the report draws, rows downwards; cells that nobody can stand on are drawn as walls."""
    mdp, about = problem.mdp, WORLDS[world]
    cells = about.shape[0] * about.shape[1]
    cell = np.arange(mdp.states) // about.inside
    closed = ~_stood_on(mdp).reshape(cells, -1).any(-1).reshape(about.shape)
    closed[tuple(np.transpose(about.goals))] = False
    visits, greedy = cell_visits(problem, oracle, xs, cell, moves=4)
    grid, paid = (-1, *about.shape), most * np.asarray(xs, np.float64)
    return {
        "reward": paid.reshape(grid),
        "occupancy": visits.reshape(grid),
        "greedy": greedy.reshape(grid),
        "payment": paid.reshape(grid),
        "upper_reward": interest.mean(-1).reshape(cells, -1).mean(-1).reshape(about.shape),
        "moves": np.array(about.moves),
        "walls": np.argwhere(closed),
        "start": np.bincount(cell, mdp.start, cells).reshape(about.shape),
        "goals": np.array(about.goals),
        "rows_down": np.asarray(1),
    }
