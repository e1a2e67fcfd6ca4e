"""Each mirror step is the minimiser that it claims to be; its memory, its place, and its names on the command line."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.forms import Bilevel
from upperhand.hypergradients import mirrors
from upperhand.hypergradients.mirrors import Mirror, adaptive, diagonal, entropy, euclidean, mover
from upperhand.settings import choices, restored, stored

X, D = np.array([0.5, -0.2, 0.02, 0.4]), np.array([1.0, -0.7, 0.1, 0.0])
SIZE, L1 = 0.3, 0.4


def problem(**fields):
    return Bilevel(None, None, None, **fields)


def stepped(mirror, x, **fields):
    moving = mover(problem(**fields), mirror, SIZE, 10)
    return np.asarray(moving.step(moving.init(jnp.asarray(x)), jnp.asarray(x), jnp.asarray(D), jnp.int32(0))[0])


@pytest.mark.parametrize("mirror", [euclidean, adaptive], ids=["euclidean", "adaptive"])
def test_the_step_minimises_what_it_claims(mirror):
    """⟨d, u⟩ + l1‖u‖₁ + (1/size) D(u, x), against 2000 points around; the first H is |d| + floor."""
    h = np.abs(D) + 1e-3 if mirror is adaptive else np.ones(4)
    objective = lambda u: u @ D + L1 * np.abs(u).sum(-1) + ((u - X) ** 2 * h).sum(-1) / (2 * SIZE)  # noqa: E731
    u = stepped(mirror, X, l1=L1)
    around = u + np.random.default_rng(0).normal(size=(2000, 4)) * np.geomspace(1e-4, 1, 2000)[:, None]
    assert (objective(around) > objective(u)).all() and (u == 0).any()


def test_the_entropy_step_minimises_what_it_claims():
    """⟨d, u⟩ + KL(u, x)/size on the simplex, against 2000 distributions around."""
    x = np.array([0.1, 0.2, 0.3, 0.4])
    objective = lambda u: u @ D + (u * np.log(u / x)).sum(-1) / SIZE  # noqa: E731
    u = stepped(entropy, x)
    assert u.sum() == pytest.approx(1, abs=1e-14)
    around = u * np.exp(np.random.default_rng(0).normal(size=(2000, 4)) * np.geomspace(1e-3, 1, 2000)[:, None])
    assert (objective(around / around.sum(1, keepdims=True)) > objective(u)).all()


def test_the_allowed_set_comes_after_the_threshold_and_not_after_the_entropy():
    """In a box the step is the clipped soft threshold, which is exact coordinate by coordinate."""
    allowed = stepped(euclidean, X, l1=L1, project_x=lambda x: jnp.clip(x, 0.1, 0.2))
    np.testing.assert_array_equal(allowed, np.clip(stepped(euclidean, X, l1=L1), 0.1, 0.2))
    x = np.full(4, 0.25)
    np.testing.assert_array_equal(stepped(entropy, x, project_x=lambda x: x + 1), stepped(entropy, x))


def test_the_average_forgets_its_start():
    """Constant d: v/mass is d² from the first step on, for every leaf of a tree, and keeps x's type."""
    with jax.enable_x64(False):
        x = {"a": jnp.ones(()), "b": jnp.ones(2)}
        d, mirror = jax.tree.map(lambda leaf: 3 * leaf, x), diagonal(floor=0.5, average=0.1)
        memory = mirror.init(x)
        for _ in range(3):
            u, memory = mirror.step(memory, x, d, jnp.float32(0.7), 0.0)
            np.testing.assert_allclose(u["b"], 1 - 0.7 * 3 / 3.5, rtol=1e-6)
        assert {leaf.dtype for leaf in jax.tree.leaves((u, memory))} == {np.dtype("float32")}


def test_mirrors_are_choices_by_name():
    names = {name: value for name, value in vars(mirrors).items() if isinstance(value, Mirror)}
    assert choices(Mirror) == names and set(names) == {"euclidean", "adaptive", "entropy"}
    told = stored({"mirror": entropy})
    assert told == {"mirror": {"choice": "entropy"}} and restored("solver", "bio_bred", told) == {"mirror": entropy}
    for bad in ({"floor": 0.0}, {"average": 2.0}):
        with pytest.raises(ValueError, match=next(iter(bad))):
            diagonal(**bad)
