"""Problems, each filling the stations with a world, a reward, a policy and an upper objective."""

from upperhand.problems.goal_placement import goal_placement as goal_placement
from upperhand.problems.goal_weights import goal_weights as goal_weights
