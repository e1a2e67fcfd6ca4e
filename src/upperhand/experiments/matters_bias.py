"""Part a of rlhf_matters: an agent that cannot plan, the logit bias on a language model's most frequent tokens.

    π_x(a | s) ∝ π_ref(a | s) exp(x_a)        x of k tokens, 0 elsewhere: the discount of its soft Bellman equation is 0

Its answer to x is known without any training, its KL is exact at each state that is met, and with p_t the probabilities
of the k tokens there

    ∇ₓ log π_x(y) = Σ_t (e_{a_t} − p_t)
    log π_x/π_ref(y) = Σ_t (x_{a_t} − log Z_t)        Z_t = Σ_a π_ref(a | s_t) exp(x_a)

all of which come with the texts, out of the same pass that writes them.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.experiments.matters_arms import Agent, Round
from upperhand.experiments.matters_markov import BLOCK, inverse, key_of
from upperhand.language.pretraining import Language
from upperhand.policies.transformer import decoding, masked, network

BATCH = 32
"""Texts that are written at once, so that their key-value cache stays small."""


def written(
    language: Language, weights: Any, key: Array, x: Float[Array, " k"], weighed: Int[np.ndarray, " k"], batch: int
) -> tuple[Array, Array, Array, Array]:
    """Texts of the agent, until all have ended.

    Returns: tokens [B, T]; Σ p_t [B, k]; log π_x/π_ref [B]; Σ KL_t [B], over each text.
    """
    world, model = language.world, network(language.shape, weights)
    step, T, V = decoding(model), language.world.length, language.shape.vocabulary
    words = jax.random.uniform(key, (T, batch), jnp.float32)
    up = jnp.zeros(V, jnp.float32).at[weighed].set(x)

    def one(carry):
        t, token, memory, tokens, expected, ratio, cost = carry
        is_on = (token != world.end) & (token != world.pad)
        logits, memory = step(memory, token, t)
        logits = masked(logits[:, None], world)[:, 0]
        mass = jnp.exp(logits - logits.max(-1, keepdims=True))
        biased = mass * jnp.exp(up)[None]
        total = biased.sum(-1)
        p, log_z = biased[:, weighed] / total[:, None], jnp.log(total / mass.sum(-1))
        drawn = inverse(jnp.pad(biased, ((0, 0), (0, -V % BLOCK)))[None], words[t][None])[0]
        token = jnp.where(is_on, drawn, world.pad)
        expected = expected + is_on[:, None] * p
        ratio, cost = ratio + is_on * (up[drawn] - log_z), cost + is_on * (p @ x - log_z)
        return t + 1, token, memory, tokens.at[t].set(token), expected, ratio, cost

    def is_open(carry):
        return (carry[0] < T) & jnp.any((carry[1] != world.end) & (carry[1] != world.pad))

    zero = jnp.zeros(batch, jnp.float32)
    first = (jnp.int32(0), jnp.full(batch, world.begin, jnp.int32), model.memory(batch, T))
    begun = (
        *first,
        jnp.full((T, batch), world.pad, jnp.int32),
        jnp.zeros((batch, len(weighed)), jnp.float32),
        zero,
        zero,
    )
    *_, tokens, expected, ratio, cost = jax.lax.while_loop(is_open, one, begun)
    return tokens.T, expected, ratio, cost


def bias(
    language: Language, weighed: Sequence[int], person: Callable[[Any], np.ndarray] | None, names: Sequence[str]
) -> Agent:
    """The logit-bias agent of a language model.

    Args:
      language: the model.
      weighed: the k tokens that x weighs.
      person: tokens [N, T] → scores [N]; None where no score is asked for.
      names: of the k tokens.
    Cost: of a text about that of T tokens through the network, no other pass.
    """
    weighed = np.asarray(weighed)

    @partial(jax.jit, static_argnums=3)
    def draw(weights, keys, x, batch):
        rows = next(count for count in range(-(-batch // BATCH), batch + 1) if batch % count == 0)
        keys = jax.vmap(lambda key: jax.random.split(key, rows))(keys).reshape(-1)
        one = lambda each: written(language, weights, *each, weighed, batch // rows)  # noqa: E731
        found = jax.lax.map(one, (keys, jnp.repeat(x, rows, 0)))
        return tuple(part.reshape(x.shape[0], batch, *part.shape[2:]) for part in found)

    def play(seeds, x, batch):
        keys, x = jnp.stack([key_of(seed) for seed in seeds]), jnp.asarray(x, jnp.float32)
        tokens, expected, ratio, cost = at_once(lambda *half: draw(language.weights, *half, batch), keys, x)
        features, none = counted(tokens, weighed), np.zeros(ratio.shape)
        return Round(tokens, features, features - expected, ratio.astype(float), cost.mean(1, dtype=float), none)

    def pull(found, x, c):
        return np.einsum("lb,lbk->lk", c, found.slopes)

    def scores(found):
        lanes, batch, T = found.texts.shape
        return person(found.texts.reshape(lanes * batch, T)).reshape(lanes, batch)

    return Agent(list(names), play, pull, scores)


def at_once(program: Callable[..., tuple[Array, ...]], keys: Array, x: Array) -> tuple[np.ndarray, ...]:
    """(keys [L], x [L, k]) → arrays [L, …], each half of the lanes in a thread: so small a network keeps one core busy.

    Where L is odd the lane in the middle is in both halves.
    """
    lanes, half = len(x), -(-len(x) // 2)
    halves = [(keys[:half], x[:half]), (keys[lanes - half :], x[lanes - half :])][: min(lanes, 2)]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda one: tuple(map(np.asarray, program(*one))), halves))
    return tuple(
        np.concatenate([parts[0], *(part[2 * half - lanes :] for part in parts[1:])])
        for parts in zip(*found, strict=True)
    )


def counted(tokens: np.ndarray, weighed: np.ndarray) -> np.ndarray:
    """How often each of k tokens is in a text: [..., T] → [..., k], as floats."""
    return np.stack([(tokens == one).sum(-1) for one in weighed], -1).astype(float)
