"""Worlds, with no reward inside."""

from upperhand.mdps.four_rooms import four_rooms_world as four_rooms_world
from upperhand.mdps.gridworld import gridworld as gridworld
from upperhand.mdps.mdp import MDP as MDP
from upperhand.mdps.mdp import dense as dense
from upperhand.mdps.mdp import sparse as sparse
from upperhand.mdps.random_world import random_world as random_world
from upperhand.mdps.toytext import toytext_world as toytext_world
