"""Toy-text worlds: the published exact start values, and the rules of the conversion."""

import inspect
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from probes import kernel
from upperhand.mdps.toytext import from_table, toytext_world
from upperhand.policy_gradients import value_iteration

LAKE, LARGE, DRY = {"map_name": "4x4"}, {"map_name": "8x8"}, {"map_name": "4x4", "is_slippery": False}
WORLDS = {  # name, options, γ, then the start value at τ = 0, .01, .1, 1
    "lake": ("FrozenLake", LAKE, 0.99, ".542026 .598924 2.471032 23.918127"),
    "lake, γ .9": ("FrozenLake", LAKE, 0.9, ".068891 .115600 .801430 7.889571"),
    "dry lake": ("FrozenLake", DRY, 0.99, ".950990 1.196424 11.964243 119.642427"),
    "large lake": ("FrozenLake", LARGE, 0.99, ".414640 .965964 9.545994 95.451507"),
    "cliff": ("CliffWalking", {}, 0.99, "-12.247898 -12.247898 -12.247848 32.968344"),
    "cliff, γ .9": ("CliffWalking", {}, 0.9, "-7.458134 -7.458134 -7.431168 2.691724"),
    "slippery cliff": ("CliffWalking", {"is_slippery": True}, 0.99, "-46.352672 -46.352670 -46.168715 4.889501"),
    "taxi": ("Taxi", {}, 0.99, "6.327464 6.346853 6.521372 44.418688"),
    "taxi, γ .9": ("Taxi", {}, 0.9, "-1.263323 -1.250924 -1.139167 4.470664"),
}
SHAPES = {"lake": (16, 4, 3, 1), "large lake": (64, 4, 3, 1), "cliff": (48, 4, 1, 1), "taxi": (500, 6, 1, 300)}


def made(case):
    name, options, discount, _ = WORLDS[case]
    return toytext_world(name, discount=discount, options=options)


def assert_printed(value: float, printed: str) -> None:
    """Equal to every printed digit: off by half a unit of the last one at most."""
    assert abs(value - float(printed)) <= 0.5001e-6, f"got {value:.12g}, printed {printed}"


@pytest.mark.parametrize("case", WORLDS)
def test_published_start_values(case):
    """τ = 0 by plain value iteration in NumPy, τ > 0 by the soft one of the library."""
    mdp, r = made(case)
    at_zero, *soft = WORLDS[case][3].split()
    v = np.zeros(mdp.states)
    for _ in range(3000):
        v = (r + mdp.discount * (mdp.probability * v[mdp.successor]).sum(-1)).max(-1)
    assert_printed(mdp.start @ v, at_zero)
    solve = jax.jit(lambda tau: value_iteration(mdp, jnp.asarray(r), tau, tolerance=1e-9).v)
    for tau, printed in zip((0.01, 0.1, 1.0), soft, strict=True):
        assert_printed(mdp.start @ np.asarray(solve(tau)), printed)


@pytest.mark.parametrize("case", SHAPES)
def test_shapes(case):
    mdp, r = made(case)
    S, A, K, starts = SHAPES[case]
    assert mdp.successor.shape == (S, A, K) and r.shape == (S, A) and (mdp.start > 0).sum() == starts


def test_rules_on_a_table_by_hand():
    """Same next states add up, ends leave the kernel, rewards enter by expectation, terminal rows are not read on."""
    table = {
        0: {0: [(0.25, 1, 4.0, False), (0.5, 1, 2.0, False), (0.25, 0, 0.0, False)], 1: [(1.0, 1, 7.0, True)]},
        1: {0: [(0.6, 1, 5.0, True), (0.4, 0, -1.0, False)], 1: [(1.0, 1, 0.0, True)]},
    }
    mdp, r = from_table(table, np.array([1.0, 0.0]), discount=0.5)
    np.testing.assert_allclose(kernel(mdp), [[[0.25, 0.75], [0, 0]], [[0.4, 0], [0, 0]]])
    np.testing.assert_allclose(mdp.ending, [[0, 1], [0.6, 1]])
    np.testing.assert_allclose(r, [[2.0, 7.0], [2.6, 0.0]])
    assert mdp.successor.shape[-1] == 2


def test_without_gymnasium_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(ValueError, match=r"pip install 'upperhand\[worlds\]'") as caught:
        toytext_world("Taxi")
    assert "\n" not in str(caught.value)


BAD = {
    "unknown": (("Blackjack",), {}, "FrozenLake, CliffWalking, Taxi"),
    "a version": (("Taxi-v3",), {}, "'Taxi-v3'"),
    "an option": (("Taxi",), {"options": {"wings": 2}}, "wings"),
    "a map": (("FrozenLake",), {"options": {"map_name": "9x9"}}, "9x9"),
    "discount": (("Taxi",), {"discount": 1.0}, "discount"),
}


@pytest.mark.parametrize("case", BAD)
def test_it_refuses(case):
    words, settings, told = BAD[case]
    with pytest.raises(ValueError) as caught:
        inspect.unwrap(toytext_world)(*words, **settings)
    assert told in str(caught.value) and "\n" not in str(caught.value)
