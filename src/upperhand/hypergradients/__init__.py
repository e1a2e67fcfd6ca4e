"""From a policy to the derivative of the upper loss in x."""

from upperhand.hypergradients.bellman import bellman as bellman
from upperhand.hypergradients.exact import exact as exact
from upperhand.hypergradients.penalty import penalty as penalty
from upperhand.hypergradients.penalty import two_sided as two_sided
