"""Worlds, with no reward inside."""

from upperhand.mdps.gridworld import gridworld as gridworld
from upperhand.mdps.mdp import MDP as MDP
from upperhand.mdps.mdp import dense as dense
from upperhand.mdps.mdp import sparse as sparse
