"""From parameters to a policy."""

from upperhand.policies.softmax import Policy as Policy
from upperhand.policies.softmax import softmax as softmax
