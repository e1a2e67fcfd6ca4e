"""The experiments on penalty methods, small: their figures against theory."""

import json

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import flat_upper, penalty_smoothness, penalty_valley


def quiet(text):
    """Nothing is said."""


@pytest.fixture(autouse=True)
def told(monkeypatch):
    """What is told, instead of a page, which has tests of its own and whose pictures are slow."""
    kept = []
    for experiment in (penalty_valley, penalty_smoothness, flat_upper):
        monkeypatch.setattr(experiment, "tell", lambda out, study: kept.append(study) or out)
    return kept


def test_every_start_on_the_valley_ends_at_a_stationary_point_near_a_minimum():
    """P3: gradients of upper + lower/w by hand are 0 there, and the distance is proportional to w; means over starts
    (.0156 and .0015 after 325 and 2,917 updates, of 1,000 starts) within 3 standard errors of 200 starts."""
    config = penalty_valley.Config(starts=200, weights=(0.1, 0.01))
    found = penalty_valley.measured(config)
    assert found["ended"].all()
    away = penalty_valley.distances(found)
    assert away.max(1) == pytest.approx([0.0267, 0.0026], rel=0.02)
    for figure, wanted in ((away, (0.0156, 0.0015)), (found["updates"], (325, 2917))):
        assert np.all(np.abs(figure.mean(1) - wanted) < 3 * figure.std(1) / 200**0.5)
    for w, x, y in zip(config.weights, found["x"], found["y"], strict=True):
        s, u = 1 / (1 + np.exp(2 - 4 * x)), x + y
        ux = 4 * np.cos(4 * y + 2) * s * (1 - s) + 4 * (4 * x - 2) / ((4 * x - 2) ** 2 + 1)
        lx = 2 * u + np.sin(u) ** 2 + x * np.sin(2 * u)  # min lower is 0 for every x
        dy = -4 * np.sin(4 * y + 2) * s + (2 * u + x * np.sin(2 * u)) / w
        assert np.abs(ux + lx / w).max() < 2e-4 and np.abs(dy).max() < 2e-4
    answer = penalty_valley.study(config, found, 1.0).answer
    assert answer.startswith("All 200 starts") and "which is proportional" in answer
    spoiled = found | {"x": found["x"] + np.array([[0.0], [0.02]])}
    assert "NOT proportional" in penalty_valley.study(config, spoiled, 1.0).answer


def test_one_step_size_does_for_every_w_where_the_joint_method_needs_more(tmp_path, told):
    """‖∇Φ‖ is halved in an update of ALT-PBGD; V-PBGD's slowest rate is that of a quadratic, by NumPy."""
    config = penalty_smoothness.Config(weights=(0.3, 0.1), loops=(40,), numbers=4, updates=20_000, small=0.01)
    penalty_smoothness.carry_out(config, tmp_path, quiet)
    parts = {name: json.loads((tmp_path / "parts" / f"{name}.json").read_text()) for name in ("alt", "joint", "bold")}
    problem = penalty_smoothness.tilted_quadratic(numbers=4)
    start = np.linalg.norm(problem.exact.hypergradient(np.zeros(4)))
    for row in parts["alt"]["rows"]:
        assert row["updates"] == [int(np.ceil(np.log2(start / 0.01)))] * 2
    assert parts["joint"]["updates"] == joint_by_hand(config)
    answer = told[0].answer
    assert "diverged at 2 of 2" in answer and "NOT" not in answer
    penalty_smoothness.carry_out(config, tmp_path, pytest.fail)  # every part is read, none is done again
    assert told[1].answer == answer


def joint_by_hand(config):
    """Descent on upper + lower/w in (x, y), whose min over y of lower is 0 and has no slope."""
    random = np.random.default_rng(0)
    n = config.numbers
    turn = np.linalg.qr(random.normal(size=(n, n)))[0]
    A, B = turn @ np.diag(np.linspace(1, 5, n)) @ turn.T, random.normal(size=(n, n)) / np.sqrt(n)
    a, q = random.normal(size=(2, n))
    q = 0.05 * q / np.linalg.norm(B.T @ q)
    M = np.block([[B.T @ A @ B, -B.T @ A], [-A @ B, A]])
    counts = []
    for w in config.weights:
        H, z, count = M / w + np.diag([1.0] * n + [0.0] * n), np.zeros(2 * n), 0
        step = 1 / (np.linalg.eigvalsh(M)[-1] / w + 1)
        while np.linalg.norm(z[:n] - a + B.T @ q) > config.small:
            z, count = z - step * (H @ z - np.append(a, -q)), count + 1
        counts.append(count)
    return counts


def test_dropping_the_path_is_fast_where_upper_is_flat_and_biased_where_not(tmp_path, told, monkeypatch):
    """Calls by hand, 3 and 3K + 3 an update, K = 20 five times slower at the least (the specification has 18 times, of
    another draw); a loss that ends above the others' at both shifts that are not 0."""
    config = flat_upper.Config(draws=2, shifts=(0.0, 0.3, 1.0), loops=(5, 20), updates=300, level=0.05)
    found = flat_upper.measured(config, quiet)
    many = {"PBGD-Free": 3.0, "ALT-PBGD, K = 5": 18.0, "ALT-PBGD, K = 20": 63.0}
    assert {name: calls for name, (calls, _) in found.items()} == many
    free, alt, long = (found[name][1] for name in found)
    assert free.shape == (3, 2, 300)
    fewest = flat_upper.calls_to(0.05, 3.0, free[0])
    assert np.all(fewest < flat_upper.calls_to(0.05, 18.0, alt[0]))
    assert np.all(5 * fewest < flat_upper.calls_to(0.05, 63.0, long[0])) and np.isfinite(fewest).all()
    assert np.all(free[1:, :, -1] > alt[1:, :, -1]) and np.all(free[1:, :, -1] > 1.05 * long[1:, :, -1])
    monkeypatch.setattr(flat_upper, "measured", lambda config, say: found)
    flat_upper.carry_out(config, tmp_path, quiet)
    assert "PBGD-Free was always the first" in told[0].answer and "in 100 % of the draws" in told[0].answer
    turned = {"PBGD-Free": (3.0, alt), "ALT-PBGD, K = 5": (1.0, free), "ALT-PBGD, K = 20": (63.0, long)}
    assert "NOT always" in flat_upper.study(config, turned, 1.0).answer


def test_calls_are_counted_to_the_first_update_that_is_there():
    values = np.array([[3.0, 2.0, 1.0, 2.0], [3.0, np.nan, np.nan, np.nan]])
    np.testing.assert_array_equal(flat_upper.calls_to(1.5, 3.0, values), [9.0, np.inf])
    np.testing.assert_array_equal(flat_upper.ends(values), [2.0, np.inf])


@pytest.mark.parametrize(
    ("experiment", "settings"),
    [(penalty_valley, {"starts": 0}), (penalty_valley, {"weights": (0.1, 0.2)}), (penalty_valley, {"step": 0.0}),
     (penalty_smoothness, {"weights": ()}), (penalty_smoothness, {"loops": (0,)}), (penalty_smoothness, {"updates": 0}),
     (flat_upper, {"shifts": (0.3, 1.0)}), (flat_upper, {"draws": 0}), (flat_upper, {"level": 0.0})],
)  # fmt: skip
def test_a_setting_out_of_its_range_is_one_line(experiment, settings):
    (name,) = settings
    with pytest.raises(BadInput, match=rf"^--{name} [^\n]*got [^\n]*$"):
        experiment.Config(**settings)
