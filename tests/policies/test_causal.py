"""Checkpoints as policies: what is written, read and stepped, against a network in NumPy and against wholes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from made_up_checkpoint import END, PAD, logits_of, put
from upperhand.hypergradients.heard import apart
from upperhand.mdps.tokens import inverse
from upperhand.policies.causal import drawn
from upperhand.policy_gradients.texts import held, surrogate
from upperhand.pretrained.adapters import small
from upperhand.pretrained.answering import author
from upperhand.texts import Reading

PROMPTS = ["w20 w30 w40 w50", "w60", "good w9 w10"]
ENDS = [END, *range(100, 140)]
T = 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A policy, texts of it, what is read of them, and θ near its start."""
    folder = put(tmp_path_factory.mktemp("llama"), "llama", eos_token_id=ENDS, num_hidden_layers=1)
    writes = author(str(folder), PROMPTS, T, small._replace(rank=2, group_size=2, microbatch=2))
    writer, key = writes.writer, jax.random.key(5)
    start = writer.init(key)
    theta = jax.tree.map(lambda leaf: leaf + 0.3 * jax.random.normal(key, leaf.shape, leaf.dtype), start)
    tokens = writer.write(key, start, 6)
    return folder, writes, key, start, theta, tokens, jax.jit(writer.read)(tokens)


def prompt(writes, number):
    """Its tokens, without padding."""
    found = writes.words.tokenizer.encode(PROMPTS[number]).ids
    return found if writes.words.begin is None else [writes.words.begin, *found]


def reference(made, row):
    """log π_ref at each token of an answer [T, V], by NumPy, from the prompt without any padding."""
    folder, writes, *_ = made
    whole = np.array([[*prompt(writes, row[0]), *row[1:]]])
    logits = logits_of(folder, whole)[0, -T - 1 : -1]
    logits[:, PAD] = -1e9
    return (
        logits
        - np.log(np.exp(logits - logits.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - logits.max(-1, keepdims=True)
    )


def test_left_padding_changes_nothing(made):
    *_, start, _, tokens, reading = made
    writer, tokens = made[1].writer, np.asarray(tokens)
    assert {len(prompt(made[1], number)) for number in tokens[:, 0]} != {max(map(len, PROMPTS))}
    wanted = np.stack([reference(made, row) for row in tokens])
    for found in (reading.log_ref, writer.log_prob(start, reading)):
        assert found.dtype == jnp.float32
        np.testing.assert_allclose(np.asarray(found)[:, 1:], wanted, atol=1e-4)


def test_the_cache_writes_what_the_whole_text_says(made):
    *_, key, _, _, tokens, _ = made
    words = jax.random.uniform(jax.random.split(key)[1], (T, 6), jnp.float32)
    assert np.isin(np.asarray(tokens)[:, 1:-1], ENDS[1:]).any()
    for i, row in enumerate(np.asarray(tokens)):
        log_ref = reference(made, row)
        ended = False
        for t in range(T):
            chosen = PAD if ended else int(inverse(jnp.asarray(log_ref[None, t], jnp.float32), words[t, i][None])[0])
            assert row[1 + t] == chosen
            ended |= chosen in ENDS


def test_alive_is_the_answer_alone(made):
    reading = made[-1]
    assert made[1].told == tuple(PROMPTS)
    assert not np.any(reading.alive[:, 0]) and np.all(reading.alive[:, 1])
    world = made[1].world
    rows = jnp.array([[END, 9, END, PAD, PAD, PAD], [PAD, 9, 9, 9, 9, 9], [100, 9, 9, 139, END, 100]], jnp.int32)
    np.testing.assert_array_equal(world.alive(rows), [[0, 1, 1, 0, 0, 0], [0, 1, 1, 1, 1, 1], [0, 1, 1, 1, 0, 0]])


@pytest.fixture(scope="module")
def whole(made):
    """θ where nothing is saturated, and a function of a policy: its loss there and the gradient, all at once."""
    *_, start, theta, _, reading = made
    theta = jax.tree.map(lambda leaf, begun: begun + 0.1 * (leaf - begun), theta, start)
    r = jnp.asarray(np.random.default_rng(0).normal(size=(6, T + 1)), jnp.float32) * reading.alive.astype(jnp.float32)

    def loss(writer):
        return jax.jit(jax.value_and_grad(lambda theta: surrogate(held(writer, theta, reading), reading, r, 0.7)[0]))

    return loss, theta, loss(made[1].writer._replace(microbatch=None))(theta)


CHANGED = {
    "in parts": (None, 1e-5),
    "again": ({"remat": True}, 1e-5),
    "bfloat16": ({"precision": "bfloat16"}, 0.1),
}


@pytest.mark.parametrize("how", CHANGED)
def test_in_parts_computed_again_or_less_precisely_a_step_is_near_the_same(made, whole, how):
    (loss, theta, (wanted, slope)), (changed, near) = whole, CHANGED[how]
    writer = made[1].writer
    assert writer.microbatch == 2
    if changed:
        writer = author(str(made[0]), PROMPTS, T, small._replace(rank=2, group_size=2, **changed)).writer
    found, other = loss(writer)(theta)
    assert abs(float(found - wanted)) < near * abs(float(wanted))
    size, apart_by = (float(optax.tree.norm(tree)) for tree in (slope, jax.tree.map(jnp.subtract, slope, other)))
    assert size > 1e-2 and apart_by < near * size
    assert {leaf.dtype for leaf in jax.tree.leaves(other)} == {jnp.dtype("float32")}


def test_texts_of_one_prompt_stand_in_both_halves():
    number = np.asarray(drawn(jax.random.key(1), 50, 24, 4))
    assert sorted(np.unique(number, return_counts=True)[1]) == [4] * 6
    np.testing.assert_array_equal(number[:12], number[12:])


def test_within_groups_the_covariance_is_the_mean_of_covariances():
    draw, group = np.random.default_rng(2), np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
    u, v = draw.normal(size=(2, 9)) + 5.0 * group
    reading = Reading(None, None, None, None, None, jnp.asarray(group))
    shifted = np.asarray(apart(reading, jnp.asarray(u))[0])
    wanted = np.mean([np.cov(u[group == k], v[group == k])[0, 1] for k in range(3)])
    np.testing.assert_allclose(np.cov(shifted, v)[0, 1], wanted, rtol=1e-10)
    alone = Reading(None, None, None, None, None, jnp.arange(9))
    np.testing.assert_array_equal(apart(alone, jnp.asarray(u))[0], np.zeros(9))
