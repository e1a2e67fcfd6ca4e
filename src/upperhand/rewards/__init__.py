"""From x to the reward that the agent sees."""

from upperhand.rewards.goal import bumps as bumps
from upperhand.rewards.goal import goal as goal
from upperhand.rewards.goal import weighted_goals as weighted_goals
from upperhand.rewards.incentives import added as added
from upperhand.rewards.incentives import spent as spent
from upperhand.rewards.incentives import taxed_goal as taxed_goal
from upperhand.rewards.quadratic import quadratic as quadratic
from upperhand.rewards.table import reward_gradients as reward_gradients
from upperhand.rewards.table import reward_table as reward_table
