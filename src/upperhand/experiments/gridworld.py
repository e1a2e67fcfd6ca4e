"""The GridWorld comparison: attenuating against fixed regularisation, partial SGD, nested loops and differences.

Every arm places a goal at the same cost, each tuned with the same trials; the fixed temperature is tuned too, by
factors from 0.1 to 10 of 0.3. A cell for each grid and each width of the goal's reward.

Takes: about 15 minutes on two cores.
Reference: the experiment and its baselines are named in the abstract of Zeng, Bhatt, Ganesh, Koppel, "A Regularized
Actor-Critic Algorithm for Bi-Level Reinforcement Learning", 2026. Its full text was not available to us: the grids, the
two widths, budget and tuning are ours.
"""

from dataclasses import dataclass
from typing import Literal

from upperhand.errors import BadInput
from upperhand.experiments.cell import Cell, Question

ARMS = ("actor_critic", "fixed=actor_critic:temperature=0.3", "partial_sgd", "nested_loop", "finite_difference")
GRIDS = {"open": "open grid", "rooms": "four rooms", "spiral": "spiral", "comb": "comb"}
QUESTION = Question(
    "The GridWorld comparison", "actor_critic", "fixed", "attenuation", "the best tuned fixed temperature"
)


@dataclass(frozen=True)
class Config:
    """What may be asked otherwise."""

    seeds: int = 20  # starts of each arm.
    samples: int = 204_800  # budget of a start, in transitions.
    trials: int = 8  # of tuning, for each arm; 1 for none.
    tuning_seeds: int = 4  # starts of each trial, others than those of the report.
    widths: tuple[float, ...] = (4.0, 1.5)  # of the goal's reward, in cells; a cell of the experiment each.
    mazes: tuple[Literal["open", "rooms", "spiral", "comb"], ...] = ("open", "rooms", "spiral", "comb")  # the grids.
    size: int = 10  # cells a side of the grid.


def build(config: Config) -> dict[str, Cell]:
    """A comparison for each maze and width.

    Args:
      config: of the experiment.
    Returns: name → Cell. Raises: BadInput where a width or a maze is there twice, or none is.
    """
    found = {
        f"{maze}-width-{width:g}": Cell(
            f"{GRIDS[maze]}, width {width:g}",
            "goal_placement",
            {"width": width, "maze": maze, "size": config.size},
            ARMS,
            *(config.samples, config.seeds, config.trials, config.tuning_seeds),
        )
        for maze in config.mazes
        for width in config.widths
    }
    if not found or len(found) < len(config.mazes) * len(config.widths):
        raise BadInput(f"widths and mazes must be different ones, one at least: got {config.widths}, {config.mazes}.")
    return found
