"""What becomes of a tweet, rule by rule."""

import pytest

from upperhand.language.cleaning import clean, cleaned

CASES = {
    "Hello   World\n!": "hello world !",
    "RT @Some_One: good news": "good news",
    "rt @a: rt @b: twice told": "twice told",
    "so RT @a please": "so rt @user please",
    "see http://t.co/x1Y and https://a.b/c?d=e.": "see <url> and <url>",
    "www.example.org is up, pic.example.com/abc too": "<url> is up, <url> too",
    "either/or, 1/2 and w/ me": "either/or, 1/2 and w/ me",
    "write to jane.doe@example.org now": "write to <email> now",
    "@Jane and @joe_2: hi": "@user and @user: hi",
    "call +1 (555) 010-9999 or (555) 010-9999": "call <phone> or <phone>",
    "in 2014 we paid 20.50 for 3": "in 2014 we paid 20.50 for 3",
    "you &amp;amp; me &lt;3": "you & me <3",
    "SO happy :D #Yes": "so happy :d #yes",
}


@pytest.mark.parametrize("raw", CASES)
def test_clean(raw):
    assert clean(raw) == CASES[raw]


@pytest.mark.parametrize("raw", CASES)
def test_cleaning_twice_changes_nothing(raw):
    assert clean(clean(raw)) == clean(raw)


def test_what_stays():
    texts = [
        "The cat sat on the mat",
        "the cat... sat on the mat! http://a.bc",  # the same letters
        "the caf\u00e9 sat on the mat",
        "tiny",
        "@a @b http://c.de @f",  # masks alone say nothing
        "the dog sat on the mat",
        "RT @x: THE DOG sat on the mat 2",
    ]
    assert cleaned(texts) == [(0, "the cat sat on the mat"), (5, "the dog sat on the mat")]
