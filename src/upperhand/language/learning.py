"""Learning a language as a method that `run` can run: AdamW over packed rows, with warm-up and a cosine."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from upperhand.language.packing import Rows, visible
from upperhand.language.presets import Preset
from upperhand.mdps.tokens import Tokens
from upperhand.policies.transformer import Shape, masked, network
from upperhand.solver import Info, Solver, cost
from upperhand.types import Count, Key, Tree

WARM = 0.05
"""Share of the steps over which the step size grows."""
LOWEST = 0.02
"""The last step size, in units of the highest."""
LONGEST = 1.0
"""Gradients are cut to this length."""


class State(NamedTuple):
    """What `run` keeps."""

    x: Tree  # the weights
    y: tuple[()]  # nothing is below
    count: Count  # updates done
    optimiser: Any  # AdamW's means


class Batch(NamedTuple):
    """The sum over some rows."""

    nats: Float[Array, ""]
    tokens: Float[Array, ""]


def nats(
    shape: Shape, world: Tokens, weights: Tree, rows: Rows, dropout: tuple[Key | None, float] = (None, 0.0)
) -> Batch:
    """−Σ log π(target) over the tokens of some rows, end tokens counted, pads not."""
    rows = jax.tree.map(jnp.asarray, rows)
    logits, _ = network(shape, weights)(rows.tokens, rows.positions, None, visible(rows.texts), dropout)
    logits = masked(logits, world)
    told = jnp.take_along_axis(logits, rows.targets[..., None], -1)[..., 0]
    is_text = rows.texts > 0
    lost = jnp.where(is_text, jax.nn.logsumexp(logits, -1) - told, 0)
    return Batch(jnp.sum(lost), jnp.sum(is_text, dtype=lost.dtype))


def learning(preset: Preset, shape: Shape, world: Tokens, rows: Rows) -> Solver:
    """AdamW on the mean of −log π over a batch of rows; every row is met once before any is met again.

    weights ← AdamW(weights, ∇ nats a token)

    Args:
      preset: batch, steps, step size, decay, dropout.
      shape: the network's sizes.
      world: vocabulary and its marks.
      rows: to learn from.
    Returns: Solver; x is the weights, y nothing, `samples` are tokens.
    Cost: a forward and a backward pass of rows·row tokens.
    """
    count = len(rows.tokens)
    taken = min(preset.rows, count)
    rounds, data = count // taken, jax.tree.map(jnp.asarray, rows)
    warm = max(1, round(WARM * preset.steps))
    pace = optax.warmup_cosine_decay_schedule(
        0.0, preset.step_size, warm, max(preset.steps, warm + 1), LOWEST * preset.step_size
    )
    matrices = lambda weights: jax.tree.map(lambda leaf: leaf.ndim > 1, weights)  # noqa: E731
    adam = optax.adamw(pace, b1=0.9, b2=0.95, weight_decay=preset.decay, mask=matrices)
    optimiser = optax.chain(optax.clip_by_global_norm(LONGEST), adam)

    def init(x, y):
        return State(x, (), jnp.int32(0), optimiser.init(x))

    def update(key: Key, state: State):
        turn, place = state.count // rounds, state.count % rounds
        order = jax.random.permutation(jax.random.fold_in(jax.random.key(1), turn), count)
        batch = jax.tree.map(lambda leaf: leaf[jax.lax.dynamic_slice(order, (place * taken,), (taken,))], data)

        def loss(weights):
            found = nats(shape, world, weights, batch, (key if preset.dropout else None, preset.dropout))
            return found.nats / found.tokens, found.tokens

        (value, tokens), gradient = jax.value_and_grad(loss, has_aux=True)(state.x)
        change, after = optimiser.update(gradient, state.optimiser, state.x)
        weights = optax.apply_updates(state.x, change)
        info = Info(value, jnp.zeros((), value.dtype), gradient, cost(tokens, 1.0), {})
        return State(weights, (), state.count + 1, after), info

    return Solver(init, update)


def validation(shape: Shape, world: Tokens, rows: Rows, batch: int = 64) -> Callable[[Tree], float]:
    """weights → nats a token on held-out rows; host code. Cost: a forward pass of all of them."""
    one = jax.jit(lambda weights, rows: nats(shape, world, weights, rows))
    short = -len(rows.tokens) % batch
    filled = jax.tree.map(lambda leaf: np.pad(leaf, ((0, short), (0, 0))).reshape(-1, batch, leaf.shape[1]), rows)
    parts = [jax.tree.map(lambda leaf: leaf[place], filled) for place in range(len(filled.tokens))]  # noqa: B023

    def value(weights):
        found = [one(weights, part) for part in parts]
        return sum(float(each.nats) for each in found) / sum(float(each.tokens) for each in found)

    return value
