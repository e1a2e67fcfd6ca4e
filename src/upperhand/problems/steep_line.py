"""Upper is steep in y: the least problem on which upper's own partial gradient says nothing of the best x.

upper = steepness · y + x²            lower = (y − x + 1)²        −8 ≤ x, y ≤ 1.5
y*(x) = max(x − 1, −8)                Φ(x) = x² + steepness · y*(x), best at −steepness/2 if from −7 to 1.5

With the default the best x is −5; a method that drops the path of x through y ends at 0.

Try: alt_pbgd
Reference: the authors' counterexample to PBGD-Free, with steepness 10 (authors' code of arXiv 2511.16796).
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth

LEAST, MOST = -8.0, 1.5
"""The box of x and of y."""


def steep_line(*, steepness: float = 10.0) -> Bilevel:
    """Go down a line that only y knows of, x ∈ [−8, 1.5].

    Args:
      steepness: of upper in y.
    Returns: Bilevel with its oracle; x and y are [1].
    Raises: ValueError for a steepness that is not finite.
    """
    if not -np.inf < steepness < np.inf:
        raise ValueError(f"steepness must be a finite number: got {steepness!r}.")

    def upper(x, y, batch):
        return jnp.sum(steepness * y + x**2)

    def lower_solution(x):
        return jnp.maximum(x - 1, LEAST)

    def best():
        x = np.clip([-steepness / 2], LEAST + 1, MOST)
        return x, float(x[0] ** 2 + steepness * (x[0] - 1))

    box = lambda z: jnp.clip(z, LEAST, MOST)  # noqa: E731
    return Bilevel(
        lambda key: (jax.random.uniform(key, (1,), float, LEAST, MOST), jnp.zeros(1)),
        upper,
        lambda x, y, batch: jnp.sum((y - x + 1) ** 2),
        project_x=box,
        project_y=box,
        exact=truth(
            lower_solution,
            lambda x: upper(x, lower_solution(x), None),
            lambda x: 2 * x + jnp.where(x - 1 > LEAST, steepness, 0.0).astype(x.dtype),
            best,
        ),
    )
