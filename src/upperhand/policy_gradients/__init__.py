"""From a reward to values, occupancies and policies."""

from upperhand.policy_gradients.soft import Soft as Soft
from upperhand.policy_gradients.soft import policy_iteration as policy_iteration
from upperhand.policy_gradients.soft import value_iteration as value_iteration
