"""Cleaning problems: what is polluted, both losses in NumPy, batches, and what a row tells."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.problems import gaussian_cleaning, hyper_cleaning
from upperhand.problems.gaussian_cleaning import gaussians
from upperhand.problems.hyper_cleaning import cleaning, digits, parted, polluted, scores


def small(**settings):
    return hyper_cleaning(train=40, validation=20, **settings)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.5])
def test_the_asked_share_gets_another_class_each_as_likely(share):
    labels = np.random.default_rng(0).integers(0, 10, 20_000)
    found = polluted(labels, share, 10, np.random.default_rng(1))
    assert (found != labels).sum() == round(share * 20_000) and set(found) <= set(range(10))
    shift = np.bincount((found - labels)[found != labels] % 10, minlength=10)
    assert shift[0] == 0 and (np.abs(shift[1:] - share * 20_000 / 9) < 4.5 * np.sqrt(share * 20_000 / 9 + 1)).all()


def test_the_parts_are_disjoint_and_tell_the_truth():
    """Every digit is in one part; clean is 1 exactly where the label is that of the image; other seeds, other parts."""
    images, labels = digits()
    data = parted(np.arange(len(labels))[:, None] * 1.0, labels, (1000, 200), 0.5, 4)
    where = [part[:, 0].astype(int) for part in (data.images, data.judging, data.test)]
    assert [len(part) for part in where] == [1000, 200, 597] and len(set(np.concatenate(where))) == 1797
    np.testing.assert_array_equal(data.clean, data.labels == labels[where[0]])
    assert data.clean.sum() == 500
    np.testing.assert_array_equal(labels[where[1]], data.judges)
    np.testing.assert_array_equal(labels[where[2]], data.answers)
    other = parted(images, labels, (1000, 200), 0.5, 5)
    assert images.min() == 0 and images.max() == 1 and (other.labels != data.labels).any()


def test_both_losses_in_numpy_and_batches_that_average_to_them():
    data = parted(*digits(), (40, 20), 0.5, 0)
    problem, random = small(ridge=0.02), np.random.default_rng(0)
    x, W, b = random.normal(size=40), random.normal(size=(64, 10)), random.normal(size=10)
    y = {"weights": jnp.asarray(W), "bias": jnp.asarray(b)}

    def entropies(images, labels):
        logits = images @ W + b
        return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]

    each = entropies(data.images, data.labels)
    square = 0.01 * ((W**2).sum() + (b**2).sum())
    lower = (each / (1 + np.exp(-x))).mean() + square
    np.testing.assert_allclose(problem.lower(jnp.asarray(x), y, None), lower, rtol=1e-12)
    upper = entropies(data.judging, data.judges).mean()
    np.testing.assert_allclose(problem.upper(jnp.asarray(x), y, None), upper, rtol=1e-12)
    assert (problem.examples.upper, problem.examples.lower, problem.drawn) == (20, 40, (20, 40))
    take = problem.examples.take_lower
    halves = [problem.lower(jnp.asarray(x), y, take(jnp.arange(20) + start)) for start in (0, 20)]
    np.testing.assert_allclose(np.mean(halves), lower, rtol=1e-12)
    one = problem.upper(jnp.asarray(x), y, problem.examples.take_upper(jnp.asarray([7])))
    np.testing.assert_allclose(one, entropies(data.judging, data.judges)[7], rtol=1e-12)


def test_a_batch_has_the_asked_size_and_its_places_in_range():
    problem = small(batch=(5, 300))
    x, y = problem.init(jax.random.key(0))
    above, below = problem.draw_upper(jax.random.key(1), x, y), problem.draw_lower(jax.random.key(1), x, y)
    assert above.shape == (5,) and problem.drawn == (5, 300)
    assert (
        set(np.asarray(below)) <= set(range(40))
        and len(set(np.asarray(below))) > 35
        and set(np.asarray(above)) <= set(range(20))
    )


def test_a_row_tells_accuracy_and_f1_with_ties_as_clean():
    """x = 0 keeps all: F1 = 2·20/(40 + 20); the truth has 1; a guess by hand; accuracy by NumPy."""
    data, random = parted(*digits(), (40, 20), 0.5, 0), np.random.default_rng(0)
    W = random.normal(size=(64, 10))
    y = {"weights": jnp.asarray(W), "bias": jnp.zeros(10)}
    f1 = lambda x: float(scores(data, jnp.asarray(x), y)["f1"])  # noqa: E731
    assert f1(np.zeros(40)) == pytest.approx(2 / 3) and f1(data.clean - 0.5) == 1
    guess = random.normal(size=40)
    right = ((guess >= 0) & (data.clean == 1)).sum()
    precision, recall = right / (guess >= 0).sum(), right / 20
    assert f1(guess) == pytest.approx(2 * precision * recall / (precision + recall))
    told = small().metrics(jnp.zeros(40), y)
    assert float(told["accuracy"]) == pytest.approx(((data.test @ W).argmax(1) == data.answers).mean())
    assert (small().init(jax.random.key(3))[0] == 0).all()


def test_the_gaussians_are_as_far_apart_as_asked():
    """5000 + 300 examples around means of norm 3.3 with unit noise, all by moments."""
    data = gaussians(200, 100, 0.5, 3.3, 1)
    assert data.test.shape == (5000, 20) and data.clean.sum() == 100
    means = np.stack([data.test[data.answers == c].mean(0) for c in range(5)])
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 3.3, atol=0.15)
    assert (data.test - means[data.answers]).std() == pytest.approx(1, abs=0.01)


def test_seeds_can_be_an_axis_of_the_data():
    """A problem of traced data, mapped, has the losses of each seed's own problem."""
    each = [parted(*digits(), (40, 20), 0.5, seed) for seed in (0, 1)]
    stacked = jax.tree.map(lambda *arrays: jnp.asarray(np.stack(arrays)), *each)
    y = small().init(jax.random.key(0))[1]
    loss = lambda data: cleaning(data, 10, 1e-3).lower(jnp.zeros(40), y, None)  # noqa: E731
    np.testing.assert_allclose(jax.vmap(loss)(stacked), [loss(data) for data in each], rtol=1e-12)


@pytest.mark.parametrize("maker", [hyper_cleaning, gaussian_cleaning])
@pytest.mark.parametrize(
    ("which", "bad"), [("pollution", 1.0), ("ridge", 0.0), ("batch", (1, -1)), ("validation", 0), ("train", 1)]
)
def test_a_bad_setting_is_named(maker, which, bad):
    with pytest.raises(ValueError, match=f"^{which}.*got"):
        maker(**{which: bad})


def test_too_much_data_or_no_scikit_learn_is_told(monkeypatch):
    with pytest.raises(ValueError, match=r"^train \+ validation must be below 1797: got 1700 \+ 200\.$"):
        hyper_cleaning(train=1700)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ValueError, match=r"^the digits need scikit-learn: pip install 'upperhand\[data\]'\.$"):
        hyper_cleaning()
