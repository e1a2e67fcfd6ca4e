"""Any causal language model in flax.nnx as a policy that answers prompts: frozen below, low-rank changes are tuned.

    log π_θ(· | prompt, a₁ … a_t) = log softmax( model with W + scale · A B for each W that is tuned )

The first token of a text is the number of its prompt; nobody writes it, and it is not alive. So a text says what it
answers, wherever it is kept. Texts of one prompt are a group, and are compared with one another.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from upperhand.policies.low_rank import Network, started
from upperhand.texts import Reading, Writer
from upperhand.types import Key, Tree

NEVER = -1e9
"""The logit of what is never written; finite, so that 0 · log 0 is 0."""


class Answers(NamedTuple):
    """The world of answers to prompts: a text is the number of its prompt, then at most `length` − 1 tokens."""

    vocabulary: int
    length: int  # T, the prompt's number counted
    pad: int  # stands after the end; is never written
    ends: tuple[int, ...]  # an answer stops after the first of any of them

    def alive(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T"]:
        """1 from the first token of the answer to its end token, itself included; 0 at the prompt's number."""
        answer = tokens[:, 1:]
        is_end = (answer[..., None] == np.array(self.ends)[None, None]).any(-1)
        before = jnp.cumsum(is_end, axis=1) - is_end
        return jnp.pad(((before == 0) & (answer != self.pad)).astype(float), ((0, 0), (1, 0)))


class Ear:
    """A module that remembers what it gave."""

    def __init__(self, module: Any):
        self.module, self.given = module, None

    def __call__(self, *args: Any) -> Any:
        self.given = self.module(*args)
        return self.given


def placed(alive: Bool[Array, "B S"]) -> Int[Array, "B S"]:
    """Positions of left-padded rows: the first token of each is at 0."""
    return jnp.maximum(jnp.cumsum(alive.astype(jnp.int32), 1) - 1, 0)


def hidden(network: Network, model: Any, tokens: Int[Array, "B S"], alive: Bool[Array, "B S"]) -> Float[Array, "B S D"]:
    """Last hidden states of left-padded rows: each place looks at the tokens before it, and pads are not looked at."""
    mask = jnp.asarray(np.tril(np.ones((tokens.shape[1],) * 2, bool)))[None] & alive[:, None]
    ear = Ear(model.final_norm)
    model.final_norm = ear
    with jax.numpy_rank_promotion("allow"), network.during():
        model(tokens, placed(alive), None, mask)
    return ear.given


def log_probabilities(network: Network, model: Any, h: Float[Array, "B S D"], pad: int) -> Float[Array, "B S V"]:
    """log softmax of last hidden states, in float32; of pad about −10⁹."""
    with jax.numpy_rank_promotion("allow"):
        logits = network.head(model, h).astype(jnp.float32)
    is_never = np.arange(logits.shape[-1])[None, None] == pad
    return jax.nn.log_softmax(jnp.where(is_never, jnp.float32(NEVER), logits))


def decoding(
    network: Network, weights: tuple[Tree, Tree], tokens: Int[Array, "B P"], alive: Bool[Array, "B P"], length: int
) -> tuple[Callable, Tree]:
    """Prompts read into a cache but for their last token, and the step that goes on from there, for `mdps.tokens`.

    Args:
      network, weights: of it (base, theta).
      tokens, alive: the prompts.
      length: of an answer.
    Returns: (memory, token [B], position []) → logits [B, V] float32 and the memory after; the first memory.
    """
    B, P = tokens.shape
    is_key = jnp.concatenate([alive, jnp.ones((B, length), bool)], 1)
    positions, places = placed(alive), np.arange(P + length)

    def forward(tokens, positions, memory, until):
        mask = (places[None, None] <= until) & is_key[:, None]
        with jax.numpy_rank_promotion("allow"), network.during():
            return network.tuned(*weights)(tokens, positions, memory, mask)

    def step(memory, token, position):
        token = jnp.where(position == 0, tokens[:, -1], token)[:, None]
        logits, memory = forward(token, positions[:, -1:] + position, memory, P - 1 + position)
        return logits[:, 0].astype(jnp.float32), memory

    memory = network.cache(B, P + length)
    if P > 1:
        memory = forward(tokens[:, :-1], positions[:, :-1], memory, np.arange(P - 1)[None, :, None])[1]
    return step, memory


def drawn(key: Key, prompts: int, batch: int, group_size: int) -> Int[Array, " B"]:
    """Numbers of prompts, about `group_size` texts of each; the halves of an even batch have the same, in order."""
    count = max(batch // group_size, 1)
    chosen = jax.random.choice(key, prompts, (count,), replace=prompts < count)
    return chosen.astype(jnp.int32)[np.arange(batch) % max(batch // 2, 1) % count]


def answerer(
    network: Network,
    prompts: Any,
    world: Answers,
    write: Callable,
    *,
    group_size: int = 4,
    microbatch: int | None = None,
) -> Writer:
    """The policy that answers prompts.

    Args:
      network: of `adapted`.
      prompts: tokens [N, P] and alive [N, P], pads on the left.
      world: vocabulary, length, pad, ends.
      write: (key, step, memory, B) → answers [B, T − 1], the scan of `mdps.tokens`; its begin is no token.
      group_size: texts of one prompt in a batch.
      microbatch: texts that are held with their tables over the vocabulary where θ is stepped; None for all.
    Returns: Writer. Each of its functions is one program, with the weights as arguments of it.
    Cost: write B prompts and B·(T − 1) cached tokens; read and log_prob B·(P + T − 1) tokens each.
    """
    asked, is_asked = (np.asarray(part) for part in prompts)
    (count, P), length = asked.shape, world.length - 1

    def rowed(tokens):
        """Prompts and answers."""
        number, written = tokens[:, 0], tokens[:, 1:]
        whole = jnp.concatenate([jnp.asarray(asked)[number], written], 1)
        alive = jnp.concatenate([jnp.asarray(is_asked)[number], jnp.ones(written.shape, bool)], 1)
        return network.spread(whole), network.spread(alive)

    def later(log_pi):
        """No table at the prompt's number."""
        return jnp.pad(log_pi, ((0, 0), (1, 0), (0, 0)))

    @partial(jax.jit, static_argnums=3)
    def written(base, key, theta, batch):
        key_prompt, key_text = jax.random.split(key)
        number = drawn(key_prompt, count, batch, group_size)
        tokens, alive = (network.spread(jnp.asarray(part)[number]) for part in (asked, is_asked))
        step, memory = decoding(network, (base, theta), tokens, alive, length)
        return jnp.concatenate([number[:, None], write(key_text, step, memory, batch)], 1)

    @jax.jit
    def again(base, h):
        return later(log_probabilities(network, network.plain(base), h[:, 1:-1], world.pad))

    @jax.jit
    def read(base, tokens):
        h = hidden(network, network.plain(base), *rowed(tokens))[:, P - 1 :]
        h = jnp.pad(h.astype(jnp.float32), ((0, 0), (1, 0), (0, 0)))
        return Reading(tokens, world.alive(tokens), tokens[:, 0], h, again(base, h), tokens[:, 0])

    @jax.jit
    def judged(base, theta, tokens):
        model = network.tuned(base, theta)
        h = hidden(network, model, *rowed(tokens))[:, P - 1 : -1]
        return later(log_probabilities(network, model, h, world.pad))

    base = network.base
    return Writer(
        init=lambda key: started(network, key),
        write=lambda key, theta, batch: written(base, key, theta, batch),
        read=lambda tokens: read(base, tokens),
        log_prob=lambda theta, reading: judged(base, theta, reading.tokens),
        microbatch=microbatch,
        log_ref=lambda reading: again(base, reading.hidden),
    )
