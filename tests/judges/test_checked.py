"""A person's answer is used only where it can be; else one line says which text."""

import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.judges import checked, person_of

TEXTS = ["one", "two words", "fucking long " + "x" * 100, "last"]


def fails(text):
    def person(texts):
        if text in texts:
            raise RuntimeError("no\nanswer")
        return [0.0 for _ in texts]

    return person


def told(person, texts=TEXTS) -> str:
    with pytest.raises(BadInput) as error:
        checked(person)(texts)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("kind", [list, tuple, np.array, lambda found: np.array(found, np.float32)])
def test_numbers_are_passed_on(kind):
    found = checked(lambda texts: kind([len(text) for text in texts]))(TEXTS)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [3, 9, 113, 4])


def test_no_texts_are_asked_of_nobody():
    assert checked(lambda texts: 1 / 0)([]).shape == (0,)


def test_the_text_that_a_person_fails_on_is_found():
    assert told(fails("last")) == "the person failed on 'last': RuntimeError: no answer."
    assert told(fails("last"), ["last"]) == "the person failed on 'last': RuntimeError: no answer."


def test_a_person_who_fails_on_no_text_alone():
    def person(texts):
        return [1.0] if len(texts) == 1 else {}["a"]

    assert told(person) == "the person failed on 4 texts, the first of them 'one': KeyError: 'a'."


def test_a_long_text_is_cut_and_masked():
    line = told(fails(TEXTS[2]))
    assert "'f*** long xxx" in line and "fuck" not in line and len(line) < 120


def test_a_person_s_own_bad_input_stands():
    def person(texts):
        raise BadInput("install me.")

    assert told(person) == "install me."


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ([1.0, 2.0], "one number a text: got shape (2,) for 4 texts"),
        (1.0, "got shape () for 4 texts"),
        ([[1.0]] * 4, "got shape (4, 1) for 4 texts"),
        ([0.0, np.nan, 0.0, 0.0], "gave nan for 'two words'"),
        ([0.0, 0.0, 0.0, -np.inf], "gave -inf for 'last'"),
        (["good"] * 4, "a list of numbers, one a text: got ['good'"),
        ({"a": 1}, "a list of numbers, one a text: got {'a': 1}"),
        ([[1.0], [1.0, 2.0]], "a list of numbers"),
        (None, "a list of numbers, one a text: got None"),
    ],
)
def test_answers_that_cannot_be_used(given, line):
    assert line in told(lambda texts: given)


def test_one_number_too_many_for_one_text():
    assert "got shape (2,) for 1 text." in told(lambda texts: [1.0, 2.0], ["one"])


def test_a_person_is_a_function_in_a_file(tmp_path):
    (tmp_path / "beside.py").write_text("WORTH = 2.0\n")
    (tmp_path / "judge.py").write_text(
        "from beside import WORTH\nlongest = lambda texts: [WORTH * len(t) for t in texts]\n"
    )
    assert person_of(f"{tmp_path}/judge.py:longest")(TEXTS[:2]) == [6.0, 18.0]
    assert person_of(len) is len and person_of(None)(["so happy"])[0] > 0.5


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("judge", "must be FILE.py:FUNCTION"),
        ("{folder}/judge.py", "must be FILE.py:FUNCTION"),
        ("{folder}/none.py:score", "there is no file"),
        ("{folder}/judge.py:score", "has no function score"),
        ("{folder}/bad.py:score", "bad.py failed: ZeroDivisionError"),
        ("{folder}/wrong.py:score", "wrong.py failed: SyntaxError"),
    ],
)
def test_a_file_without_a_person_gives_one_line(tmp_path, words, says):
    for name, content in {"judge": "score = 3\n", "bad": "1 / 0\n", "wrong": "def\n"}.items():
        (tmp_path / f"{name}.py").write_text(content)
    with pytest.raises(BadInput, match=says) as error:
        person_of(words.format(folder=tmp_path))
    assert "\n" not in str(error.value)
