"""Methods for a BilevelRL, one file each."""

from upperhand.solvers.rl.actor_critic import actor_critic as actor_critic
from upperhand.solvers.rl.actor_critic_paper import actor_critic_paper as actor_critic_paper
from upperhand.solvers.rl.expected_actor_critic import expected_actor_critic as expected_actor_critic
