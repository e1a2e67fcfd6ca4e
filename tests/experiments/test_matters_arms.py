"""The arms of rlhf_matters: what each asks of a batch, against regressions, losses and differences by hand."""

import numpy as np
import pytest

from upperhand.experiments import matters_arms as arms
from upperhand.experiments.matters_arms import Lanes, Round, contest, lanes_of, settled
from upperhand.experiments.matters_style import paid, pooled

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.poisson(1.0, size=(2, 40, 3)).astype(float)
U = RANDOM.normal(size=(2, 40)) + FEATURES @ np.array([0.5, -0.3, 0.1])


def test_least_squares_steps_from_nothing_to_the_regression():
    c = arms.covariance(FEATURES)
    z = np.linalg.solve(c, arms.squares(np.zeros((2, 3)), FEATURES, U)[:, :, None])[:, :, 0]
    for lane in range(2):
        design = np.concatenate([np.ones((40, 1)), FEATURES[lane]], 1)
        np.testing.assert_allclose(z[lane], np.linalg.lstsq(design, U[lane], rcond=None)[0][1:], rtol=1e-9)
    np.testing.assert_allclose(arms.squares(z, FEATURES, U), 0, atol=1e-12)


def test_odds_follow_the_loss_of_all_pairs(monkeypatch):
    z = RANDOM.normal(size=(2, 3))

    def loss(z):
        """Bradley–Terry's over the pairs of the first lane, times what makes it like least squares."""
        total, found, t = FEATURES[0] @ z, 0.0, arms.TEMPERATURE
        for i in range(40):
            for j in range(i):
                wins, margin = 1 / (1 + np.exp(-(U[0, i] - U[0, j]) / t)), (total[i] - total[j]) / t
                found += wins * np.log1p(np.exp(-margin)) + (1 - wins) * np.log1p(np.exp(margin))
        return 4 * t**2 * found / (40 * 39)

    g = arms.odds(z, FEATURES, U)[0]
    differences = [(loss(z[0] - d) - loss(z[0] + d)) / 2e-5 for d in 1e-5 * np.eye(3)]
    np.testing.assert_allclose(g, differences, rtol=1e-6, atol=1e-9)
    monkeypatch.setattr(arms, "TEMPERATURE", 1e4)
    np.testing.assert_allclose(arms.odds(z, FEATURES, U), arms.squares(z, FEATURES, U), rtol=1e-6)


@pytest.fixture
def pool():
    """(features, U, own) of 400 texts, U rough."""
    random = np.random.default_rng(1)
    features = random.poisson(1.0, size=(400, 3)).astype(float)
    u = features @ [0.4, -0.2, 0.1] + 0.3 * (features[:, 0] > 1) * (features[:, 1] > 0) + 0.3 * random.normal(size=400)
    return features, u, paid(features[:, 2])


def test_the_pull_of_a_gibbs_agent_is_the_gradient_of_its_law(pool):
    features, u, own = pool
    agent, x = pooled(features, u, "abc", own), np.array([[0.3, -0.2, 0.5]])
    found = agent.play([(3,)], x, 16)
    c = np.random.default_rng(2).normal(size=(1, 16))

    def total(x):
        weights = np.exp(features @ x + own)
        return c[0] @ np.log(weights / weights.mean())[found.texts[0]]

    wanted = [(total(x[0] + d) - total(x[0] - d)) / 2e-6 for d in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(agent.pull(found, x, c)[0], wanted, rtol=1e-6)
    assert found.kl[0] == pytest.approx(agent.exact(x)[1][0])
    weights = np.exp(features @ x[0] + own)
    pi = weights / weights.sum()
    assert found.kl[0] == pytest.approx(pi @ np.log(pi * 400)) and agent.exact(x)[0][0] == pytest.approx(pi @ u)


def test_texts_are_drawn_from_the_law(pool):
    features, u, own = pool
    x = np.array([[0.3, -0.2, 0.5]])
    weights = np.exp(features @ x[0] + own)
    drawn = pooled(features, u, "abc", own).play([(8,)], x, 20_000).texts[0]
    seen, wanted = np.bincount(drawn, minlength=400), 20_000 * weights / weights.sum()
    assert abs(np.sum((seen - wanted) ** 2 / wanted) - 399) < 4 * (2 * 399) ** 0.5  # chi-square


def test_for_the_gibbs_law_joint_is_least_squares_that_knows_what_is_paid(pool):
    features, u, own = pool
    z, tau = np.tile([0.3, -0.2, 0.5], (4, 1)), np.full(4, 0.4)
    names = ["joint", "alternating_ls", "residual_ls", "alternating_bt"]

    def directions(own):
        agent = pooled(features, u, "abc", own)
        found = agent.play([(3,)] * 4, z / tau[:, None], 32)
        return arms.direction(names, agent, found, agent.scores(found), z, tau)

    joint, squares, residual, _ = directions(np.zeros(400))
    np.testing.assert_allclose(joint, squares, atol=1e-12)
    joint, squares, residual, _ = directions(own)
    np.testing.assert_allclose(joint, residual, atol=1e-12)
    assert np.abs(joint - squares).max() > 1e-2


def test_the_budget_is_met(pool):
    features, u, _ = pool
    agent, budgets = pooled(features, u, "abc"), np.array([0.5, 1.0, 2.0])
    lanes, z = Lanes(["joint"] * 3, budgets, [0] * 3), np.tile([0.3, -0.2, 0.1], (3, 1))
    tau = settled(agent, lanes, z, np.full(3, 0.1))
    np.testing.assert_allclose(agent.exact(z / tau[:, None])[1], budgets, rtol=1e-6)


def best(features, u, own, budget):
    """The largest E U with KL at most a budget, by quasi-Newton ascents of E U − τ KL and bisection over τ."""
    from scipy.optimize import minimize

    def law(x):
        weights = np.exp(features @ x + own)
        return weights / weights.sum()

    low, high, x = 1e-3, 10.0, np.zeros(3)
    for _ in range(40):
        tau = (low * high) ** 0.5
        x = minimize(lambda x, tau=tau: -(law(x) @ (u - tau * np.log(law(x) * len(u)))), x).x
        low, high = (tau, high) if law(x) @ np.log(law(x) * len(u)) > budget else (low, tau)
    return law(x) @ u


def test_arms_end_where_theory_has_them(pool):
    features, u, own = pool
    named = (*arms.ARMS, "residual_ls")
    for pay, spread in ((np.zeros(400), 0.01), (own, 0.02)):
        found = contest(pooled(features, u, "abc", pay), named, [1.0], [0, 1, 2], labels=3840, texts=64)
        mean = {entry["arm"]: np.mean(entry["score"]) for entry in found}
        assert list(mean) == ["alternating_ls", "alternating_bt", "joint", "residual_ls", "frozen_ls", "frozen_bt"]
        assert all(reached == pytest.approx(1, rel=1e-6) for entry in found for reached in entry["reached"])
        top = best(features, u, pay, 1.0)
        assert top - spread < mean["joint"] <= top + 1e-6 and mean["residual_ls"] == pytest.approx(
            mean["joint"], abs=1e-9
        )
        if pay.any():
            assert mean["joint"] > mean["alternating_ls"] + 0.02
        else:
            assert mean["alternating_ls"] == pytest.approx(mean["joint"], abs=1e-9)


def test_every_arm_asks_for_the_same_labels(pool):
    features, u, _ = pool
    agent, asked = pooled(features, u, "abc"), []

    def counted(found: Round):
        asked.append(found.texts.shape)
        return u[found.texts]

    contest(agent._replace(scores=counted), arms.ARMS, [1.0, 2.0], [0, 1], labels=96, texts=64)
    assert asked == [(3 * 2 * 2, 32)] * 3 + [(2, 32)] * 3  # each lane 3 × 32; the frozen fits are those of every budget


def test_lanes_are_paired_by_seed():
    lanes = lanes_of(["a", "b"], [1.0, 2.0], [4, 5])
    assert lanes.arms == ["a"] * 4 + ["b"] * 4 and lanes.seeds == [4, 5] * 4
    np.testing.assert_array_equal(lanes.budgets, [1, 1, 2, 2] * 2)
