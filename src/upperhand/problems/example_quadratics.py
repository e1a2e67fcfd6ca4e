"""Quadratic losses that are means over finitely many examples: what the order of examples does, and nothing else.

    lower(x, y; j) = ½ yᵀA_j y − yᵀ(B_j x + b_j)        upper(x, y; i) = ½‖y − c_i‖² + ¼‖x − d_i‖²
    y*(x) = Ā⁻¹(B̄x + b̄)        ∇Φ = ½(x − d̄) + B̄ᵀĀ⁻¹(y* − c̄)        x* = (½I + SᵀS)⁻¹( ½d̄ + Sᵀ(c̄ − s₀) )

with bars for means over the examples, S = Ā⁻¹B̄, s₀ = Ā⁻¹b̄. Every A_j is a fixed diagonal from 1 to 4 with a small
symmetric random matrix on it, the other examples a common mean and standard normal numbers.

Try: wior_bo
Reference: derived, for Li, Huang, "Provably Faster Algorithms for Bilevel Optimization via Without-Replacement
Sampling" (arXiv 2411.05868, NeurIPS 2024); no instance of the paper.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, Examples, truth
from upperhand.schedule import whole


def example_quadratics(*, examples: int = 100, numbers: int = 10, seed: int = 0) -> Bilevel:
    """Find the x whose answer fits all upper examples, with one upper and one lower example a batch.

    Args:
      examples: N, upper ones and lower ones each.
      numbers: of x and of y.
      seed: of the examples, which all starts share.
    Returns: Bilevel with its examples and its oracle; x and y [numbers] begin at 0.
    Raises: ValueError for a size that is not above 0.
    """
    N, size = *whole("examples", (examples,), 1), *whole("numbers", (numbers,), 1)
    random = np.random.default_rng(seed)
    normal = lambda *shape: random.normal(size=shape)  # noqa: E731
    rough = normal(N, size, size) / np.sqrt(size)
    A = np.diag(np.linspace(1, 4, size)) + 0.15 * (rough + rough.transpose(0, 2, 1))
    B = normal(size, size) / np.sqrt(size) + normal(N, size, size) / np.sqrt(size)
    b, c, d = normal(size) + normal(N, size), normal(size) + normal(N, size), normal(N, size)
    A_mean, B_mean, b_mean, c_mean, d_mean = (each.mean(0) for each in (A, B, b, c, d))
    S, S_0 = np.linalg.solve(A_mean, B_mean), np.linalg.solve(A_mean, b_mean)
    best = np.linalg.solve(np.eye(size) / 2 + S.T @ S, d_mean / 2 + S.T @ (c_mean - S_0))
    fit = ((S @ best + S_0 - c_mean) ** 2).sum() / 2 + ((best - d_mean) ** 2).sum() / 4
    spread = ((c - c_mean) ** 2).sum(1).mean() / 2 + ((d - d_mean) ** 2).sum(1).mean() / 4  # of upper, whatever x is

    def some(places, *tables):
        return tuple(jnp.asarray(table, float)[places] for table in tables)

    def lower(x, y, batch):
        each = lambda A, B, b: jnp.vdot(y, A @ y) / 2 - jnp.vdot(y, B @ x + b)  # noqa: E731
        return jnp.mean(jax.vmap(each)(*batch))

    def upper(x, y, batch):
        each = lambda c, d: jnp.sum((y - c) ** 2) / 2 + jnp.sum((x - d) ** 2) / 4  # noqa: E731
        return jnp.mean(jax.vmap(each)(*batch))

    def answer(x):
        return jnp.asarray(S, x.dtype) @ x + jnp.asarray(S_0, x.dtype)

    def value(x):
        away = jnp.sum((answer(x) - jnp.asarray(c_mean, x.dtype)) ** 2) / 2
        return away + jnp.sum((x - jnp.asarray(d_mean, x.dtype)) ** 2) / 4 + spread

    def hypergradient(x):
        away = answer(x) - jnp.asarray(c_mean, x.dtype)
        return (x - jnp.asarray(d_mean, x.dtype)) / 2 + jnp.asarray(S, x.dtype).T @ away

    take_upper = lambda places: some(places, c, d)  # noqa: E731
    take_lower = lambda places: some(places, A, B, b)  # noqa: E731
    return Bilevel(
        init=lambda key: (jnp.zeros(size), jnp.zeros(size)),
        upper=upper,
        lower=lower,
        draw_upper=lambda key, x, y: take_upper(jax.random.randint(key, (1,), 0, N)),
        draw_lower=lambda key, x, y: take_lower(jax.random.randint(key, (1,), 0, N)),
        drawn=(1, 1),
        examples=Examples(N, N, take_upper, take_lower),
        exact=truth(answer, value, hypergradient, lambda: (best, float(fit + spread))),
    )
