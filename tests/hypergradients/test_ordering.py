"""The orders of examples: permutations, fresh or kept, or draws with replacement, and all of them equally likely."""

from functools import partial
from itertools import permutations
from math import factorial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.hypergradients.ordering import (
    Ordering,
    independent,
    passed,
    reshuffled,
    shuffle_once,
    taken,
    unordered,
)
from upperhand.hypergradients.radius import radius_of, within
from upperhand.settings import choices


def places(ordering, key, length, batch, updates):
    """[updates, batch] what is taken, and the list after each update."""

    def body(order, count):
        order, found = taken(ordering, jax.random.fold_in(key, count), order, count, batch)
        return order, (found, order)

    return jax.lax.scan(body, unordered(length), jnp.arange(updates, dtype=jnp.int32))[1]


@pytest.mark.parametrize(("length", "batch"), [(7, 1), (7, 3), (4, 6)])
def test_a_pass_holds_every_example_once(length, batch):
    """Also where a batch is no divisor of a pass, or longer than one; a fixed order is the same in every pass."""
    updates = 6 * length
    for ordering in (reshuffled, shuffle_once):
        program = jax.jit(partial(places, ordering, length=length, batch=batch, updates=updates))
        found, lists = map(np.asarray, program(jax.random.key(0)))
        rows = found.ravel().reshape(-1, length)
        assert np.array_equal(np.sort(rows, 1), np.broadcast_to(np.arange(length), rows.shape))
        assert np.array_equal(np.sort(lists, 1), np.broadcast_to(np.arange(length), lists.shape))
        different = len(set(map(tuple, rows)))
        assert different == 1 if ordering is shuffle_once else different > min(len(rows), factorial(length)) / 2


def test_every_permutation_is_as_likely_as_any_whatever_came_before():
    """4 examples, the second pass of 12,000 runs: 24 permutations of 500 each; their χ² has mean 23, deviation 6.8."""
    runs = jax.random.split(jax.random.key(1), 12_000)
    found = {}
    for name, ordering in (("fresh", reshuffled), ("kept", shuffle_once)):
        taken_by = jax.jit(jax.vmap(lambda key: places(ordering, key, 4, 1, 8)[0][:, 0]))  # noqa: B023
        found[name] = np.asarray(taken_by(runs))
        counts = np.array([(found[name][:, 4:] == row).all(1).sum() for row in permutations(range(4))])
        assert ((counts - 500) ** 2 / 500).sum() < 23 + 5 * 6.8
    assert (found["kept"][:, :4] == found["kept"][:, 4:]).all()
    same = (found["fresh"][:, :4] == found["fresh"][:, 4:]).all(1).mean()
    assert same == pytest.approx(1 / 24, abs=5 * np.sqrt(1 / 24 / 12_000))  # the passes are independent


def test_independent_draws_are_uniform_and_know_nothing_of_each_other():
    """4 examples: each draw is each of them with ¼, and two draws are the same with ¼, next to each other or not."""
    found = np.asarray(jax.jit(lambda key: places(independent, key, 4, 3, 8_000)[0])(jax.random.key(2))).ravel()
    spread = 5 * np.sqrt(0.25 * 0.75 / found.size)
    assert np.bincount(found) / found.size == pytest.approx(np.full(4, 0.25), abs=spread)
    for apart in (1, 2, 4, 5):
        assert (found[apart:] == found[:-apart]).mean() == pytest.approx(0.25, abs=1.5 * spread)


def test_passes_over_a_list_that_is_begun_anew():
    """Permutations where they are; of a fixed order the same ones for the same key only."""
    program = jax.jit(lambda key: tuple(passed(one, key, 6, 3) for one in (reshuffled, shuffle_once, independent)))
    fresh, kept, drawn = map(np.asarray, program(jax.random.key(3)))
    assert fresh.shape == kept.shape == drawn.shape == (3, 6)
    for rows in (fresh, kept):
        assert np.array_equal(np.sort(rows, 1), np.broadcast_to(np.arange(6), (3, 6)))
    assert len(set(map(tuple, fresh))) == 3 and len(set(map(tuple, kept))) == 1
    other = np.asarray(program(jax.random.key(4))[1])
    assert not np.array_equal(other, kept) and np.array_equal(program(jax.random.key(3))[1], kept)


def test_orders_are_choices_of_the_command_line():
    assert choices(Ordering) == {"reshuffled": reshuffled, "shuffle_once": shuffle_once, "independent": independent}


def test_a_radius_is_of_all_numbers_together():
    tree = {"a": jnp.asarray([3.0, 0.0]), "b": jnp.asarray(4.0)}  # norm 5
    half = within(2.5, tree)
    np.testing.assert_allclose(np.append(half["a"], half["b"]), [1.5, 0.0, 2.0], rtol=1e-12)
    for kept in (within(5.0, tree), within(None, tree)):
        np.testing.assert_array_equal(np.append(kept["a"], kept["b"]), [3.0, 0.0, 4.0])
    zero = jax.tree.map(jnp.zeros_like, tree)
    assert float(within(1.0, zero)["b"]) == 0.0 and radius_of(None) is None and radius_of(2.0) == 2.0
