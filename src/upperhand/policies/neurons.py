"""Functions as means over a cloud of neurons: what mean-field methods move, one particle a neuron.

    h(t) = 1/N Σⱼ Ψ(t, Xⱼ)        Ψ(t, X) = bound · tanh(c) tanh(ω·t + b),  X = (ω, b, c) ∈ R^{d+2}

`tanh_neurons` are bounded and smooth, as the theory of mean-field Langevin dynamics wants them; `linear_neurons`,
Ψ(t, X) = X·(1, t), are neither, but have closed forms.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from upperhand.schedule import positive
from upperhand.types import Key


class Neurons(NamedTuple):
    """A kind of neurons."""

    start: Callable[[Key, int, int], Float[Array, "N D"]]  # (key, N, d) → a cloud of N for inputs [B, d]
    network: Callable[[Float[Array, "N D"], Float[Array, "B d"]], Float[Array, " B"]]  # (cloud, t) → h(t)


def tanh_neurons(bound: float = 3.0) -> Neurons:
    """Bounded smooth neurons.

    Args:
      bound: most that |h| can be, above 0.
    Returns: Neurons whose clouds [N, d + 2] begin standard normal. Raises: ValueError for a bound that is not above 0.
    Cost: a call takes N · B · d products and N · B hyperbolic tangents.
    """
    positive("bound", bound)

    def start(key, N, d):
        return jax.random.normal(key, (N, d + 2))

    def network(cloud, t):
        omega, b, c = cloud[:, :-2], cloud[:, -2], cloud[:, -1]
        tanh = cloud.__array_namespace__().tanh  # NumPy's or jax's
        return tanh(t @ omega.T + b[None]) @ (bound * tanh(c)) / len(cloud)

    return Neurons(start, network)


def linear_neurons() -> Neurons:
    """h(t) = m·(1, t) with m the mean of the cloud [N, d + 1], which begins standard normal. Returns: Neurons."""

    def network(cloud, t):
        mean = jnp.mean(cloud, 0)
        return t @ mean[1:] + mean[0]

    return Neurons(lambda key, N, d: jax.random.normal(key, (N, d + 1)), network)
