"""Problems, each filling the stations with a world, a reward, a policy and an upper objective."""

from upperhand.problems.four_rooms import four_rooms as four_rooms
from upperhand.problems.goal_placement import goal_placement as goal_placement
from upperhand.problems.goal_weights import goal_weights as goal_weights
from upperhand.problems.random_mdp import random_mdp as random_mdp
from upperhand.problems.token_game import token_game as token_game
from upperhand.problems.toytext import toytext as toytext
