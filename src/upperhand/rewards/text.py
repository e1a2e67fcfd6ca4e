"""Rewards of the tokens of a text: a lexicon, one on a budget, and heads on the reference's last hidden state.

R_x(y) = Σ_t r_x(s_t, a_t), over the positions up to the end token, itself included.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from upperhand.schedule import positive, whole
from upperhand.texts import Reading
from upperhand.types import Key, Tree


class TextReward(NamedTuple):
    """A reward of texts as pure functions."""

    init: Callable[[Key], Tree]  # key → x, at which the reward is 0 everywhere
    tokens: Callable[[Tree, Reading], Float[Array, "B T"]]  # (x, reading) → r_x(s_t, a_t), 0 after the end
    project: Callable[[Tree], Tree]  # x → the nearest allowed x


def lexicon(vocabulary: int) -> TextReward:
    """One weight a token: the reward that can be read.

    r_x(s, a) = x(a)

    Args:
      vocabulary: V. The end token has a weight as any other; it belongs to the last position of a text.
    Returns: TextReward with x [V].
    """
    whole("vocabulary", (vocabulary,), 1)

    def tokens(x, reading):
        return x[reading.tokens] * reading.alive.astype(x.dtype)

    return TextReward(lambda key: jnp.zeros(vocabulary), tokens, lambda x: x)


def budgeted_lexicon(vocabulary: int, *, tokens: int | None = None, radius: float | None = None) -> TextReward:
    """A lexicon of few weights, or of little weight in all.

    tokens: x has at most so many entries that are not 0; the nearest such x keeps the largest |x|
    radius: Σ |x(a)| ≤ radius

    Args:
      vocabulary: V.
      tokens: number of weights; of equal ones the lower token is kept.
      radius: in units of reward.
    Returns: TextReward with x [V].
    Raises: ValueError unless exactly one budget is given and makes sense.
    """
    if (tokens is None) == (radius is None):
        raise ValueError("a budgeted lexicon needs one budget: tokens (how many weights) or radius (sum of sizes).")
    plain = lexicon(vocabulary)
    if tokens is None:
        positive("radius", radius)
        return plain._replace(project=lambda x: optax.projections.projection_l1_ball(x, radius))
    (kept,) = whole("tokens", (tokens,), 1)
    if kept > vocabulary:
        raise ValueError(f"tokens must be at most the vocabulary's {vocabulary}: got {kept}.")

    def project(x):
        _, places = jax.lax.top_k(jnp.abs(x), kept)
        return jnp.zeros_like(x).at[places].set(x[places])

    return plain._replace(project=project)


def linear_head(width: int) -> TextReward:
    """A direction in the reference's last hidden state, read after the token.

    r_x(s_t, a_t) = ⟨ x, h(a₁ … a_t) ⟩

    Args:
      width: D of the hidden state.
    Returns: TextReward with x [D].
    """
    whole("width", (width,), 1)

    def tokens(x, reading):
        return read_after(reading, x) @ x * reading.alive.astype(x.dtype)

    return TextReward(lambda key: jnp.zeros(width), tokens, lambda x: x)


def mlp_head(width: int, *, hidden: int = 64) -> TextReward:
    """One hidden layer on the reference's last hidden state, read after the token.

    r_x(s_t, a_t) = ⟨ out, gelu( h(a₁ … a_t) · into + shift ) ⟩        out = 0 at the start

    Args:
      width: D of the hidden state.
      hidden: units.
    Returns: TextReward with x = {into [D, hidden], shift [hidden], out [hidden]}.
    """
    whole("width", (width,), 1), whole("hidden", (hidden,), 1)

    def init(key):
        into = jax.random.normal(key, (width, hidden)) / width**0.5
        return {"into": into, "shift": jnp.zeros(hidden), "out": jnp.zeros(hidden)}

    def tokens(x, reading):
        units = jnp.matmul(read_after(reading, x["into"]), x["into"])
        units = jax.nn.gelu(units + x["shift"][None, None])
        return units @ x["out"] * reading.alive.astype(units.dtype)

    return TextReward(init, tokens, lambda x: x)


def read_after(reading: Reading, like: Array) -> Float[Array, "B T D"]:
    """What the reference makes of a₁ … a_t, at the position of a_t, as precise as an array. Returns: [B, T, D]."""
    return reading.hidden[:, 1:].astype(like.dtype)
