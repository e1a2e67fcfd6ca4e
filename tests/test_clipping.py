"""Clipping as a transformation: its length, its quantile, what it may not hide, and it inside of other methods."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import general_probes as probes
from upperhand.clipping import clip, clip_norm, clip_quantile, clipped_step
from upperhand.schedule import Power, geometric
from upperhand.solvers import alt_pbgd
from upperhand.types import Scaled


def test_a_clipped_tree_is_at_most_so_long_and_a_short_one_is_as_it_was():
    """C3, over all leaves together; also where squares overflow or vanish in float32."""
    tree = {"a": jnp.asarray([3.0, 0.0]), "b": jnp.asarray(4.0)}
    for level in (1e-6, 0.5, 4.999):
        cut, norm = clip(tree, level)
        assert float(norm) == pytest.approx(5) and float(optax.tree.norm(cut)) == pytest.approx(level, rel=1e-12)
        np.testing.assert_allclose(cut["b"] / cut["a"][0], 4 / 3)
    for level in (5.0, 7.0, float("inf")):
        jax.tree.map(np.testing.assert_array_equal, clip(tree, level)[0], tree)
    with jax.enable_x64(False):
        for size in (1e30, 1e-30, 3e38):
            cut, norm = clip(jnp.asarray([size, size], jnp.float32), size / 10)
            np.testing.assert_allclose(cut, np.full(2, size / 10 / np.sqrt(2)), rtol=1e-6)
    assert not np.asarray(clip(jnp.zeros(3), 1.0)[0]).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("made", [lambda: clip_norm(1.0), lambda: clip_quantile(0.5)])
def test_what_is_not_finite_stays_so(bad, made):
    """And leaves the level where it was."""
    clipping, wrong = made(), {"a": jnp.asarray([1.0, bad]), "b": jnp.asarray([2.0])}
    state = clipping.init(wrong)
    for _ in range(2):
        before = state
        cut, state = clipping.update(wrong, state)
        assert not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(cut))
        if hasattr(state, "level"):
            assert state == before
        _, state = clipping.update({"a": jnp.ones(2), "b": jnp.ones(1)}, state)


def test_a_level_is_a_schedule():
    """A number, two ends, a function of the count, a Scaled; infinite is none."""
    ones = jnp.ones(4)
    levels = [(0.5, [0.5] * 3), ((1.0, 0.25), [1.0, 0.5, 0.25]), (Power(1.0, -1.0), [1, 1 / 2, 1 / 3])]
    levels += [(Scaled((1.0, 0.25), jnp.asarray(0.1)), [0.1, 0.05, 0.025]), (float("inf"), [2.0] * 3)]
    for level, wanted in levels:
        clipping = clip_norm(level, steps=2)
        state, lengths = clipping.init(ones), []
        for _ in range(3):
            cut, state = clipping.update(ones, state)
            lengths.append(float(jnp.linalg.norm(cut)))
        assert lengths == pytest.approx(wanted, rel=1e-6)
    for bad in (0.0, -1.0, float("nan"), (1.0, 0.0)):
        with pytest.raises(ValueError, match="^level must be .*got"):
            clip_norm(bad)


def test_the_running_quantile_is_its_recursion_in_numpy():
    clipping, random = clip_quantile(0.8, Power(0.7, -0.4)), np.random.default_rng(0)
    rows = random.standard_t(2.1, size=(40, 3))
    rows[[5, 6]] = 0.0  # passed over
    state, told = jax.jit(
        lambda rows: jax.lax.scan(lambda s, d: clipping.update(d, s)[::-1], clipping.init(rows[0]), rows)
    )(jnp.asarray(rows))
    level, seen = None, 0
    for row, cut in zip(rows, np.asarray(told), strict=True):
        norm = np.linalg.norm(row)
        now = np.inf if level is None else np.exp(level)
        np.testing.assert_allclose(cut, row * (min(1, now / norm) if norm else 1), rtol=1e-10)
        if norm:
            gain = 0.7 * (seen + 1) ** -0.4
            level = np.log(norm) if level is None else level + gain * ((norm > now) - 0.2)
            seen += 1
    assert float(state.level) == pytest.approx(level, rel=1e-12) and int(state.count) == seen == 38


@pytest.mark.parametrize(("quantile", "scale"), [(0.5, 1.0), (0.9, 1e4), (0.99, 1e-4)])
def test_the_level_ends_at_the_quantile_whatever_the_scale(quantile, scale):
    """Pareto lengths of index 2.05: the quantile is (1 − q)^(−1/2.05). 40 runs from random first lengths."""
    clipping = clip_quantile(quantile)
    lengths = scale * np.random.default_rng(1).random((40, 4000, 1)) ** (-1 / 2.05)

    def one(lengths):
        step = lambda state, d: (clipping.update(d, state)[1], None)  # noqa: E731
        return jax.lax.scan(step, clipping.init(lengths[0]), lengths)[0].level

    found = np.exp(jax.jit(jax.vmap(one))(jnp.asarray(lengths)))
    wanted = scale * (1 - quantile) ** (-1 / 2.05)
    assert np.exp(np.mean(np.log(found))) == pytest.approx(wanted, rel=0.1)


def test_settings_out_of_range_are_named():
    for quantile in (0.0, 1.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="^quantile must be .*got"):
            clip_quantile(quantile)
    with pytest.raises(ValueError, match="^gain must be .*got"):
        clip_quantile(0.5, 0.0)


def test_it_is_a_step_of_x_of_any_method():
    """alt_pbgd with steps of at most .01 · 1 moves x by exactly that while ‖dx‖ > 1; with a quantile it arrives."""
    probe = probes.follows()

    def ends(step, count):
        solver = alt_pbgd(probe.problem, loops=40, x_step=step, y_step=0.4, penalty=1e-3)
        body = lambda k, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
        return jax.jit(lambda key: jax.lax.fori_loop(0, count, body, solver.init(*probe.problem.init(key))).x)(
            jax.random.key(0)
        )

    start = probe.problem.init(jax.random.key(0))[0]
    assert float(jnp.linalg.norm(ends(clipped_step(0.01, 0.5), 20) - start)) == pytest.approx(0.1, rel=0.02)
    assert float(jnp.linalg.norm(ends(clipped_step(0.3), 300) - probe.x_star)) < 2e-3
    chained = optax.chain(clip_quantile(0.9), optax.adam(geometric(0.1, 1e-3, 300)))
    assert float(jnp.linalg.norm(ends(chained, 300) - probe.x_star)) < 1e-2
