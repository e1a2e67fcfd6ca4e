"""A run that asks people: what it waits for, what it goes on with, and that it is told the same again."""

import importlib
import json
import math
import threading
import time

import numpy as np
import pytest

from upperhand.cli.labelling import place as labels_of
from upperhand.cli.stopping import stoppable
from upperhand.errors import BadInput
from upperhand.labelling.book import Book, Pair
from upperhand.labelling.people import people
from upperhand.labelling.waiting import STOP, interruptible
from upperhand.texts import Answer

FIRST, SECOND = ["a", "c", "e", "same"], ["b", "d", "f", "same"]


def labelled(folder, answers):
    """Labels for the pairs of FIRST and SECOND."""
    book = Book(folder)
    book.ask([Pair(*texts) for texts in zip(FIRST[:3], SECOND, strict=False)])
    for pair, answer in zip(book.pairs.values(), answers, strict=True):
        book.label(pair, answer, "ada")


def run_folder(path, labels=None):
    """A run folder as far as people look at it."""
    path.mkdir()
    config = {"problem": "p", "solver": "s", "problem_settings": {"labels": labels}, "solver_settings": {}}
    config |= {"steps": 4, "every": 1, "seeds": [0], "precision": "float32"}
    (path / "config.json").write_text(json.dumps(config))
    return path


def test_answers_are_numbers_of_the_first_text(tmp_path):
    labelled(tmp_path, [1, 2, "tie"])
    prefer = people(tmp_path)
    np.testing.assert_array_equal(prefer(FIRST, SECOND, 0), [1, 0, 0.5, 0.5])
    np.testing.assert_array_equal(prefer(SECOND, FIRST, 1), [0, 1, 0.5, 0.5])
    assert prefer([], [], 2).shape == (0,)
    assert len((tmp_path / "asked.jsonl").read_text().splitlines()) == 3  # equal texts are not asked about


def test_answers_are_asked_about_below_their_prompt(tmp_path):
    first, second = (Answer("a", "p"), Answer("a", "q")), (Answer("b", "p"), Answer("b", "q"))
    prefer = people(tmp_path, patience=0.0)
    assert np.isnan(prefer(first, second, 0)).all()
    book = Book(tmp_path)
    book.look()
    assert list(book.pairs.values()) == [Pair("a", "b", "p"), Pair("a", "b", "q")]
    book.label(Pair("a", "b", "q"), 2, "ada")
    np.testing.assert_array_equal(prefer(first, second, 1), [math.nan, 0])
    with pytest.raises(BadInput, match="answers to one prompt"):
        prefer(first, second[::-1], 2)


@pytest.mark.parametrize("between, most", [(30.0, 1), (0.0, 3)])
def test_it_waits_for_the_last_label_and_says_so_once_or_as_labels_come(tmp_path, monkeypatch, between, most):
    said, folder = [], tmp_path / "labels"
    monkeypatch.setattr(importlib.import_module("upperhand.labelling.people"), "BETWEEN_LINES", between)

    def answer():
        book = Book(folder)
        while len(book.open()) < 3:
            book.look()
            time.sleep(0.01)
        for pair in book.open():
            time.sleep(0.05)
            book.label(pair, "skip" if pair.first == "c" else 1, "ada")

    thread = threading.Thread(target=answer)
    thread.start()
    np.testing.assert_array_equal(people(folder, poll=0.01, say=said.append)(FIRST, SECOND, 0), [1, math.nan, 1, 0.5])
    thread.join()
    assert said[0] == f"waiting for 3 labels (0 given so far): upperhand label {folder}"
    assert len(said) <= most and len(set(said)) == len(said)


def test_after_its_patience_it_goes_on_with_what_there_is(tmp_path):
    began = time.monotonic()
    np.testing.assert_array_equal(people(tmp_path, patience=0.0)(FIRST, SECOND, 0), [math.nan, math.nan, math.nan, 0.5])
    labelled(tmp_path, [1, 2, "skip"])
    book = Book(tmp_path)
    book.look()
    assert book.take_back(book.said(Pair("a", "b")))
    prefer = people(tmp_path, patience=0.2, say=lambda line: None)
    np.testing.assert_array_equal(prefer(FIRST, SECOND, 0), [math.nan, 0, math.nan, 0.5])
    assert 0.2 <= time.monotonic() - began < 5


def test_a_run_is_told_again_what_it_was_told_and_another_run_is_not(tmp_path):
    labels, out = tmp_path / "labels", run_folder(tmp_path / "run", labels="there")
    prefer = people(labels, patience=0.0)
    prefer.keep_in(out)
    before = prefer(FIRST, SECOND, 7)
    assert np.isnan(before[:3]).all()
    labelled(labels, [1, 2, 1])
    again = people(labels, patience=0.0)
    again.keep_in(out)
    np.testing.assert_array_equal(again(FIRST, SECOND, 7), before)
    np.testing.assert_array_equal(again(FIRST, SECOND, 8), [1, 0, 1, 0.5])  # another batch
    assert len((out / "told.jsonl").read_text().splitlines()) == 2
    again.keep_in(run_folder(tmp_path / "new"))
    np.testing.assert_array_equal(again(FIRST, SECOND, 7), [1, 0, 1, 0.5])
    with open(out / "told.jsonl", "a") as file:
        file.write('{"key": "x", "answers": [2]}\n')
    with pytest.raises(BadInput, match="told.jsonl, line 3"):
        again.keep_in(out)


def test_where_to_label_is_the_run_whoever_began_it(tmp_path):
    for name, labels, place in (("a", str(tmp_path / "labels"), "a"), ("b", None, "b"), ("none", None, "labels")):
        said = []
        prefer = people(tmp_path / "labels", patience=0.2, say=said.append)
        out = run_folder(tmp_path / name, labels)
        if name != "none":
            prefer.keep_in(out)
            assert labels_of(out, False) == tmp_path / "labels"
        prefer(["x"], [name], 0)
        assert said == [f"waiting for 1 label (0 given so far): upperhand label {tmp_path / place}"]
    with pytest.raises(BadInput, match="names no folder of labels"):
        labels_of(out, False)


@pytest.mark.parametrize("setting", [{"patience": -1}, {"patience": math.nan}, {"folder": ""}])
def test_bad_settings_are_told_in_one_line(tmp_path, setting):
    with pytest.raises(BadInput, match="patience|labels") as caught:
        people(**{"folder": tmp_path} | setting)
    assert "\n" not in str(caught.value)


def test_control_c_ends_a_wait_at_once_also_one_that_came_before():
    import signal

    with stoppable() as sink:
        signal.raise_signal(signal.SIGINT)
        assert STOP.asked
        with pytest.raises(KeyboardInterrupt), interruptible():
            raise RuntimeError("it waited")
        with pytest.raises(KeyboardInterrupt):
            sink({}, None)
    assert not STOP.asked
    with stoppable() as sink:
        with pytest.raises(KeyboardInterrupt), interruptible():
            signal.raise_signal(signal.SIGINT)
        sink({}, None)  # nothing is left over
