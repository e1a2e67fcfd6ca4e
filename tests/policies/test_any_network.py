"""Any flax.nnx network with the call (tokens, positions, cache, mask) is a policy: one of our own, against NumPy."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from upperhand.mdps.tokens import Tokens, inverse, write
from upperhand.policies.causal import Answers, answerer
from upperhand.policies.low_rank import adapted, changes, started

V, D, P, T, PAD, END = 12, 6, 3, 4, 0, 1
ASKED = np.array([[PAD, 5, 6], [7, 8, 9]], np.int32)


class Mean(nnx.Module):
    """h = tanh( the mean of the values of what stands before )."""

    def __init__(self):
        self.embedding = nnx.Embed(V, D, rngs=nnx.Rngs(0))
        self.v_proj = nnx.Linear(D, D, use_bias=False, rngs=nnx.Rngs(1))
        self.final_norm = nnx.tanh
        self.lm_head = nnx.Linear(D, V, use_bias=False, rngs=nnx.Rngs(2))

    def __call__(self, tokens, positions, cache, mask):
        value = self.v_proj(self.embedding(tokens) + 0.1 * positions[..., None])
        if cache is not None:
            value = jax.lax.dynamic_update_slice_in_dim(cache["v"], value, cache["end"], 1)
            cache = {"v": value, "end": cache["end"] + tokens.shape[1]}
        share = mask / mask.sum(-1, keepdims=True)
        return self.lm_head(self.final_norm(share @ value)), cache


def made():
    """The network, and the policy of it."""
    with jax.numpy_rank_promotion("allow"):
        model = Mean()
    empty = lambda batch, length: {"v": jnp.zeros((batch, length, D), jnp.float32), "end": jnp.int32(0)}  # noqa: E731
    head = lambda model, h: model.lm_head(h)  # noqa: E731
    network = adapted(model, rank=2, scale=1.5, where=".*v_proj", cache=empty, head=head)
    world = Answers(V, T + 1, PAD, (END,))
    writes = partial(write, Tokens(V, T, PAD, -1, END))
    return network, answerer(network, (ASKED, ASKED != PAD), world, writes, group_size=2)


def in_numpy(network, theta, row):
    """log π at each token of an answer [T, V]."""
    base = jax.tree.map(lambda leaf: np.asarray(leaf, float), network.base)
    matrix = base["v_proj"]["kernel"] + np.asarray(changes(network, theta)["v_proj"], float)
    asked = ASKED[row[0]]
    whole = np.array([*asked[asked != PAD], *row[1:-1]])
    value = (base["embedding"]["embedding"][whole] + 0.1 * np.arange(len(whole))[:, None]) @ matrix
    h = np.tanh(np.cumsum(value, 0) / np.arange(1, len(whole) + 1)[:, None])[-T:]
    logits = h @ base["lm_head"]["kernel"]
    logits[:, PAD] = -np.inf
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def test_a_network_of_our_own_writes_and_is_read_as_numpy_says():
    network, writer = made()
    key = jax.random.key(3)
    theta = jax.tree.map(lambda leaf: leaf + jax.random.normal(key, leaf.shape, leaf.dtype), started(network, key))
    (change,) = changes(network, theta).values()
    a, b = (np.asarray(theta["v_proj"][f"kernel_lora_{name}"]) for name in "ab")
    np.testing.assert_allclose(change, 1.5 * a @ b, rtol=1e-5)
    tokens = writer.write(key, theta, 4)
    reading = writer.read(tokens)
    log_pi, words = writer.log_prob(theta, reading), jax.random.uniform(jax.random.split(key)[1], (T, 4), jnp.float32)
    for i, row in enumerate(np.asarray(tokens)):
        ours, reference = in_numpy(network, theta, row), in_numpy(network, started(network, key), row)
        np.testing.assert_allclose(log_pi[i, 1:, 1:], ours[:, 1:], atol=1e-5)
        np.testing.assert_allclose(reading.log_ref[i, 1:, 1:], reference[:, 1:], atol=1e-5)
        assert np.abs(ours - reference)[:, 1:].max() > 0.01
        ended = False
        for t in range(T):
            chosen = int(inverse(jnp.asarray(ours[None, t], jnp.float32), words[t, i][None])[0])
            assert row[1 + t] == (PAD if ended else chosen)
            ended |= chosen == END
