"""The toy alphabet, judged by people.

Try: joint
"""

import math

from upperhand.forms import BilevelRL, Preference
from upperhand.labelling.people import people
from upperhand.problems.token_game import token_game


def asked_game(*, labels: str | tuple[str, float] = "labels", length: int = 3) -> BilevelRL:
    """Words that people like.

    Args:
      labels: the folder, and seconds if they follow.
      length: tokens a text.
    """
    folder, patience = labels if isinstance(labels, tuple) else (labels, math.inf)
    problem = token_game(letters=3, length=length)
    _, *rest = problem.upper
    return problem._replace(upper=Preference(people(folder, patience=patience, poll=0.02), *rest), exact=None)
