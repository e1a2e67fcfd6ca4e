"""Variety, repetition and length, counted by hand; and what may be printed."""

import pytest

from upperhand.judges import distinct_2, masked, mean_length, repetition

TEXTS = ["good good good", "Good day", "a day  a day", "", "x"]
# pairs: (good good) ×2, (good day), (a day) ×2, (day a): 6 in all, 4 different, 2 of a word and itself


def test_by_hand():
    assert distinct_2(TEXTS) == pytest.approx(4 / 6)
    assert repetition(TEXTS) == pytest.approx(2 / 6)
    assert mean_length(TEXTS) == pytest.approx(10 / 5)


def test_no_pairs():
    for texts in ([], [""], ["one", "two"]):
        assert distinct_2(texts) == repetition(texts) == 0.0
    assert mean_length([]) == 0.0


def test_coarse_words_are_masked_and_others_stay():
    cases = {
        "What the Fuck": "What the F***",
        "fuuuck this bullshit, #shitstorm": "f*** this b***, #s***",
        "you asshole, kiss my asss": "you a***, kiss my a***",
        "dicks and niggas": "d*** and n***",
        "pass the class, as a cocktail in Scunthorpe": "pass the class, as a cocktail in Scunthorpe",
        "the dickens assessed a snigger-free embassy": "the dickens assessed a s***-free embassy",
        "@user <url> :) good": "@user <url> :) good",
    }
    for text, wanted in cases.items():
        assert masked(text) == wanted
