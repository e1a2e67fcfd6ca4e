"""Methods for a BilevelRL, one file each."""

from upperhand.solvers.rl.actor_critic import actor_critic as actor_critic
from upperhand.solvers.rl.actor_critic_paper import actor_critic_paper as actor_critic_paper
from upperhand.solvers.rl.expected_actor_critic import expected_actor_critic as expected_actor_critic
from upperhand.solvers.rl.expected_finite_difference import expected_finite_difference as expected_finite_difference
from upperhand.solvers.rl.expected_nested_loop import expected_nested_loop as expected_nested_loop
from upperhand.solvers.rl.expected_parl import expected_parl as expected_parl
from upperhand.solvers.rl.expected_partial_sgd import expected_partial_sgd as expected_partial_sgd
from upperhand.solvers.rl.expected_pbrl import expected_pbrl as expected_pbrl
from upperhand.solvers.rl.expected_zero_order import expected_zero_order as expected_zero_order
from upperhand.solvers.rl.finite_difference import finite_difference as finite_difference
from upperhand.solvers.rl.hpgd import hpgd as hpgd
from upperhand.solvers.rl.implicit import implicit as implicit
from upperhand.solvers.rl.m_sobirl import m_sobirl as m_sobirl
from upperhand.solvers.rl.nested_loop import nested_loop as nested_loop
from upperhand.solvers.rl.parl import parl as parl
from upperhand.solvers.rl.partial_sgd import partial_sgd as partial_sgd
from upperhand.solvers.rl.pbrl import pbrl as pbrl
from upperhand.solvers.rl.zero_order import zero_order as zero_order
