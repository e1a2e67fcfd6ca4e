"""Clipped SSTM: the rule in NumPy, its step rule and its exact bounds, one for every exponent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_clipped_sgd import UPDATES, followed

from contract import light
from upperhand.hypergradients.similar_triangles import base_step, growth
from upperhand.problems import norm_power
from upperhand.solvers.single import clipped_sstm
from upperhand.types import Scaled

NONE = float("inf")
EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)


@pytest.mark.parametrize(("holder", "offset", "batch"), [(1.0, 1.0, 1), (0.5, 2.0, 3), (0.0, 1.0, 1)])
def test_it_is_the_rule_written_in_numpy(holder, offset, batch):
    """As the authors' code has it: A and a in full, the gradient clipped to B/a."""
    problem = norm_power(holder=holder, numbers=3)
    B = 0.3 if holder else 0.1
    solver = clipped_sstm(problem, x_step=0.02, clip=B, holder=holder, offset=offset, batch=batch)
    first, states, infos, keys = followed(solver, problem)
    drawn = jax.vmap(problem.draw, (0, None))
    noises = [drawn(k[None] if batch == 1 else jax.random.split(k, batch), first.x).mean(0) for k in keys]
    y = z = np.asarray(first.x)
    A, cut = 0.0, 0
    for k, noise in enumerate(noises):
        a = 0.02 * (k + offset) ** (2 * holder / (1 + holder))
        x = (A * y + a * z) / (A + a)
        d = x * np.linalg.norm(x) ** (holder - 1) + np.asarray(noise)
        np.testing.assert_allclose(infos.at[k], x, rtol=1e-9)
        cut += np.linalg.norm(d) > B / a
        z = z - a * min(1, B / a / np.linalg.norm(d)) * d
        y = (A * y + a * z) / (A + a)
        A += a
        np.testing.assert_allclose(states.x[k], y, rtol=1e-9)
        np.testing.assert_allclose(states.z[k], z, rtol=1e-9)
    assert 0 < cut < UPDATES
    np.testing.assert_allclose(0.02 * states.total[-1], A, rtol=1e-12)


def smallest(holder, accuracy, M, square):
    """The least N, on a grid that grows by 10 %, with R²/(2A_N) ≤ ε/2."""
    N = 1
    while True:
        A = base_step(accuracy, holder, M) * np.sum(np.arange(1, N + 1) ** (2 * holder / (1 + holder)))
        if square / (2 * A) <= accuracy / 2:
            return N
        N = int(1.1 * N) + 1


@pytest.mark.parametrize(
    ("nu", "wanted"),
    [(0.0, (8659,)), (0.25, (274, 4036)), (0.5, (69, 445)), (0.75, (32, 139)), (1.0, (20, 69))],
    ids=str,
)
def test_the_exponents_of_the_step_rule_are_sharp(nu, wanted):
    """C1, ε = .1 and .01: N/D in [2.0, 2.25], D = M^(2/(1+3ν)) R^(2(1+ν)/(1+3ν)) / ε^(2/(1+3ν)); f(y) ≤ ε.

    The tenth, ν = 0 at .01, has 840,502 updates: its N is looked at, it is not run.
    """
    problem, M = norm_power(holder=nu, noise="none"), 2 ** (1 - nu)

    def ends(step, N):
        solver = clipped_sstm(problem, x_step=Scaled(1.0, step), clip=NONE, holder=nu)
        body = lambda k, state: solver.update(jax.random.key(0), state)[0]  # noqa: E731
        return problem.exact.value(jax.lax.fori_loop(0, N, body, solver.init(jnp.ones(10), ())).x)

    program = light(ends)
    for accuracy, N in zip((0.1, 0.01), (*wanted, 840_502), strict=False):
        assert smallest(nu, accuracy, M, 10.0) == N
        D = (M / accuracy) ** (2 / (1 + 3 * nu)) * 10 ** ((1 + nu) / (1 + 3 * nu))
        assert 2.0 - 1e-9 <= N / D <= 2.25
        if N < 10_000:
            assert float(program(base_step(accuracy, nu, M), N)) <= accuracy


def test_the_weights_are_large_enough_on_a_grid():
    """A_k ≥ a L_k a_k², L_k = (2A_k/(a_k ε))^((1−ν)/(1+ν)) M^(2/(1+ν)), for k ≤ 5000; with equality somewhere."""
    least = np.inf
    for nu in EXPONENTS:
        for accuracy, M, slack in ((0.1, 1.0, 1.0), (1e-3, 5.0, 1.0), (0.01, 0.2, 30.0), (2.0, 1.0, 7.0)):
            a = base_step(accuracy, nu, M, slack) * np.arange(1, 5001) ** (2 * nu / (1 + nu))
            A = np.cumsum(a)
            L = (2 * A / (a * accuracy)) ** ((1 - nu) / (1 + nu)) * M ** (2 / (1 + nu))
            least = min(least, (A / (slack * L * a**2)).min())
    assert 1 - 1e-9 <= least < 1.0001


@pytest.mark.parametrize("size", [1.0, 4.0])
def test_the_smooth_bound_of_the_method_that_came_before(size):
    """C2: a_{k+1} = (k + 2)/(2L) without noise: f(y^N) ≤ 2LR²/(N(N + 3)), on an ill-conditioned quadratic."""
    curves = size * np.geomspace(1e-4, 1, 30)
    problem = norm_power(noise="none", numbers=30)._replace(
        loss=lambda x, batch: jnp.sum(jnp.asarray(curves) * x**2) / 2
    )
    solver = clipped_sstm(problem, x_step=1 / (2 * size), clip=NONE, offset=2.0)
    _, states, _, _ = followed(solver, problem, 300)
    values, N = np.sum(curves * np.asarray(states.x) ** 2, 1) / 2, np.arange(1, 301)
    assert (values <= 2 * size * 9 / (N * (N + 3))).all() and values[-1] > 1e-9


def test_an_infinite_clip_is_none_and_z_never_steps_farther_than_clip():
    """C3."""
    problem = norm_power(numbers=3)
    plain, large = (followed(clipped_sstm(problem, x_step=0.02, clip=clip), problem)[1] for clip in (NONE, 1e12))
    np.testing.assert_allclose(plain.x, large.x, rtol=1e-12)
    first, states, _, _ = followed(clipped_sstm(problem, x_step=0.02, clip=0.4), problem)
    steps = np.linalg.norm(np.diff(np.concatenate([first.z[None], states.z]), axis=0), axis=1)
    assert steps.max() == pytest.approx(0.4, rel=1e-9) and steps.min() < 0.399


def test_bad_exponents_are_named():
    for bad in (-0.1, 1.01, float("nan")):
        with pytest.raises(ValueError, match="^holder must be .*got"):
            growth(bad)
