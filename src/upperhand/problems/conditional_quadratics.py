"""Quadratic lower problems, another one for every upper example, each a mean over finitely many lower examples.

    lower(x, y; i, j) = ½ yᵀA_ij y − yᵀ(B_ij x + b_ij)        upper(x, y; i) = ½‖y − c_i‖² + ¼‖x‖²
    y*ᵢ(x) = Āᵢ⁻¹(B̄ᵢx + b̄ᵢ)        ∇Φ = ½x + mean over i of B̄ᵢᵀĀᵢ⁻¹(y*ᵢ − c_i)

with bars for means over the lower examples of i. All are drawn as those of `example_quadratics`, with means of B and
b of its own for each i, and eigenvalues of the diagonal from 1 to 3.

Try: wior_cbo
Reference: derived, for WiOR-CBO of Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via
Without-Replacement Sampling" (arXiv 2411.05868, NeurIPS 2024); no instance of the paper.
"""

import jax.numpy as jnp
import numpy as np

from upperhand.forms import Conditional, truth
from upperhand.schedule import whole


def conditional_quadratics(*, examples: int = 40, conditions: int = 20, numbers: int = 6, seed: int = 0) -> Conditional:
    """Find the x that is best in the mean over all upper examples, each with its own answer.

    Args:
      examples: M, upper ones.
      conditions: n, lower examples of each.
      numbers: of x and of y.
      seed: of the examples, which all starts share.
    Returns: Conditional with its oracle, whose lower solution is [M, numbers]; x and y [numbers] begin at 0.
    Raises: ValueError for a size that is not above 0.
    """
    M, n = *whole("examples", (examples,), 1), *whole("conditions", (conditions,), 1)
    (size,) = whole("numbers", (numbers,), 1)
    random = np.random.default_rng(seed)
    normal = lambda *shape: random.normal(size=shape)  # noqa: E731
    rough = normal(M, n, size, size) / np.sqrt(size)
    A = np.diag(np.linspace(1, 3, size)) + 0.15 * (rough + rough.swapaxes(2, 3))
    B = (normal(M, 1, size, size) + normal(M, n, size, size)) / np.sqrt(size)
    b, c = normal(M, 1, size) + normal(M, n, size), normal(size) + normal(M, size)
    A_mean, B_mean, b_mean = (each.mean(1) for each in (A, B, b))
    S = np.linalg.solve(A_mean, B_mean)  # [M, numbers, numbers]
    S_0 = np.linalg.solve(A_mean, b_mean[:, :, None])[:, :, 0]
    curvature, pull = np.eye(size) / 2 + np.einsum("mij,mik->jk", S, S) / M, np.einsum("mij,mi->j", S, c - S_0) / M
    best = np.linalg.solve(curvature, pull)
    least = ((S @ best + S_0 - c) ** 2).sum() / (2 * M) + (best**2).sum() / 4

    def at(like, table, *places):
        return jnp.asarray(table, like.dtype)[places]

    def lower(x, y, i, j):
        return jnp.vdot(y, at(y, A, i, j) @ y) / 2 - jnp.vdot(y, at(y, B, i, j) @ x + at(y, b, i, j))

    def answers(x):
        return jnp.asarray(S, x.dtype) @ x + jnp.asarray(S_0, x.dtype)

    def away(x):
        return answers(x) - jnp.asarray(c, x.dtype)

    def value(x):
        return jnp.mean(jnp.sum(away(x) ** 2, 1)) / 2 + jnp.sum(x**2) / 4

    return Conditional(
        init=lambda key: (jnp.zeros(size), jnp.zeros(size)),
        upper=lambda x, y, i: jnp.sum((y - at(y, c, i)) ** 2) / 2 + jnp.sum(x**2) / 4,
        lower=lower,
        examples=(M, n),
        exact=truth(
            answers,
            value,
            lambda x: x / 2 + jnp.einsum("mij,mi->j", jnp.asarray(S, x.dtype), away(x)) / M,
            lambda: (best, float(least)),
        ),
    )
