"""The bridge from worlds to general problems: losses, stationarity, the hypergradient through ∇²lower, by an oracle."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from probes import rmdp6, two_states
from upperhand.forms import Tabular
from upperhand.hypergradients import exact
from upperhand.policy_gradients import lower as bridge
from upperhand.policy_gradients.lower import as_bilevel
from upperhand.problems import random_mdp, token_game


def tabular():
    problem = two_states().problem
    upper = Tabular(lambda x, pi, mu: jnp.sum(x**2) / 2 + jnp.sum(pi**2) + jnp.sum(jnp.sin(mu)))
    problem = problem._replace(upper=upper)
    return problem._replace(exact=exact(problem, temperature=0.5))


PROBLEMS = {"rmdp6": lambda: rmdp6()[0], "two_states": lambda: two_states().problem, "tabular": tabular}


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_implicit_hypergradient_of_the_bridged_problem_is_that_of_the_world(name):
    """∇ₓupper − ∇²_xy lower (∇²_yy lower)⁺ ∇_y upper, matrices written out, at the oracle's θ*, where lower is flat."""
    problem = PROBLEMS[name]()
    general, oracle = as_bilevel(problem), problem.exact
    x = problem.init(jax.random.key(0))[0]
    theta = general.exact.lower_solution(x)
    flat, unravel = ravel_pytree(theta)
    lower = lambda x, y: general.lower(x, unravel(y), None)  # noqa: E731
    upper = lambda x, y: general.upper(x, unravel(y), None)  # noqa: E731
    slope = jax.grad(lower, 1)

    def parts(x, y):
        return slope(x, y), upper(x, y), *jax.jacfwd(slope, (1, 0))(x, y), jax.grad(upper, (0, 1))(x, y)

    steepness, value, hessian, cross, (dx, dy) = jax.jit(parts)(x, flat)
    assert np.abs(steepness).max() < 1e-7
    np.testing.assert_allclose(value, oracle.value(x, oracle.temperature), rtol=1e-9)
    kernel = np.sort(np.abs(np.linalg.eigvalsh(hessian)))[: problem.mdp.states]
    assert kernel.max() < 1e-9  # one idle direction a state
    z = np.linalg.pinv(hessian, rcond=1e-10, hermitian=True) @ dy
    np.testing.assert_allclose(dx - cross.T @ z, oracle.hypergradient(x, oracle.temperature), rtol=1e-6, atol=1e-9)


def test_without_factors_it_is_the_same_to_second_order(monkeypatch):
    """Losses, gradients and products with second derivatives, by sweeps and by LU."""
    problem = rmdp6()[0]
    x, theta = problem.init(jax.random.key(0))
    theta = theta + jax.random.normal(jax.random.key(1), theta.shape)

    def figures(general):
        slope = lambda x, y: jax.grad(general.lower, 1)(x, y, None)  # noqa: E731
        value, pull = jax.vjp(slope, x, theta)
        return general.lower(x, theta, None), general.upper(x, theta, None), value, *pull(jnp.cos(theta))

    wanted = figures(as_bilevel(problem))
    monkeypatch.setattr(bridge, "is_small", lambda mdp: False)
    for one, other in zip(jax.jit(lambda: figures(as_bilevel(problem, tolerance=1e-13)))(), wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


def test_what_cannot_be_bridged_is_refused_in_one_line():
    with pytest.raises(ValueError, match="as_bilevel takes a problem on a finite world"):
        as_bilevel(token_game())
    with pytest.raises(ValueError, match="temperature must be given"):
        as_bilevel(rmdp6()[0]._replace(exact=None))
    with pytest.raises(ValueError, match=r"temperature must be .* got -1"):
        as_bilevel(rmdp6()[0], temperature=-1)
    held = as_bilevel(random_mdp(states=3, actions=2, numbers=2), temperature=0.7)
    assert held.exact.temperature == 0.7 and held.exact.best is None
