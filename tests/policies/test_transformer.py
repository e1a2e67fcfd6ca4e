"""The transformer against NumPy, finite differences and its own enumerated law; cached decoding against one pass."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chi2

from upperhand.mdps.tokens import Tokens, every_text, write
from upperhand.policies.layers import dropped
from upperhand.policies.transformer import Shape, biased, decoding, initial, joined, network, split, writer

SHAPE = Shape(vocabulary=40, length=9, width=16, layers=2, heads=2, tuned=1)
WORLD = Tokens(SHAPE.vocabulary, SHAPE.length)
TOY = Tokens(6, 3)


def weights_of(shape: Shape, dtype=np.float32, seed=0):
    """Weights far from the start, where the layers are not the identity."""
    random = np.random.default_rng(seed)
    start = initial(jax.random.key(seed), shape)
    return jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.3 * random.normal(size=leaf.shape), dtype), start)


def texts_of(world: Tokens, batch: int, seed=0) -> jax.Array:
    """Random texts; some end early."""
    tokens = np.random.default_rng(seed).integers(3, world.vocabulary, (batch, world.length))
    for row, end in enumerate(np.random.default_rng(seed + 1).integers(1, 2 * world.length, batch)):
        tokens[row, end : end + 1], tokens[row, end + 1 :] = world.end, world.pad
    return jnp.asarray(tokens, jnp.int32)


def in_numpy(weights, shape: Shape, tokens: np.ndarray) -> np.ndarray:
    """Logits after each of one text's tokens, position by position, head by head."""
    w = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), weights)
    D, H = shape.width, shape.heads
    d = D // H
    norm = lambda h, gain: h / np.sqrt((h**2).mean(-1, keepdims=True) + 1e-6) * gain  # noqa: E731

    def turned(v, position):
        angle = position * 1000.0 ** (-np.arange(d // 2) / (d // 2))
        pairs = (v[: d // 2] + 1j * v[d // 2 :]) * np.exp(1j * angle)
        return np.concatenate([pairs.real, pairs.imag])

    h = w["embedding"][tokens] * np.sqrt(D)
    for place in range(shape.layers):
        layer = w["layers"][place]
        q, k, v = np.split(norm(h, layer["before"]) @ layer["qkv"], 3, -1)
        after = np.zeros_like(h)
        for head in range(H):
            part = slice(head * d, (head + 1) * d)
            for t in range(len(tokens)):
                scores = [turned(q[t, part], t) @ turned(k[s, part], s) / np.sqrt(d) for s in range(t + 1)]
                share = np.exp(scores - np.max(scores))
                after[t, part] = share @ v[: t + 1, part] / share.sum()
        h = h + after @ layer["out"]
        h = h + np.maximum(norm(h, layer["between"]) @ layer["up"], 0) ** 2 @ layer["down"]
    return norm(h, w["norm"]) @ w["embedding"].T


@pytest.fixture(scope="module")
def policy():
    weights = weights_of(SHAPE)
    return writer(SHAPE, weights, write, WORLD), weights


def test_it_is_what_numpy_computes():
    weights = weights_of(SHAPE, np.float64)
    made, texts = writer(SHAPE, weights, write, WORLD), texts_of(WORLD, 3)
    reading = made.read(texts)
    assert reading.log_ref.dtype == np.float64
    for row, text in enumerate(np.asarray(texts)):
        logits = in_numpy(weights, SHAPE, np.array([1, *text[:-1]]))[:, 2:]
        wanted = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        np.testing.assert_allclose(reading.log_ref[row, :, 2:], wanted, rtol=1e-9, atol=1e-9)


def test_decoding_with_the_cache_is_the_whole_pass(policy):
    """Token by token, 1e-5 in float32."""
    made, weights = policy
    texts = texts_of(WORLD, 5)
    model, wanted = network(SHAPE, weights), made.read(texts).log_ref
    step, memory, token = jax.jit(decoding(model)), model.memory(5, SHAPE.length), jnp.full(5, 1, jnp.int32)
    for t in range(SHAPE.length):
        logits, memory = step(memory, token, jnp.int32(t))
        found = jax.nn.log_softmax(jnp.where(np.arange(SHAPE.vocabulary)[None] < 2, -jnp.inf, logits))
        assert logits.dtype == np.float32
        np.testing.assert_allclose(found[:, 2:], wanted[:, t, 2:], atol=1e-5, rtol=1e-5)
        token = texts[:, t]


def test_several_tokens_may_enter_the_cache_at_once(policy):
    _, weights = policy
    whole_model, texts = network(SHAPE, weights), texts_of(WORLD, 2)
    model = jax.jit(lambda *args: whole_model(*args))
    positions = jnp.broadcast_to(jnp.arange(9, dtype=jnp.int32)[None], (2, 9))
    whole, nothing = model(texts, positions)
    first, cache = model(texts[:, :4], positions[:, :4], whole_model.memory(2, 9))
    second, _ = model(texts[:, 4:], positions[:, 4:], cache)
    assert nothing is None
    np.testing.assert_allclose(jnp.concatenate([first, second], 1), whole, atol=2e-5)


def test_nothing_is_known_of_what_comes_later(policy):
    made, _ = policy
    texts = texts_of(WORLD, 4)
    later = texts.at[:, 5:].set(texts_of(WORLD, 4, seed=7)[:, 5:])
    one, two = made.read(texts), made.read(later)
    np.testing.assert_array_equal(one.log_ref[:, :6], two.log_ref[:, :6])
    np.testing.assert_array_equal(one.hidden[:, :6], two.hidden[:, :6])
    assert np.abs(one.log_ref - two.log_ref)[:, 6:, 2:].min(-1).max() > 1e-3


def test_a_reading(policy):
    """Shapes, types, and probabilities that sum to one without pad and begin."""
    made, _ = policy
    texts = texts_of(WORLD, 4)
    reading = made.read(texts)
    assert reading.hidden.shape == (4, 10, 16) and reading.log_ref.shape == (4, 9, 40)
    assert {reading.hidden.dtype, reading.log_ref.dtype, reading.features.dtype} == {np.dtype("float32")}
    p = np.exp(np.asarray(reading.log_ref, np.float64))
    np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
    assert not p[..., :2].any() and np.isfinite(reading.log_ref).all()
    np.testing.assert_array_equal(reading.alive.sum(1), [list(row).index(2) + 1 if 2 in row else 9 for row in texts])


def test_it_starts_at_its_reference_and_moves_with_theta(policy):
    made, weights = policy
    theta, reading = made.init(jax.random.key(0)), made.read(texts_of(WORLD, 4))
    np.testing.assert_allclose(made.log_prob(theta, reading), reading.log_ref, atol=1e-5, rtol=1e-6)
    trunk, _ = split(weights, SHAPE)
    moved = jax.tree.map(lambda leaf: leaf * 1.1, theta)
    other = writer(SHAPE, joined(trunk, moved), write, WORLD).read(reading.tokens)
    np.testing.assert_allclose(made.log_prob(moved, reading), other.log_ref, atol=1e-5, rtol=1e-6)
    assert np.abs(other.log_ref - reading.log_ref).max() > 0.1


@pytest.mark.parametrize("tuned", [0, 1, 2])
def test_theta_holds_the_top_layers_and_the_last_norm(tuned):
    shape = SHAPE._replace(tuned=tuned)
    weights = weights_of(shape)
    trunk, theta = split(weights, shape)
    assert sorted(theta) == ["layers", "norm"] and sorted(theta["layers"]) == list(range(2 - tuned, 2))
    assert sorted(trunk) == ["embedding", "layers"] and sorted(trunk["layers"]) == list(range(2 - tuned))
    assert jax.tree.structure(joined(trunk, theta)) == jax.tree.structure(weights)
    made, texts = writer(shape, weights, write, WORLD), texts_of(WORLD, 2)
    np.testing.assert_allclose(made.log_prob(theta, made.read(texts)), made.read(texts).log_ref, atol=1e-5, rtol=1e-6)


def test_the_gradient_in_theta():
    """Central differences along random directions, float64."""
    shape, world = Shape(8, 4, 8, 2, 2, tuned=1), Tokens(8, 4)
    made = writer(shape, weights_of(shape, np.float64), write, world)
    reading, weight = made.read(texts_of(world, 3)), np.random.default_rng(1).normal(size=(3, 4, 6))
    value = jax.jit(lambda theta: jnp.sum(weight * made.log_prob(theta, reading)[..., 2:]))
    theta = made.init(jax.random.key(0))
    gradient = jax.grad(value)(theta)
    for seed in range(5):
        random = np.random.default_rng(seed)
        way = jax.tree.map(lambda leaf: jnp.asarray(random.normal(size=leaf.shape)), theta)  # noqa: B023
        ahead, behind = (jax.tree.map(lambda a, b: a + h * b, theta, way) for h in (1e-5, -1e-5))  # noqa: B023
        wanted = (value(ahead) - value(behind)) / 2e-5
        found = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(way), strict=True))
        assert float(found) == pytest.approx(float(wanted), rel=1e-6)


def frequencies_fit(made, theta, batch=40_000) -> bool:
    """Whether texts are written as often as log_prob says, by Pearson's statistic over all of them."""
    texts = every_text(TOY)
    reading = made.read(jnp.asarray(texts))
    chosen = jnp.take_along_axis(made.log_prob(theta, reading), reading.tokens[..., None], -1)[..., 0]
    law = np.exp(np.asarray(jnp.sum(chosen * reading.alive, 1)))
    assert law.sum() == pytest.approx(1, abs=1e-5)
    place = {tuple(text): i for i, text in enumerate(texts.tolist())}
    written = np.asarray(made.write(jax.random.key(3), theta, batch)).tolist()
    found = np.bincount([place[tuple(text)] for text in written], minlength=len(texts))
    likely = batch * law > 5
    rest = np.append(batch * law[likely], max(batch * law[~likely].sum(), 1e-9))
    seen = np.append(found[likely], found[~likely].sum())
    return np.sum((seen - rest)[rest > 5] ** 2 / rest[rest > 5]) < chi2.ppf(0.999, (rest > 5).sum() - 1)


def test_it_writes_with_the_probabilities_that_it_tells():
    shape = Shape(6, 3, 8, 2, 2, tuned=1)
    made = writer(shape, weights_of(shape), write, TOY)
    theta = jax.tree.map(lambda leaf: 1.2 * leaf, made.init(jax.random.key(0)))
    assert frequencies_fit(made, theta)


def test_the_logit_bias_agent():
    """π ∝ π_ref exp(x), written and told; without a bias it writes the texts of the reference."""
    shape = Shape(6, 3, 8, 2, 2)
    weights = weights_of(shape)
    made, plain = biased(shape, weights, write, TOY), writer(shape, weights, write, TOY)
    zero = made.init(jax.random.key(0))
    np.testing.assert_array_equal(
        made.write(jax.random.key(1), zero, 50), plain.write(jax.random.key(1), plain.init(jax.random.key(0)), 50)
    )
    x = jnp.asarray([9.0, 9.0, 0.5, -1.0, 1.0, 0.3])
    reading = made.read(jnp.asarray(every_text(TOY)))
    p = np.exp(np.asarray(reading.log_ref, np.float64)) * np.exp(np.asarray(x))
    np.testing.assert_allclose(
        np.exp(np.asarray(made.log_prob(x, reading), np.float64)), p / p.sum(-1, keepdims=True), atol=1e-6
    )
    assert frequencies_fit(made, x)


def test_the_same_numbers_write_the_same_texts(policy):
    made, _ = policy
    theta = made.init(jax.random.key(0))
    one, two = (made.write(jax.random.key(seed), theta, 8) for seed in (5, 5))
    np.testing.assert_array_equal(one, two)
    assert one.shape == (8, 9) and one.dtype == jnp.int32


def test_dropout_loses_its_share_and_keeps_the_mean():
    h = dropped(jnp.ones((400, 500), jnp.float32), jax.random.key(0), 0.25)
    assert h.dtype == np.float32 and set(np.unique(h)) == {0, np.float32(4 / 3)}
    assert float((h == 0).mean()) == pytest.approx(0.25, abs=0.004)  # 4 standard deviations
    one = jnp.ones(3)
    assert dropped(one, None, 0.5) is one and dropped(one, jax.random.key(0), 0.0) is one


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"heads": 3}, "width must be a multiple of 2 · heads = 6: got 16"),
        ({"tuned": 4}, "tuned must be at most layers = 2: got 4"),
        ({"vocabulary": 3}, "vocabulary of a transformer must be a whole number, at least 4: got 3"),
        ({"length": 0}, "length of a transformer must be a whole number, at least 1: got 0"),
    ],
)
def test_sizes_that_do_not_fit(wrong, said):
    with pytest.raises(ValueError, match=said):
        initial(jax.random.key(0), SHAPE._replace(**wrong))


def test_without_flax(monkeypatch):
    monkeypatch.delitem(sys.modules, "upperhand.policies.layers")
    monkeypatch.setitem(sys.modules, "flax", None)
    with pytest.raises(ValueError, match=r"a transformer needs flax: pip install 'upperhand\[tweets\]'\."):
        initial(jax.random.key(0), SHAPE)
