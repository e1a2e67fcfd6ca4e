"""The judges say what is published of them, and the learned one what symmetry demands."""

import sys

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.judges import afinn, learned, textblob, vader
from upperhand.language.made_up import made_up

VADER = {  # from the README of vaderSentiment
    "VADER is smart, handsome, and funny.": 0.8316,
    "VADER is smart, handsome, and funny!": 0.8439,
    "The book was good.": 0.4404,
    "At least it isn't a horrible book.": 0.431,
    "Today SUX!": -0.5461,
    "": 0.0,
}
AFINN = {"This is utterly excellent!": 3.0, "this is bad, bad and bad": -9.0, "": 0.0, "the table": 0.0}
BLOB = {"Textblob is amazingly simple to use. What great fun!": 0.39166666666666666, "": 0.0, "not good": -0.35}


@pytest.mark.parametrize(("judge", "said"), [(vader, VADER), (afinn, AFINN), (textblob, BLOB)])
def test_published_scores(judge, said):
    found = judge()(list(said))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, list(said.values()), rtol=0, atol=1e-12)
    assert judge()([]).shape == (0,)


def test_the_learned_judge_is_even_handed():
    """Happy and unhappy texts that mirror each other: mirrored scores, and 0 for what tells nothing."""
    judge = learned([(f"{word} {day}", label) for day in ("abc", "def", "ghi") for word, label in PAIRS])
    happy, unhappy, neither, empty = judge(["good abc", "bad abc", "abc", ""])
    assert happy > 0.2 and abs(happy + unhappy) < 1e-3 and abs(neither) < 1e-3 and abs(empty) < 1e-3
    assert judge([]).shape == (0,)


PAIRS = (("good", 1), ("bad", -1))


def test_the_learned_judge_knows_moods_in_lines_that_it_never_saw():
    seen = dict(made_up(2500, 0))
    fresh = [(line, mood) for line, mood in made_up(600, 1) if line not in seen]
    found = learned(list(seen.items()))([line for line, _ in fresh])
    mood = np.array([mood for _, mood in fresh])
    assert len(fresh) > 400 and (np.abs(found) <= 1).all()
    assert np.mean(np.sign(found)[mood != 0] == mood[mood != 0]) > 0.99
    assert np.abs(found[mood == 0]).mean() < 0.3


def test_labels_that_cannot_be_learned():
    for labelled in ([], [("a", 1), ("b", 0)], [("a", 1), ("b", -1), ("c", 2)]):
        with pytest.raises(BadInput, match="labelled -1 and 1"):
            learned(labelled)


@pytest.mark.parametrize(
    ("package", "call"),
    [
        ("vaderSentiment.vaderSentiment", vader),
        ("afinn", afinn),
        ("textblob", textblob),
        ("sklearn.pipeline", lambda: learned([("a", 1), ("b", -1)])),
    ],
)
def test_a_missing_package(package, call, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BadInput, match=r"pip install 'upperhand\[tweets\]'"):
        call()
