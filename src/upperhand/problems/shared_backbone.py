"""A shared backbone W and a head y: the head is fitted to one task, the backbone is judged on another with it.

upper = 1/2m ‖Z₂ W y − t₂‖²              lower = 1/2n ‖Z₁ W y − t₁‖² + ridge/2 (‖y‖² + ‖W‖²)
t₁ = Z₁ W₀ y₀ + noise · e                t₂ = Z₂ W₀ ( y₀ + shift · (1, −1, ½, …) ) + noise · e
y*(W) = ( WᵀZ₁ᵀZ₁W/n + ridge I )⁻¹ WᵀZ₁ᵀt₁/n

At shift 0 both tasks want the same head, so that upper is nearly flat in y where it is small; the more shift, the
steeper.

Try: alt_pbgd
Reference: derived, for the flatness condition of "Efficient Penalty-Based Bilevel Methods: Improved Analysis, Novel
Updates, and Flatness Condition" (arXiv 2511.16796). No best value is known.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.forms import Bilevel, truth
from upperhand.schedule import nonnegative, positive, whole


def shared_backbone(
    *,
    shift: float = 0.0,
    examples: int = 200,
    inputs: int = 20,
    features: int = 3,
    noise: float = 0.1,
    ridge: float = 0.05,
    seed: int = 0,
) -> Bilevel:
    """Train a backbone for a head that another task fits, W ∈ R^(inputs × features).

    Args:
      shift: how far the second task's head is from the first's.
      examples: of each task; both losses are of all of them.
      inputs, features: size of the backbone.
      noise: of both targets, standard deviation.
      ridge: weight of ‖y‖² and ‖W‖² in lower.
      seed: of both tasks, which all starts share.
    Returns: Bilevel with its oracle.
    Raises: ValueError for a setting out of its range.
    """
    for name, value in (("examples", examples), ("inputs", inputs), ("features", features)):
        whole(name, (value,), 1)
    positive("ridge", ridge)
    for name, value in (("shift", shift), ("noise", noise)):
        nonnegative(name, value)
    start = lambda key: (0.3 * jax.random.normal(key, (inputs, features)), jnp.zeros(features))  # noqa: E731
    return backbone(*tasks(shift, examples, inputs, features, noise, seed), ridge)._replace(init=start)


def backbone(Z: Any, t: Any, ridge: float) -> Bilevel:
    """The problem of two tasks, whose arrays may be traced; its own start is of one feature.

    Args:
      Z, t: [2, N, inputs] and [2, N] inputs and targets of the first and of the second task.
      ridge: as above.
    """
    examples = t.shape[1]

    def miss(task, W, y):
        return jnp.sum((jnp.asarray(Z[task], W.dtype) @ W @ y - jnp.asarray(t[task], W.dtype)) ** 2) / (2 * examples)

    def lower(W, y, batch):
        return miss(0, W, y) + ridge / 2 * (jnp.sum(y**2) + jnp.sum(W**2))

    def lower_solution(W):
        seen = jnp.asarray(Z[0], W.dtype) @ W
        curve = seen.T @ seen / examples + ridge * jnp.eye(W.shape[1], dtype=W.dtype)
        return jnp.linalg.solve(curve, seen.T @ jnp.asarray(t[0], W.dtype) / examples)

    def value(W):
        return miss(1, W, lower_solution(W))

    return Bilevel(
        lambda key: (jnp.ones((Z.shape[2], 1)), jnp.ones(1)),
        lambda W, y, batch: miss(1, W, y),
        lower,
        exact=truth(lower_solution, value, jax.grad(value)),
    )


def tasks(
    shift: float, examples: int, inputs: int, features: int, noise: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and targets of both tasks, as `shared_backbone`; the same ones for every shift but for what it adds."""
    random = np.random.default_rng(seed)
    Z = random.normal(size=(2, examples, inputs))
    W, y = random.normal(size=(inputs, features)) / np.sqrt(inputs), random.normal(size=features)
    away = shift * np.resize([1.0, -1.0, 0.5], features)
    heads = np.stack([y, y + away])
    t = np.einsum("ken,nf,kf->ke", Z, W, heads) + noise * random.normal(size=(2, examples))
    return Z, t
