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
from jaxtyping import Array, Float

from upperhand.experiments.matters_arms import Agent, Round
from upperhand.experiments.matters_markov import BLOCK as WIDTH
from upperhand.experiments.matters_markov import inverse, key_of
from upperhand.language.pretraining import Language
from upperhand.mdps.tokens import Tokens
from upperhand.policies.transformer import Shape, decoding, masked, network

BLOCK = 32
"""Texts that are written at once: their key-value cache stays small, and one program is all that is compiled."""


@partial(jax.jit, static_argnums=(0, 1, 5))
def written(
    world: Tokens, shape: Shape, weights: Any, key: Array, x: Float[Array, " k"], weighed: tuple[int, ...]
) -> tuple[Array, Array, Array, Array]:
    """A block of texts of the agent, until all have ended.

    Returns: tokens [B, T]; Σ p_t [B, k]; log π_x/π_ref [B]; Σ KL_t [B], over each text.
    """
    model, T, V, weighed = network(shape, weights), world.length, shape.vocabulary, np.array(weighed)
    step = decoding(model)
    words = jax.random.uniform(key, (T, BLOCK), jnp.float32)
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
        drawn = inverse(jnp.pad(biased, ((0, 0), (0, -V % WIDTH)))[None], words[t][None])[0]
        token = jnp.where(is_on, drawn, world.pad)
        expected = expected + is_on[:, None] * p
        ratio, cost = ratio + is_on * (up[drawn] - log_z), cost + is_on * (p @ x - log_z)
        return t + 1, token, memory, tokens.at[t].set(token), expected, ratio, cost

    def is_open(carry):
        return (carry[0] < T) & jnp.any((carry[1] != world.end) & (carry[1] != world.pad))

    zero, none = jnp.zeros(BLOCK, jnp.float32), jnp.zeros((BLOCK, len(weighed)), jnp.float32)
    first = (jnp.int32(0), jnp.full(BLOCK, world.begin, jnp.int32), model.memory(BLOCK, T))
    tokens = jnp.full((T, BLOCK), world.pad, jnp.int32)
    *_, tokens, expected, ratio, cost = jax.lax.while_loop(is_open, one, (*first, tokens, none, zero, zero))
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
    kept = tuple(int(token) for token in weighed)
    write = partial(written, language.world, language.shape, language.weights)

    def block(job):
        return tuple(np.asarray(part) for part in write(jax.random.fold_in(*job[:2]), job[2], kept))

    def play(seeds, x, batch):
        x, keys, rows = jnp.asarray(x, jnp.float32), [key_of(seed) for seed in seeds], range(-(-batch // BLOCK))
        jobs = [(keys[lane], row, x[lane]) for lane in range(len(keys)) for row in rows]
        found = [block(jobs[0])]  # compiled once, then two at a time: a network this small keeps one core busy
        with ThreadPoolExecutor(2) as threads:
            found += threads.map(block, jobs[1:])
        stacked = (np.stack(parts).reshape(len(keys), -1, *parts[0].shape[1:]) for parts in zip(*found, strict=True))
        tokens, expected, ratio, cost = (part[:, :batch] for part in stacked)
        features, none = counted(tokens, kept), np.zeros(ratio.shape)
        return Round(tokens, features, features - expected, ratio.astype(float), cost.mean(1, dtype=float), none)

    def pull(found, x, c):
        return np.einsum("lb,lbk->lk", c, found.slopes)

    def scores(found):
        lanes, batch, T = found.texts.shape
        return person(found.texts.reshape(lanes * batch, T)).reshape(lanes, batch)

    return Agent(list(names), play, pull, scores)


def counted(tokens: np.ndarray, weighed: Sequence[int]) -> np.ndarray:
    """How often each of k tokens is in a text: [..., T] → [..., k], as floats."""
    return np.stack([(tokens == one).sum(-1) for one in weighed], -1).astype(float)
