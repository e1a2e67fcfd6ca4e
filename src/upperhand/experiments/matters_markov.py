"""Part a of rlhf_matters, the ablation: a Markov model of the same texts, with which any discount is solved exactly.

    π_ref(a | s) = λ_s bigram + (1 − λ_s) unigram            Witten–Bell: λ_s by how often and how variously s goes on
    π_t(a | s) ∝ π_ref(a | s) exp(Q_t(a)),  Q_t(a) = x_a + γ V_{t+1}(a),  V_t(s) = log Σ_a π_ref(a | s) exp Q_t(a)

backwards over T positions, V = 0 after the end token. γ = 0 is the logit bias, γ = 1 the Gibbs law of R_x. The state is
the last token, so an exact answer costs T products of the V × V matrix with a vector; texts are drawn from it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from upperhand.experiments.matters_arms import Agent, Round
from upperhand.mdps.tokens import Tokens

BLOCK = 64
"""Tokens of a block: a token is drawn as a block, then in it."""
MOST = 8192
"""Texts that are drawn at once."""


class Chain(NamedTuple):
    """A Markov language."""

    world: Tokens
    pi: Float[Array, "V V"]  # π_ref(a | s), float32; rows and columns padded to whole blocks


def chain(tokens: Int[np.ndarray, "N T"], world: Tokens) -> Chain:
    """The model of texts, each counted up to its end.

    Args:
      tokens: of texts; those that were cut count up to the cut.
      world: of the tokens.
    """
    V = world.vocabulary
    before = np.concatenate([np.full((len(tokens), 1), world.begin), tokens[:, :-1]], 1)
    is_alive = (tokens != world.pad).ravel()
    pairs = np.zeros((V, V))
    np.add.at(pairs, (before.ravel()[is_alive], tokens.ravel()[is_alive]), 1)
    unigram = pairs.sum(0) + 0.5
    unigram[[world.pad, world.begin]] = 0
    unigram /= unigram.sum()
    seen, kinds = pairs.sum(1, keepdims=True), (pairs > 0).sum(1, keepdims=True)
    pi = (pairs + np.maximum(kinds, 1) * unigram[None]) / (seen + np.maximum(kinds, 1))
    wide = -(-V // BLOCK) * BLOCK
    return Chain(world, jnp.asarray(np.pad(pi, ((0, wide - V), (0, wide - V))), jnp.float32))


def answer(chain: Chain, r: Float[Array, "V L"], gamma: float) -> tuple[Float[Array, "T V L"], Float[Array, "T V L"]]:
    """(Q, V) of the agent at each position, of L rewards side by side."""
    never = jnp.arange(chain.pi.shape[0])[:, None] == chain.world.end

    def back(v, _):
        q = r + gamma * jnp.where(never, 0.0, v)
        most = q.max(0, keepdims=True)
        v = most + jnp.log(jnp.maximum(chain.pi @ jnp.exp(q - most), 1e-30))
        return v, (q, v)

    T = chain.world.length
    if gamma == 0:
        _, (q, v) = back(jnp.zeros_like(r), None)
        return tuple(jnp.broadcast_to(each[None], (T, *r.shape)) for each in (q, v))
    _, found = jax.lax.scan(back, jnp.zeros_like(r), None, length=T, reverse=True)
    return found


def inverse(weights: Float[Array, "L B V"], word: Float[Array, "L B"]) -> Int[Array, "L B"]:
    """The token whose share of the running sum holds a uniform number: first its block, then its place."""
    blocks = weights.reshape(*weights.shape[:2], -1, BLOCK)
    sums = jnp.cumsum(blocks.sum(-1), -1)
    target = word * sums[..., -1]
    block = jnp.minimum(jnp.sum(sums <= target[..., None], -1), sums.shape[-1] - 1)
    below = jnp.where(block > 0, jnp.take_along_axis(sums, jnp.maximum(block - 1, 0)[..., None], -1)[..., 0], 0.0)
    inside = jnp.cumsum(jnp.take_along_axis(blocks, block[..., None, None], 2)[..., 0, :], -1)
    place = jnp.sum(inside <= jnp.minimum(target - below, 0.999999 * inside[..., -1])[..., None], -1)
    return (block * BLOCK + jnp.minimum(place, BLOCK - 1)).astype(jnp.int32)


def written(chain: Chain, keys: Array, r: Float[Array, "V L"], gamma: float, batch: int) -> tuple[Array, Array, Array]:
    """Texts of the agent's answer.

    Returns: tokens [L, B, T], log π_x/π_ref [L, B], and KL [L], the mean of the exact one at each state that was met.
    """
    world, (q, v) = chain.world, answer(chain, r, gamma)
    words = jax.vmap(lambda key: jax.random.uniform(key, (world.length, batch), jnp.float32))(keys)  # [L, T, B]

    def one(carry, now):
        token, ratio, cost = carry
        q, v, word = now  # [V, L], [V, L], [L, B]
        is_on = (token != world.end) & (token != world.pad)
        weights = chain.pi[token] * jnp.exp(q - q.max(0, keepdims=True)).T[:, None]
        here = jnp.take_along_axis(v.T, token, 1)
        mean = jnp.einsum("lbv,vl->lb", weights, q) / weights.sum(-1)
        drawn = inverse(weights, word)
        ratio = ratio + is_on * (jnp.take_along_axis(q.T, drawn, 1) - here)
        return (jnp.where(is_on, drawn, world.pad), ratio, cost + is_on * (mean - here)), jnp.where(
            is_on, drawn, world.pad
        )

    lanes = r.shape[1]
    begin, zero = jnp.full((lanes, batch), world.begin, jnp.int32), jnp.zeros((lanes, batch), jnp.float32)
    (_, ratio, cost), tokens = jax.lax.scan(one, (begin, zero, zero), (q, v, words.transpose(1, 0, 2)))
    return tokens.transpose(1, 2, 0), ratio, cost.mean(1)


def log_ratio(chain: Chain, r: Float[Array, "V L"], tokens: Int[Array, "L B T"], gamma: float) -> Float[Array, "L B"]:
    """log π_x/π_ref of texts, differentiable in the reward."""
    world, (q, v) = chain.world, answer(chain, r, gamma)
    before = jnp.concatenate([jnp.full_like(tokens[:, :, :1], world.begin), tokens[:, :, :-1]], 2)
    at = lambda table, token: jnp.take_along_axis(table.transpose(2, 0, 1), token.transpose(0, 2, 1), 2)  # noqa: E731
    return (at(q, tokens) - at(v, before)).transpose(0, 2, 1).sum(2, where=tokens != world.pad)


def markov(
    chain: Chain, weighed: Sequence[int], gamma: float, person: Callable[[Any], np.ndarray] | None, names: Sequence[str]
) -> Agent:
    """The agent of a Markov language.

    Args:
      chain: the language.
      weighed: the k tokens that x weighs.
      gamma: the agent's discount.
      person: tokens [N, T] → scores [N]; None where no score is asked for.
      names: of the k tokens.
    """
    weighed = np.asarray(weighed)

    def spread(x):
        return jnp.zeros((chain.pi.shape[0], x.shape[0]), jnp.float32).at[weighed].set(x.T)

    @partial(jax.jit, static_argnums=3)
    def draw(pi, keys, x, batch):
        tokens, ratio, kl = written(chain._replace(pi=pi), keys, spread(x), gamma, batch)
        features = (tokens[..., None] == weighed.reshape(1, 1, 1, -1)).sum(2)
        return tokens, features, ratio, kl

    @jax.jit
    def pulled(pi, x, tokens, c):
        total = lambda x: jnp.sum(c * log_ratio(chain._replace(pi=pi), spread(x), tokens, gamma))  # noqa: E731
        return jax.grad(total)(x)

    def play(seeds, x, batch):
        keys, x, most = jnp.stack([key_of(seed) for seed in seeds]), jnp.asarray(x, jnp.float32), max(1, MOST // batch)
        places = [slice(first, first + most) for first in range(0, len(x), most)]
        parts = zip(*(draw(chain.pi, keys[place], x[place], batch) for place in places), strict=True)
        tokens, features, ratio, kl = (np.concatenate([np.asarray(one) for one in part]) for part in parts)
        return Round(tokens, features.astype(float), None, ratio.astype(float), kl.astype(float), np.zeros(ratio.shape))

    def pull(found, x, c):
        asked, g = np.flatnonzero(np.abs(c).any(1)), np.zeros(x.shape)
        x, c = (jnp.asarray(each[asked], jnp.float32) for each in (x, c))
        g[asked] = pulled(chain.pi, x, found.texts[asked], c)
        return g

    def scores(found):
        lanes, batch, T = found.texts.shape
        return person(found.texts.reshape(lanes * batch, T)).reshape(lanes, batch)

    return Agent(list(names), play, pull, scores)


def key_of(seed: Sequence[int]) -> Array:
    """A random key of a few numbers."""
    key = jax.random.key(seed[0])
    for number in seed[1:]:
        key = jax.random.fold_in(key, number)
    return key
