"""Rewards of texts against NumPy loops, and projections against the definition of the nearest."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.rewards.text import budgeted_lexicon, lexicon, linear_head, mlp_head
from upperhand.texts import Reading

T, V, D = 3, 6, 4
TOKENS = np.array([[3, 5, 2], [2, 0, 0], [4, 4, 4], [5, 2, 0]])
ALIVE = np.array([[1.0, 1, 1], [1, 0, 0], [1, 1, 1], [1, 1, 0]])


def reading():
    hidden = np.random.default_rng(0).normal(size=(4, T + 1, D))
    return Reading(*map(jnp.asarray, (TOKENS, ALIVE, hidden, hidden, np.zeros((4, T, V)))))


def test_a_lexicon_adds_the_weights_of_what_is_alive():
    """The end token has its weight, pads have none."""
    x = np.array([100.0, 50.0, 0.5, 1.0, -2.0, 3.0])
    found = lexicon(V).tokens(jnp.asarray(x), reading())
    np.testing.assert_array_equal(found, [[1, 3, 0.5], [0.5, 0, 0], [-2, -2, -2], [3, 0.5, 0]])


def test_heads_read_what_was_read_after_the_token():
    """⟨x, h_t⟩ and a hidden layer with the tanh form of gelu, by loops."""
    given, rng = reading(), np.random.default_rng(1)
    hidden = np.asarray(given.hidden)
    x = rng.normal(size=D)
    wanted = [[ALIVE[b, t] * hidden[b, t + 1] @ x for t in range(T)] for b in range(4)]
    np.testing.assert_allclose(linear_head(D).tokens(jnp.asarray(x), given), wanted, rtol=1e-12)
    head = mlp_head(D, hidden=5)
    start = head.init(jax.random.key(0))
    np.testing.assert_array_equal(head.tokens(start, given), np.zeros((4, T)))
    x = {name: rng.normal(size=leaf.shape) for name, leaf in start.items()}
    gelu = lambda z: z / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3)))  # noqa: E731
    wanted = [
        [ALIVE[b, t] * gelu(hidden[b, t + 1] @ x["into"] + x["shift"]) @ x["out"] for t in range(T)] for b in range(4)
    ]
    np.testing.assert_allclose(head.tokens(jax.tree.map(jnp.asarray, x), given), wanted, rtol=1e-12)


def test_every_reward_starts_at_nothing_and_keeps_the_precision_of_x():
    for reward in (lexicon(V), budgeted_lexicon(V, tokens=2), linear_head(D), mlp_head(D)):
        x = reward.init(jax.random.key(1))
        np.testing.assert_array_equal(reward.tokens(x, reading()), np.zeros((4, T)))
        single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), x)
        assert reward.tokens(single, reading()).dtype == jnp.float32


def test_a_budget_of_tokens_keeps_the_largest():
    """The nearest x of at most 3 weights, found among all choices of 3."""
    x = np.random.default_rng(2).normal(size=V)
    found = np.asarray(budgeted_lexicon(V, tokens=3).project(jnp.asarray(x)))
    distances = {kept: sum(x[a] ** 2 for a in range(V) if a not in kept) for kept in combinations(range(V), 3)}
    best = min(distances, key=distances.get)
    np.testing.assert_array_equal(found, [x[a] if a in best else 0 for a in range(V)])
    tied = budgeted_lexicon(V, tokens=2).project(jnp.asarray([1.0, -1.0, 1.0, 0, 0, 0]))
    np.testing.assert_array_equal(tied, [1, -1, 0, 0, 0, 0])


def test_a_budget_of_size_is_the_nearest_of_the_ball():
    """Soft thresholding at the one threshold that spends the radius, by bisection; inside, x stays."""
    x, radius = np.random.default_rng(3).normal(size=V), 1.5
    low, high = 0.0, np.abs(x).max()
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if np.maximum(np.abs(x) - middle, 0).sum() > radius else (low, middle)
    project = budgeted_lexicon(V, radius=radius).project
    np.testing.assert_allclose(project(jnp.asarray(x)), np.sign(x) * np.maximum(np.abs(x) - low, 0), atol=1e-12)
    np.testing.assert_allclose(project(jnp.asarray(0.01 * x)), 0.01 * x, rtol=1e-12)


@pytest.mark.parametrize(
    "budget", [{}, {"tokens": 2, "radius": 1.0}, {"tokens": 0}, {"tokens": V + 1}, {"radius": -1.0}]
)
def test_other_budgets_are_refused(budget):
    with pytest.raises(ValueError, match="tokens|radius"):
        budgeted_lexicon(V, **budget)
