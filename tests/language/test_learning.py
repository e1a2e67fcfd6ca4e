"""Packed rows against text by text, in NumPy; a learner that learns what can be known, and no more."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.language.learning import learning, nats, validation
from upperhand.language.packing import packed, visible
from upperhand.language.presets import PRESETS, chosen, tiny
from upperhand.mdps.tokens import Tokens, write
from upperhand.policies.transformer import Shape, initial, writer
from upperhand.run import run

WORLD = Tokens(24, 8)
SHAPE = Shape(24, 8, 16, 2, 2)

of_rows = jax.jit(lambda weights, rows: nats(SHAPE, WORLD, weights, rows))


def texts(count: int, world: Tokens = WORLD, seed: int = 0) -> np.ndarray:
    """Ended texts of random lengths, 1 to T tokens."""
    random = np.random.default_rng(seed)
    tokens = random.integers(3, world.vocabulary, (count, world.length)).astype(np.int32)
    for row, last in enumerate(random.integers(0, world.length, count)):
        tokens[row, last], tokens[row, last + 1 :] = world.end, world.pad
    return tokens


def test_rows_hold_every_text_once():
    tokens = texts(300)
    rows = packed(tokens, 16, WORLD)
    found = []
    for place in range(len(rows.tokens)):
        for number in range(1, rows.texts[place].max() + 1):
            here = np.flatnonzero(rows.texts[place] == number)
            text, read = rows.targets[place, here], rows.tokens[place, here]
            assert (np.diff(here) == 1).all() and (rows.positions[place, here] == range(len(here))).all()
            assert read.tolist() == [WORLD.begin, *text[:-1]]
            found.append(tuple(text))
    wanted = [tuple(row[row != WORLD.pad]) for row in tokens]
    assert sorted(found) == sorted(wanted)
    empty = rows.texts == 0
    assert not rows.tokens[empty].any() and not rows.targets[empty].any()


def test_hardly_a_place_is_left_empty():
    rows = packed(texts(3000), 12, WORLD)
    assert (rows.texts > 0).mean() > 0.99


def test_a_row_as_long_as_the_longest_text_is_enough():
    tokens = np.array([[3] * 7 + [2]] * 3, np.int32)
    assert packed(tokens, 8, WORLD).targets.tolist() == tokens.tolist()


def test_what_may_be_looked_at():
    wanted = [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    np.testing.assert_array_equal(visible(jnp.asarray([[1, 1, 2, 0]]))[0], wanted)


def test_packed_rows_cost_what_their_texts_cost_one_by_one():
    """Σ −log π of the texts, read by the policy each alone, float64; pads cost nothing."""
    random = np.random.default_rng(1)
    weights = jax.tree.map(
        lambda leaf: jnp.asarray(leaf + 0.3 * random.normal(size=leaf.shape), float), initial(jax.random.key(0), SHAPE)
    )
    tokens = texts(40)
    reading = writer(SHAPE, weights, write, WORLD).read(jnp.asarray(tokens))
    chosen = np.take_along_axis(np.asarray(reading.log_ref), tokens[..., None], -1)[..., 0]
    wanted = -(chosen * (tokens != WORLD.pad)).sum()
    rows = packed(tokens, 20, WORLD)
    found = of_rows(weights, rows)
    assert float(found.nats) == pytest.approx(wanted, rel=1e-10)
    assert float(found.tokens) == (tokens != WORLD.pad).sum()
    assert validation(SHAPE, WORLD, rows, batch=7)(weights) == pytest.approx(wanted / (tokens != 0).sum(), rel=1e-10)


def test_it_learns_what_can_be_known():
    """Texts of a Markov chain whose entropy a token is known: the held-out loss comes to it from above."""
    world, random = Tokens(9, 8), np.random.default_rng(0)
    law = random.dirichlet(np.full(7, 0.3), 9)  # of tokens 2 … 8, by the last token

    def text():
        found = [world.begin]
        while found[-1] != world.end and len(found) <= world.length:
            found.append(2 + random.choice(7, p=law[found[-1]]))
        return found[1:]

    drawn = [line for line in (text() for _ in range(6000)) if line[-1] == world.end]
    tokens = np.array([line + [0] * (8 - len(line)) for line in drawn], np.int32)
    before = np.concatenate([np.full((len(tokens), 1), 1), tokens[:, :-1]], 1)
    train, held_out = packed(tokens[:-800], 16, world), packed(tokens[-800:], 16, world)
    preset = tiny._replace(rows=16, row=16, steps=250, step_size=1e-2)
    shape = Shape(9, 8, 16, 2, 2)
    solver, judge = learning(preset, shape, world, train), validation(shape, world, held_out)
    start = initial(jax.random.key(0), shape)
    rows = []
    last = run(
        solver,
        jax.random.key(0),
        solver.init(start, ()),
        steps=250,
        every=250,
        sinks=[lambda row, state: rows.append(row)],
    )
    # the texts that did not end in time are missing, so the chain's own law is an upper bound of what can be known
    bound = -np.log(law[before, np.maximum(tokens, 2) - 2])[-800:][tokens[-800:] > 0].mean()
    counted = np.zeros((9, 8, 9))  # by position and last token: all that matters, counted on the training texts
    for line, last_ones in zip(tokens[:-800], before[:-800], strict=True):
        for position in np.flatnonzero(line):
            counted[last_ones[position], position, line[position]] += 1
    best = (counted + 0.1) / (counted + 0.1).sum(-1, keepdims=True)
    place = np.broadcast_to(np.arange(8)[None], tokens.shape)
    known = -np.log(best[before, place, tokens])[-800:][tokens[-800:] > 0].mean()
    assert judge(start) > known + 0.5
    assert known - 0.02 < judge(last.x) < min(bound, known) + 0.03
    assert {leaf.dtype for leaf in jax.tree.leaves(last.x)} == {np.dtype("float32")}
    assert rows[-1]["samples"] == pytest.approx(250 * 16 * 16, rel=0.02)


def test_every_row_is_met_before_any_is_met_again():
    """Two steps of half the rows each: the gradients are of all tokens, each once."""
    tokens = texts(60)
    rows = packed(tokens, 8, WORLD)
    half = len(rows.tokens) // 2
    rows = jax.tree.map(lambda leaf: leaf[: 2 * half], rows)
    preset = tiny._replace(rows=half, row=8, step_size=0.0, decay=0.0)
    solver, weights = learning(preset, SHAPE, WORLD, rows), initial(jax.random.key(0), SHAPE)
    update, state, total = jax.jit(solver.update), solver.init(weights, ()), 0.0
    for _ in range(2):
        state, info = update(jax.random.key(0), state)
        total += float(info.upper) * float(info.cost.samples)
    assert total == pytest.approx(float(of_rows(weights, rows).nats), rel=1e-5)
    assert int(state.count) == 2


def test_presets():
    assert chosen("laptop") is PRESETS["laptop"] and chosen(tiny) is tiny
    with pytest.raises(ValueError, match="preset must be one of tiny, laptop, full: got 'huge'"):
        chosen("huge")
