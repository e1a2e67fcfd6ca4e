"""`upperhand check` of general problems: exact where it is exact, and the bias of the value penalty as by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.cli import main
from upperhand.cli.general_check import check_general, losses, lowest, scattered
from upperhand.forms import Bilevel, truth
from upperhand.problems import norm_power

C = np.array([1.0, -2.0, 0.5])


def shifted(*, wrong=0.0, noise=0.0, **more):
    """lower = ½‖y − x‖², upper = ½‖y − c‖²: y* = x, ∇Φ = x − c. The value penalty is (x − c)/(1 + w), by hand."""
    return Bilevel(
        init=lambda key: (jnp.zeros(3), jnp.zeros(3)),
        upper=lambda x, y, batch: jnp.sum((y - jnp.asarray(C, y.dtype)) ** 2) / 2,
        lower=lambda x, y, batch: jnp.sum((y - x) ** 2) / 2 + (0.0 if batch is None else jnp.vdot(batch, y)),
        exact=truth(lambda x: x, lambda x: jnp.sum((x - C) ** 2) / 2, lambda x: (1 + wrong) * (x - C)),
        **({"draw_lower": lambda key, x, y: noise * jax.random.normal(key, (3,)), "drawn": (0, 1)} if noise else {}),
        **more,
    )


def test_figures_by_hand():
    exact, implicit, *bent = check_general(shifted(), weights=(1.0, 0.1, 0.01), points=3)
    assert exact.method == "exact" and exact.error.max() < 1e-8 and implicit.error.max() < 1e-12
    for found in bent:
        w = found.weight
        np.testing.assert_allclose(found.error, w / (1 + w), rtol=1e-6)
        np.testing.assert_allclose(found.cosine, 1, atol=1e-9)


def test_a_wrong_oracle_is_seen():
    exact, implicit, _ = check_general(shifted(wrong=0.1), weights=(0.1,), points=2)
    np.testing.assert_allclose(exact.error, 0.1, rtol=1e-6)
    np.testing.assert_allclose(implicit.error, 0.1 / 1.1, rtol=1e-6)


def test_the_means_of_batches_have_their_noise():
    """y* is off by the mean of 256 draws of a standard normal number times the noise, and no more for a small w."""
    _, implicit, bent = check_general(shifted(noise=0.5), weights=(1e-3,), points=3)
    lengths = np.linalg.norm(np.asarray(scattered(shifted(), 3, 0)) - C, axis=1)
    off = implicit.error * lengths  # the same vector at every x
    np.testing.assert_allclose(off, off[0], rtol=1e-6)
    assert 0.1 < off[0] / (0.5 * np.sqrt(3 / 256)) < 3
    np.testing.assert_allclose(bent.error, implicit.error, atol=0.01)


def test_of_a_single_level_problem_the_gradient_is_checked(capsys):
    (exact,) = check_general(norm_power(holder=0.5), weights=(0.1,), points=3)
    assert exact.method == "exact" and exact.error.max() < 1e-8
    assert main(["check", "norm_power", "--points", "2"]) == 0
    said = capsys.readouterr().out
    assert "There is no lower level" in said and "implicit" not in said


def test_coupled_problems_and_several_tasks_are_checked_by_differences_alone():
    (exact,) = check_general(shifted(constraint=lambda x, y: y[:1] - 100), weights=(0.1,), points=2)
    assert exact.error.max() < 1e-8


def test_an_l1_term_is_not_in_the_hypergradient():
    with_l1 = shifted(l1=0.3)
    with_l1 = with_l1._replace(
        exact=truth(lambda x: x, lambda x: jnp.sum((x - C) ** 2) / 2 + 0.3 * jnp.sum(jnp.abs(x)), lambda x: x - C)
    )
    assert check_general(with_l1, weights=(), points=3)[0].error.max() < 1e-8


def test_a_y_that_is_not_allowed_is_told_as_none():
    _, _, bent = check_general(shifted(project_y=lambda y: jnp.clip(y, 5.0, 6.0)), weights=(0.1,), points=2)
    assert np.isnan(bent.error).all()


def test_lowest_finds_the_minimum():
    center = jnp.array([3.0, -4.0])
    found = lowest(lambda y: jnp.sum(jnp.array([1.0, 50.0]) * (y - center) ** 4 + (y - center) ** 2), jnp.zeros(2))
    np.testing.assert_allclose(found, center, atol=1e-8)


def test_all_examples_are_taken():
    from upperhand.problems.example_quadratics import example_quadratics

    problem = example_quadratics(examples=7, numbers=2)
    x, y = jnp.array([0.3, -1.0]), jnp.array([2.0, 0.5])
    told = losses(problem, 0, x, y)
    one = lambda loss, take: np.mean([loss(x, y, take(jnp.array([i]))) for i in range(7)])  # noqa: E731
    np.testing.assert_allclose(told.upper(x, y), one(problem.upper, problem.examples.take_upper), rtol=1e-12)
    np.testing.assert_allclose(told.lower(x, y), one(problem.lower, problem.examples.take_lower), rtol=1e-12)


@pytest.mark.parametrize(
    ("problem", "wanted"),
    [
        (
            "absolute",
            "check is for Bilevel and Minimise problems and finite worlds, and absolute is of the form Equations.",
        ),
        ("gaussian_cleaning", "gaussian_cleaning: the problem has no exact oracle to check against"),
    ],
)
def test_what_cannot_be_checked_is_one_line(capsys, problem, wanted):
    assert main(["check", problem]) == 2
    said = capsys.readouterr().err
    assert wanted in said and said.count("\n") == 1


def test_the_table(capsys):
    assert main(["check", "simplex_target", "--points", "2", "--weights", "0.1"]) == 0
    said = capsys.readouterr().out
    assert "value_penalty" in said and "9.1e-02" in said and "implicit" in said  # 0.1/1.1: y* = x there too
