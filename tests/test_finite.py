"""A user's own problem: it is checked before it runs, and its oracle is right."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import upperhand


@pytest.fixture
def mdp():
    return upperhand.dense(np.random.default_rng(0).dirichlet(np.ones(5), (5, 3)), discount=0.8)


def test_value_is_the_closed_form_at_a_known_policy(mdp):
    problem = upperhand.finite(
        mdp, lambda x, s, a: 0.0 * x, lambda x, s, a: jnp.where(s == 2, 1.0, 0.0), x=jnp.zeros(())
    )
    walk = 1.0 * sum(np.asarray(p) for p in np.moveaxis(upper_kernel(mdp), 1, 0)) / 3
    visits = np.linalg.solve((np.eye(5) - 0.8 * walk).T, np.full(5, 0.2))
    assert np.isclose(problem.exact.value(jnp.zeros(()), 0.5), -visits[2], rtol=1e-12)


def upper_kernel(mdp):
    kernel = np.zeros((5, 3, 5))
    for s, a, k in np.ndindex(mdp.successor.shape):
        kernel[s, a, mdp.successor[s, a, k]] += mdp.probability[s, a, k]
    return kernel


def test_seeds_start_apart_by_the_spread_and_inside_what_is_allowed(mdp):
    problem = upperhand.finite(
        mdp, lambda x, s, a: x["p"][0], lambda x, s, a: 0.0, x={"p": jnp.ones(2)}, spread=0.5,
        project_x=lambda x: jax.tree.map(lambda part: jnp.clip(part, 0.0, 1.5), x),
    )  # fmt: skip
    starts = np.stack([problem.init(jax.random.key(seed))[0]["p"] for seed in range(200)])
    assert starts.min() >= 0 and starts.max() <= 1.5
    inside = starts[(starts > 0) & (starts < 1.5)]
    assert 0.2 < inside.std() < 0.5 and abs(np.median(starts) - 1.0) < 0.15  # 4 standard errors of a median of 400


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"reward": lambda x, s, a: jnp.where(s == 3, jnp.nan, x[0])}, "reward .*nan.*\\(3, 0\\)"),
        ({"reward": lambda x, s, a: x}, "reward .*shape"),
        ({"upper_reward": lambda x, s, a: jnp.inf}, "upper_reward"),
        ({"cost": lambda x: x}, "cost"),
        ({"x": jnp.arange(2)}, "float"),
        ({"spread": -1.0}, "spread"),
        ({"temperature": 0.0}, "temperature"),
    ],
)
def test_what_does_not_fit_is_named(mdp, change, named):
    settings = {"reward": lambda x, s, a: x[0], "upper_reward": lambda x, s, a: 1.0, "x": jnp.zeros(2)} | change
    with pytest.raises(ValueError, match=named):
        upperhand.finite(mdp, **settings)
