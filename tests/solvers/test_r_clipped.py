"""Clipped SGD and SSTM in stages: the stages, both rules in NumPy, and that a stage reaches its accuracy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from test_clipped_sgd import followed

from upperhand.hypergradients.stages import (
    Class,
    descent_length,
    descent_step,
    stages,
    triangles_length,
    triangles_step,
)
from upperhand.problems import norm_power
from upperhand.solvers.single import r_clipped_sgd, r_clipped_sstm

NONE = float("inf")
SPECIFIED = Class(reach=10.0, convexity=1.0, smoothness=1.0, noise=3.0, holder=1.0)


def test_the_stages_are_those_of_the_experiment():
    """Twelve stages are 2423 updates: N = ceil(max(8√(LR²/ε), .4(σR/ε)²)), 1/(2aL) with a = max(1, σN^1.5/(LR))."""
    planned = stages(SPECIFIED, 2423, triangles_length, triangles_step)
    assert len(planned) == 12
    for t, stage in enumerate(planned):
        R = 10 * 2 ** (-t / 2)
        wanted = R**2 / 4
        N = int(np.ceil(max(8 * np.sqrt(R**2 / wanted), 0.4 * (3 * R / wanted) ** 2)))
        a = max(1.0, 3 * N**1.5 / R)
        assert stage == pytest.approx((R, wanted, N, 1 / (2 * a)), rel=1e-12)


def test_the_last_stage_lasts_to_the_end():
    for length, rule in ((triangles_length, triangles_step), (descent_length, descent_step)):
        for steps in (1, 10, 100, 1000, 2422):
            planned = stages(SPECIFIED, steps, length, rule)
            assert sum(stage.length for stage in planned) == steps
            assert planned[-1].step == rule(SPECIFIED._replace(reach=planned[-1].reach), planned[-1].length)
    assert len(stages(SPECIFIED, 2422, triangles_length, triangles_step)) == 11
    endless = stages(SPECIFIED._replace(noise=0.0), 10**6, triangles_length, triangles_step)
    assert len(endless) == 100 and endless[-1].length > 10**5


@pytest.mark.parametrize("nu", [0.25, 0.5, 1.0])
def test_lengths_grow_with_the_accuracy_as_theory_has_it(nu):
    """At noise 0 a length is 8 (M R^(1+ν)/ε)^(2/(1+3ν)); of descent 8 (M R^(1+ν)/ε)^(2/(1+ν)), by hand."""
    known = Class(3.0, 0.5, 2.0, 0.0, nu)
    size = 2.0 * 3.0 ** (1 + nu) / (0.5 * 9 / 4)
    assert triangles_length(known) == pytest.approx(8 * size ** (2 / (1 + 3 * nu)), rel=1e-12)
    assert descent_length(known) == pytest.approx(8 * size ** (2 / (1 + nu)), rel=1e-12)


def by_hand(method, planned, start, noises, share):
    """Both rules over stages, f = ½‖x‖²: outputs after each update."""
    x, told, k = start, [], 0
    for stage in planned:
        y = z = x
        A, seen = 0.0, []
        for place in range(stage.length):
            noise, bound = noises[k], share * stage.reach
            if method is r_clipped_sstm:
                a = stage.step * (place + 1)
                d = (A * y + a * z) / (A + a) + noise
                z = z - a * min(1, bound / (a * np.linalg.norm(d))) * d
                y, A = (A * y + a * z) / (A + a), A + a
            else:
                seen.append(z)
                d = z + noise
                z = z - stage.step * min(1, bound / (stage.step * np.linalg.norm(d))) * d
                y = np.mean(seen, 0)
            told.append(y)
            k += 1
        x = y
    return np.array(told)


@pytest.mark.parametrize(
    ("method", "length", "rule"),
    [(r_clipped_sstm, triangles_length, triangles_step), (r_clipped_sgd, descent_length, descent_step)],
)
def test_it_is_the_rule_written_in_numpy(method, length, rule):
    problem = norm_power(numbers=3, sigma=3.0, start=10.0)
    planned = stages(SPECIFIED, 150, length, rule)
    assert len(planned) > 3
    first, states, _, keys = followed(method(problem, steps=150, clip=0.05, **SPECIFIED._asdict()), problem, 150)
    noises = np.asarray(jax.vmap(problem.draw, (0, None))(keys, first.x))
    np.testing.assert_allclose(states.x, by_hand(method, planned, np.asarray(first.x), noises, 0.05), rtol=1e-8)
    free = followed(method(problem, steps=150, clip=NONE, **SPECIFIED._asdict()), problem, 150)[1]
    np.testing.assert_allclose(free.x, by_hand(method, planned, np.asarray(first.x), noises, NONE), rtol=1e-8)
    assert np.abs(free.x - states.x).max() > 1e-3


@pytest.mark.parametrize("method", [r_clipped_sstm, r_clipped_sgd])
def test_a_kinked_problem_without_noise_comes_down_stage_by_stage(method):
    """ν = ½ in the ball of radius 1, where ‖x‖^1.5/1.5 is ½-strongly convex: f ≤ ε_t at the end of a stage."""
    problem = norm_power(holder=0.5, noise="none", start=1.0)
    known = Class(1.0, 0.5, 2**0.5, 0.0, 0.5)
    length, rule = (triangles_length, triangles_step) if method is r_clipped_sstm else (descent_length, descent_step)
    planned = stages(known, 1000, length, rule)
    solver = method(problem, steps=1000, reach=1.0, convexity=0.5, smoothness=2**0.5, noise=0.0, holder=0.5)
    _, states, _, _ = followed(solver, problem, 1000)
    values = jax.vmap(problem.exact.value)(states.x)
    ends = np.cumsum([stage.length for stage in planned]) - 1
    assert len(planned) > 2 and (np.asarray(values)[ends] <= [stage.accuracy for stage in planned]).all()


def test_a_schedule_of_the_share_is_one_of_the_reach():
    """clip (1, .25) over 150 updates: the bound on z's step, met in a stage whose gradients are all long."""
    problem = norm_power(noise="none", numbers=2, start=1e6)
    solver = r_clipped_sgd(problem, steps=150, clip=(1.0, 0.25), **SPECIFIED._asdict())
    first, states, _, _ = followed(solver, problem, 40)
    planned = stages(SPECIFIED, 150, descent_length, descent_step)
    steps = jnp.linalg.norm(states.z[1:20] - states.z[:19], axis=1)
    np.testing.assert_allclose(steps, 10.0 * 0.25 ** (np.arange(1, 20) / 150), rtol=1e-6)
    assert planned[0].length > 20
