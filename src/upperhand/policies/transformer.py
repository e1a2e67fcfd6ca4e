"""A transformer that writes texts, as pure functions: a frozen trunk below, and the top layers that are tuned.

    log π_θ(· | a₁ … a_t) = log softmax( E · norm_θ( layers_θ( trunk(begin, a₁ … a_t) ) ) )

θ holds the top layers and the last norm; the trunk holds the embeddings E, which read and write, and the layers below.
So a text goes through the trunk once, however often θ changes. Pad and begin have probability 0.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.texts import Reading, Writer
from upperhand.types import Key, Tree

NEVER = -1e9
"""The logit of what is never written; finite, so that 0 · log 0 is 0."""


class Shape(NamedTuple):
    """The sizes of a network."""

    vocabulary: int
    length: int  # T, tokens of a text after `begin`
    width: int
    layers: int
    heads: int
    tuned: int = 2  # top layers that theta holds


def check(shape: Shape) -> None:
    """ValueError where sizes do not fit together."""
    for name, value in shape._asdict().items():
        least = 4 if name == "vocabulary" else name != "tuned"
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} of a transformer must be a whole number, at least {least:d}: got {value!r}.")
    if shape.width % (2 * shape.heads):
        raise ValueError(f"width must be a multiple of 2 · heads = {2 * shape.heads}: got {shape.width}.")
    if shape.tuned > shape.layers:
        raise ValueError(f"tuned must be at most layers = {shape.layers}: got {shape.tuned}.")


def made(shape: Shape, key: Key) -> Any:
    """A new flax.nnx network. Raises: ValueError where sizes do not fit, or where flax is not installed."""
    check(shape)
    try:
        from upperhand.policies.layers import Transformer
    except ModuleNotFoundError as error:
        raise ValueError(f"a transformer needs {error.name}: pip install 'upperhand[tweets]'.") from None
    sizes = {name: getattr(shape, name) for name in ("vocabulary", "width", "layers", "heads")}
    return Transformer(key, positions=shape.length + 1, **sizes)


def initial(key: Key, shape: Shape) -> Tree:
    """Weights before any training: nested dicts of float32 arrays. Every layer begins as the identity."""
    check(shape)
    network = made(shape, key)
    from flax import nnx

    return jax.tree.map(lambda leaf: leaf, nnx.to_pure_dict(nnx.state(network)))


def network(shape: Shape, weights: Tree) -> Any:
    """The flax.nnx network with these weights: model(tokens, positions, cache, mask) → (logits, cache)."""
    from flax import nnx

    return nnx.merge(structure(shape), weights)


@cache
def structure(shape: Shape) -> Any:
    """The network without its numbers."""
    from flax import nnx

    return nnx.split(nnx.eval_shape(lambda: made(shape, jax.random.key(0))))[0]


def split(weights: Tree, shape: Shape) -> tuple[Tree, Tree]:
    """(trunk, theta): embeddings and lower layers; the top `tuned` layers and the last norm."""
    first = shape.layers - shape.tuned
    lower = {place: layer for place, layer in weights["layers"].items() if place < first}
    upper = {place: layer for place, layer in weights["layers"].items() if place >= first}
    return {"embedding": weights["embedding"], "layers": lower}, {"layers": upper, "norm": weights["norm"]}


def joined(trunk: Tree, theta: Tree) -> Tree:
    """The weights that were split."""
    return {**trunk, "norm": theta["norm"], "layers": {**trunk["layers"], **theta["layers"]}}


def masked(logits: Float[Array, "B S V"], world: Any) -> Float[Array, "B S V"]:
    """Logits that leave pad and begin out."""
    is_never = np.isin(np.arange(logits.shape[-1]), (world.pad, world.begin))
    return jnp.where(is_never.reshape((1,) * (logits.ndim - 1) + (-1,)), jnp.asarray(NEVER, logits.dtype), logits)


def log_probabilities(logits: Float[Array, "B S V"], world: Any) -> Float[Array, "B S V"]:
    """log softmax; of pad and begin about −10⁹."""
    return jax.nn.log_softmax(masked(logits, world))


def begun(tokens: Int[Array, "B T"], world: Any) -> tuple[Int[Array, "B T1"], Int[Array, "B T1"]]:
    """Tokens from `begin` on, and their positions."""
    tokens = jnp.pad(tokens.astype(jnp.int32), ((0, 0), (1, 0)), constant_values=world.begin)
    return tokens, jnp.broadcast_to(jnp.arange(tokens.shape[1], dtype=jnp.int32)[None], tokens.shape)


def decoding(model: Any) -> Callable:
    """(memory, token [B], position []) → logits [B, V] and the memory after: one step with the cache."""

    def step(memory, token, position):
        here = jnp.broadcast_to(position.astype(jnp.int32), (token.shape[0], 1))
        logits, memory = model(token[:, None], here, memory)
        return logits[:, 0], memory

    return step


def reader(shape: Shape, weights: Tree, world: Any) -> Callable[[Int[Array, "B T"]], Reading]:
    """What the reference makes of texts. Cost: one forward pass."""

    @jax.jit
    def read(weights, tokens):
        model, first = network(shape, weights), shape.layers - shape.tuned
        whole, positions = begun(tokens, world)
        features, _ = model.through(model.embed(whole), positions, layers=(0, first))
        hidden = model.normed(model.through(features, positions, layers=(first, shape.layers))[0])
        log_ref = log_probabilities(model.logits(hidden[:, :-1]), world)
        return Reading(tokens, world.alive(tokens), features, hidden, log_ref)

    return partial(read, weights)


def writer(shape: Shape, weights: Tree, write: Callable, world: Any) -> Writer:
    """The transformer as a policy that starts at its reference.

    Args:
      shape: its sizes.
      weights: of the reference π_ref, in whose type everything is computed.
      write: (world, key, step, memory, B) → texts [B, T], the scan of `mdps.tokens`.
      world: vocabulary, length, pad, begin, end; `alive`.
    Returns: Writer; theta is of `split`. Each of its functions is one program, with the weights as arguments of it.
    Raises: ValueError where sizes do not fit, or where flax is not installed.
    Cost: write B·T cached tokens; read B·(T + 1) tokens; log_prob the top layers alone.
    """
    check(shape)
    trunk, reference = split(weights, shape)

    @partial(jax.jit, static_argnums=3)
    def written(trunk, key, theta, batch):
        model = network(shape, joined(trunk, theta))
        return write(world, key, decoding(model), model.memory(batch, shape.length), batch)

    @jax.jit
    def judged(trunk, theta, features):
        model, positions = network(shape, joined(trunk, theta)), begun(jnp.zeros(features.shape[:2], int), world)[1]
        h, _ = model.through(features, positions[:, :-1], layers=(shape.layers - shape.tuned, shape.layers))
        return log_probabilities(model.logits(model.normed(h)), world)

    return Writer(
        init=lambda key: reference,
        write=lambda key, theta, batch: written(trunk, key, theta, batch),
        read=reader(shape, weights, world),
        log_prob=lambda theta, reading: judged(trunk, theta, reading.features[:, :-1]),
    )


def biased(shape: Shape, weights: Tree, write: Callable, world: Any) -> Writer:
    """The logit-bias agent: the reference, with numbers added to its logits.

    π_θ(a | s) ∝ π_ref(a | s) exp(θ_a)

    Args: those of `writer`.
    Returns: Writer; theta is [V], 0 at first.
    Cost: write B·T cached tokens; log_prob a softmax.
    """
    check(shape)

    @partial(jax.jit, static_argnums=3)
    def written(weights, key, theta, batch):
        model = network(shape, weights)
        step = decoding(model)

        def shifted(memory, token, position):
            logits, memory = step(memory, token, position)
            return logits + theta[None].astype(logits.dtype), memory

        return write(world, key, shifted, model.memory(batch, shape.length), batch)

    def log_prob(theta, reading):
        return jax.nn.log_softmax(reading.log_ref + theta[None, None].astype(reading.log_ref.dtype))

    return Writer(
        init=lambda key: jnp.zeros(shape.vocabulary, weights["embedding"].dtype),
        write=lambda key, theta, batch: written(weights, key, theta, batch),
        read=reader(shape, weights, world),
        log_prob=log_prob,
    )
