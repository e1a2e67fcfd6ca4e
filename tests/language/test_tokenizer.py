"""Tokens: a round trip without loss, ids that the world knows, and merges as byte-pair encoding has them."""

import re
import sys
from collections import Counter

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.language.corpus import made_up
from upperhand.language.tokenizer import BEGIN, END, FEWEST, PAD, complete, from_json, train

LINES = made_up(1500, seed=5).train
ODD = [
    "",
    " ",
    "  two  blanks ",
    "<pad><begin> <end>",
    "@user@user <url>,<email>.<phone>",
    "naïve 今日 🙂",
    "A\tb",
    "@use r",
]


@pytest.fixture(scope="module")
def tokenizer():
    return train(LINES, 400)


def test_every_text_comes_back(tokenizer):
    for lines in (LINES, ODD):
        tokens = tokenizer.encode(lines, 80)
        assert tokens.dtype == np.int32 and tokens.shape == (len(lines), 80)
        assert complete(tokens).all()
        assert tokenizer.decode(tokens) == lines


def test_a_row_is_a_text_then_one_end_then_pads(tokenizer):
    tokens = tokenizer.encode(ODD + LINES[:50], 80)
    for row in tokens:
        end = int(np.flatnonzero(row == END)[0])
        assert (row[:end] > END).all() and (row[end + 1 :] == PAD).all()
    assert (PAD, BEGIN, END) == (0, 1, 2)
    assert tokens.max() < tokenizer.vocabulary == 400


def test_longer_texts_are_cut_and_have_no_end(tokenizer):
    whole = tokenizer.encode(LINES, 80)
    lengths = (whole > END).sum(1)
    T = int(np.median(lengths))
    cut = tokenizer.encode(LINES, T)
    np.testing.assert_array_equal(cut, whole[:, :T])
    np.testing.assert_array_equal(complete(cut), lengths < T)
    assert all(line.startswith(said) for line, said in zip(LINES, tokenizer.decode(cut), strict=True))


def test_what_follows_the_end_is_not_said(tokenizer):
    row = tokenizer.encode(["hello"], 12)
    row[0, 8:] = 70
    assert tokenizer.decode(row) == ["hello"]


def test_masks_are_one_token_each(tokenizer):
    words = tokenizer.words()
    assert len(words) == tokenizer.vocabulary and words[:3] == ["<pad>", "<begin>", "<end>"]
    for mask in ("@user", "<url>", "<email>", "<phone>"):
        assert words.count(mask) == 1
        assert tokenizer.encode([mask], 3).tolist() == [[words.index(mask), END, PAD]]


def test_the_first_merge_is_the_most_frequent_pair():
    """By counting, in the pieces that byte-level encoding cuts plain words into: a word with the blank before it."""
    lines = [re.sub("[^a-z ]", "", line) for line in LINES]
    counts = Counter(
        pair for line in lines for word in re.findall(" ?[a-z]+", line) for pair in zip(word, word[1:], strict=False)
    )
    (pair, most), (_, second) = counts.most_common(2)
    assert most > second
    made = train(lines, FEWEST + 1)
    assert made.vocabulary == FEWEST + 1
    assert made.words()[3 + 256] == "".join(pair)


def test_training_again_or_reading_it_back_gives_the_same(tokenizer):
    assert train(LINES, 400).to_json() == tokenizer.to_json()
    again = from_json(tokenizer.to_json())
    np.testing.assert_array_equal(again.encode(LINES + ODD, 40), tokenizer.encode(LINES + ODD, 40))
    assert again.decode(again.encode(ODD, 80)) == ODD and again.words() == tokenizer.words()


def test_a_vocabulary_ends_where_nothing_is_left_to_merge():
    made = train(["ab cd"] * 5, 4000)
    assert FEWEST < made.vocabulary < FEWEST + 10
    assert made.decode(made.encode(["ab cd, ef"], 20)) == ["ab cd, ef"]


def test_bad_input(monkeypatch):
    for told, call in {
        f"at least {FEWEST}.*got 100": lambda: train(LINES, 100),
        "nothing can be learned: the texts have 1 tokens": lambda: train(["hello"] * 300, 400),
        "nothing can be learned": lambda: train([], 400),
        "damaged.*train it again": lambda: from_json('{"a": 1'),
    }.items():
        with pytest.raises(BadInput, match=told) as error:
            call()
        assert "\n" not in str(error.value)
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(BadInput, match=r"pip install 'upperhand\[tweets\]'"):
        train(LINES, 400)
