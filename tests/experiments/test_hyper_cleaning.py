"""hyper_cleaning, small, on Gaussians: a method beats the polluted data, baselines are minimisers, choice and words."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.experiments import cleaning_words, hyper_cleaning
from upperhand.experiments.cleaning_words import chosen, keeping, told
from upperhand.experiments.hyper_cleaning import BASELINES, METHODS, Config, fit, fitted, learned, made

SMALL = Config(seeds=2, steps=400, train=300, validation=100, sources=("gaussians",))


def test_v_pbgd_beats_training_on_polluted_data(monkeypatch):
    """At least 4 points of accuracy more, each at the ridge chosen on validation; F1 above 85, keeping all has 67."""
    monkeypatch.setattr(hyper_cleaning, "FITTED", 300)
    monkeypatch.setattr(hyper_cleaning, "RIDGES", (1e-2, 1e-1))
    data = made("gaussians", SMALL)
    found, rival = learned("v_pbgd", data, 5, SMALL), fitted("polluted", data, 5, SMALL)
    assert np.shape(found["loss"]) == np.shape(found["accuracy"]) == (2, 2) and np.shape(found["curve"]) == (2, 40, 2)
    np.testing.assert_array_equal(np.asarray(found["curve"])[:, -1], found["accuracy"])
    of, rivals = chosen(found), chosen(rival)
    assert np.mean(found["accuracy"][of]) > np.mean(rival["accuracy"][rivals]) + 0.04
    assert np.mean(found["f1"][of]) > 0.85 and keeping(0.5) == pytest.approx(2 / 3)
    json.dumps([found, rival], allow_nan=False)


def test_a_baseline_is_the_minimiser_of_its_weighted_loss():
    """The gradient by hand at what `fit` finds is 0; examples of weight 0 count for nothing."""
    random = np.random.default_rng(0)
    images, labels, weights = random.normal(size=(40, 3)), random.integers(0, 4, 40), random.integers(0, 2, 40) * 1.0
    y = jax.tree.map(np.asarray, fit(*map(jnp.asarray, (images, labels, weights)), 0.1, 4))
    logits = images @ y["weights"] + y["bias"]
    share = np.exp(logits) / np.exp(logits).sum(1, keepdims=True) - np.eye(4)[labels]
    share = share * weights[:, None] / weights.sum()
    np.testing.assert_allclose(images.T @ share + 0.1 * y["weights"], 0, atol=1e-10)
    np.testing.assert_allclose(share.sum(0) + 0.1 * y["bias"], 0, atol=1e-10)


def test_the_least_mean_loss_is_chosen_and_what_diverged_never():
    assert chosen({"loss": [[3.0, 1.0], [1.0, 1.5], [0.0, None]]}) == 1


def part(accuracy, f1=None):
    """A part of two settings, of which the second is chosen."""
    curve = {"curve": [[[0.1, 0.2]]] * 2, "at": [10]} if f1 else {}
    loss, shown = [[2.0, 2.0], [1.0, 1.0]], [[0.99, 0.99], accuracy]
    return {"settings": [1.0, 5.0], "loss": loss, "accuracy": shown, "f1": f1 and [f1, f1], "seconds": 1.0} | curve


def test_the_answer_says_what_came_out():
    """Made-up parts: gains by pairs of seeds; equal to the validation data alone; no gain is no yes."""
    parts = {name: part([0.90, 0.92], [0.8, 0.9]) for name in METHODS}
    parts |= {name: part([0.80, 0.82]) for name in BASELINES}
    parts["validation"] = part([0.95, 0.86])
    study = told(SMALL, {"gaussians": parts})
    assert "v_pbgd, raises the test accuracy from 81.0% to 91.0% (+10.0 [+10.0, +10.0] points" in study.answer
    assert "with an F1 of 85.0 against 66.7" in study.answer
    assert "not to be told from training on the clean" in study.answer
    row = study.tables[0].rows[0]
    assert row[:3] == ["v_pbgd", 5.0, pytest.approx(91)] and row[5] == pytest.approx(99)
    assert study.tables[0].rows[3][:2] == [cleaning_words.WORDS["polluted"], 5.0]
    parts |= {"polluted": part([0.95, 0.85])}
    assert "does not clearly raise" in told(SMALL, {"gaussians": parts}).answer


@pytest.mark.parametrize(
    ("bad", "flag"),
    [({"seeds": 1}, "--seeds"), ({"steps": 1}, "--steps"), ({"pollution": 1.0}, "--pollution"),
     ({"sources": ()}, "--sources"), ({"train": 1600}, "--train")],
)  # fmt: skip
def test_a_bad_setting_is_named(bad, flag):
    with pytest.raises(BadInput, match=flag):
        Config(**bad)
