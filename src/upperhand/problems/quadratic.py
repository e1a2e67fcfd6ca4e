"""A quadratic bilevel problem in closed form, with noise in every derivative that a stochastic method asks for.

lower = ½ yᵀA y − yᵀB x        upper = ½ ‖y − c‖² + (reg/2) ‖x‖²        x, y ∈ R^d
y*(x) = M x,  M = A⁻¹B         ∇Φ(x) = Mᵀ(M x − c) + reg x              x* = (MᵀM + reg I)⁻¹ Mᵀc

Try: ma_soba
Reference: ours; the smallest problem on which MA-SOBA (arXiv 2306.12067) can be measured against exact answers.
"""

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import nonnegative, positive, whole


def quadratic(
    *,
    d: int = 5,
    eigenvalues: tuple[float, float] = (1.0, 3.0),
    reg: float = 0.5,
    noise: float = 0.0,
    spread: float = 0.0,
    seed: int = 0,
) -> Bilevel:
    """A random quadratic problem.

    Args:
      d: numbers in x and in y.
      eigenvalues: the least and the largest of A; the others lie evenly between.
      reg: weight of ½‖x‖², above 0.
      noise: σ of the noise, see `noisy`; 0 for none.
      spread: standard deviation of each number of x at the start; y starts at 0.
      seed: of the problem: eigenvectors of A, B with entries N(0, 1/d), c with entries N(0, 1).
    Returns: Bilevel with its oracle, x and y [d]. Raises: ValueError for a setting out of its range.
    """
    whole("d", (d,), 1)
    positive("reg", reg)
    if len(eigenvalues) != 2 or not 0 < eigenvalues[0] <= eigenvalues[1] < float("inf"):
        raise ValueError(f"eigenvalues must be two finite numbers above 0, the least first: got {eigenvalues!r}.")
    nonnegative("spread", spread)
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(d, d)))[0]
    curvature = rotation @ np.diag(np.linspace(*eigenvalues, d)) @ rotation.T
    pull, c = random.normal(size=(d, d)) / np.sqrt(d), random.normal(size=d)
    follow = np.linalg.solve(curvature, pull)
    bend = follow.T @ follow + reg * np.eye(d)
    x_star = np.linalg.solve(bend, follow.T @ c)
    like = lambda x, table: jnp.asarray(table, x.dtype)  # noqa: E731

    def upper(x, y, batch):
        return jnp.sum((y - like(y, c)) ** 2) / 2 + reg / 2 * jnp.sum(x**2)

    def lower(x, y, batch):
        return jnp.vdot(y, like(y, curvature) @ y) / 2 - jnp.vdot(y, like(y, pull) @ x)

    def solution(x):
        return like(x, follow) @ x

    oracle = truth(
        solution,
        lambda x: upper(x, solution(x), None),
        lambda x: like(x, bend) @ x - like(x, follow.T @ c),
        lambda: (x_star, float(np.sum((follow @ x_star - c) ** 2) / 2 + reg / 2 * np.sum(x_star**2))),
    )
    init = lambda key: (spread * jax.random.normal(key, (d,)), jnp.zeros(d))  # noqa: E731
    return noisy(Bilevel(init, upper, lower, exact=oracle), noise)


def noisy(problem: Bilevel, noise: float) -> Bilevel:
    """The problem with fresh normal noise in every batch, right at the point where the batch is drawn.

    ∂ₓ upper, ∂_y upper, ∂_y lower: N(0, σ²) on each entry
    ∇²_yy lower (symmetric), ∇²_xy lower: N(0, (σ/d)²) on each entry, d the numbers in y

    A batch of lower adds ⟨n, y⟩ + ½ (y − y₀)ᵀH(y − y₀) + (x − x₀)ᵀC(y − y₀) to it, (x₀, y₀) the point it was drawn at:
    so the noise of second derivatives is not in the gradient there. Away from (x₀, y₀) it is.

    Args:
      problem: without batches; x and y are vectors.
      noise: σ, at least 0.
    Returns: the problem; a batch is one example. Raises: ValueError for noise below 0.
    """
    nonnegative("noise", noise)
    if noise == 0:
        return problem

    def draw_upper(key, x, y):
        return noise * jax.random.normal(key, (x.size + y.size,), x.dtype)

    def draw_lower(key, x, y):
        keys = jax.random.split(key, 3)
        sizes = (y.size,), (y.size, y.size), (x.size, y.size)
        n, square, cross = (
            noise * jax.random.normal(key, size, x.dtype) for key, size in zip(keys, sizes, strict=True)
        )
        return x, y, n, (jnp.tril(square) + jnp.tril(square, -1).T) / y.size, cross / y.size

    def upper(x, y, batch):
        return problem.upper(x, y, None) + jnp.vdot(batch, jnp.append(x, y))

    def lower(x, y, batch):
        x_drawn, y_drawn, n, square, cross = batch
        away = y - y_drawn
        bent = jnp.vdot(away, square @ away) / 2 + jnp.vdot(x - x_drawn, cross @ away)
        return problem.lower(x, y, None) + jnp.vdot(n, y) + bent

    return problem._replace(upper=upper, lower=lower, draw_upper=draw_upper, draw_lower=draw_lower, drawn=(1, 1))
