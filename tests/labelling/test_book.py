"""A labels folder: ids and orders against the written format, several writers, kills, full disks and damage."""

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from upperhand.errors import BadInput
from upperhand.labelling import journal
from upperhand.labelling.book import Book, Pair, meant, sides
from upperhand.labelling.journal import NotWritten

AB, CD = Pair("a", "b"), Pair("c", "d")


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / "labels")
    book.ask([AB, CD])
    return book


def other(book):
    """The same folder, read from the start."""
    again = Book(book.folder)
    again.look()
    return again


def lines(book, name="labels.jsonl"):
    return [json.loads(line) for line in (book.folder / name).read_text().splitlines()]


def written(book, *records, name="labels.jsonl"):
    """As another program would append them."""
    with open(book.folder / name, "a", encoding="utf-8") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))


def test_the_files_are_as_the_format_says(book):
    text = Pair('smile 😀 \n\t"é\\', "plain")
    book.ask([text, AB])  # AB was asked about
    asked = lines(book, "asked.jsonl")
    assert [record["first"] for record in asked] == ["a", "c", text.first] and "T" in asked[0]["asked"]
    assert asked[0]["id"] == hashlib.sha256(b'["a","b"]').hexdigest()[:16]
    spelled = '["smile 😀 \\n\\t\\"é\\\\","plain"]'  # as JSON.stringify of a browser has it
    assert asked[2]["id"] == hashlib.sha256(spelled.encode()).hexdigest()[:16]
    label = book.label(AB, 1, "ada")
    assert lines(book) == [{"id": AB.id, "answer": 1, "by": "ada", "at": label.at}]
    assert other(book).said(AB) == label and other(book).open() == [CD, text] and other(book).given() == 1


def test_a_prompt_belongs_to_its_pair(book):
    asked = Pair("a", "b", "which?")
    book.ask([asked, asked.turned])
    assert set(lines(book, "asked.jsonl")[0]) == {"id", "first", "second", "asked"}
    assert lines(book, "asked.jsonl")[2]["prompt"] == "which?"
    assert lines(book, "asked.jsonl")[2]["id"] == hashlib.sha256(b'["which?","a","b"]').hexdigest()[:16]
    written(book, {"prompt": "which?", "first": "b", "second": "a", "answer": 1})
    book.look()
    assert book.said(asked).answer == 2 and book.open() == [AB, CD] and other(book).pairs[asked.id] == asked
    assert sorted(sides(asked)) == ["a", "b"]
    source = book.folder / "given"
    source.write_text(json.dumps({"prompt": "which?", "first": "a", "second": "b", "answer": 1}))
    assert book.take(source, "ada") == (1, 0) and lines(book)[-1]["prompt"] == "which?"
    assert book.said(asked).answer == 1 and book.said(AB) is None


def test_the_last_line_counts_and_null_takes_back(book):
    written(book, *({"id": AB.id, "answer": answer} for answer in (1, 2, "tie")))
    book.look()
    assert book.said(AB).answer == "tie"
    written(book, {"id": AB.id, "answer": None})
    book.look()
    assert book.said(AB) is None and book.open() == [AB, CD] and other(book).open() == [AB, CD]
    first = book.label(AB, "skip", "ada")
    assert book.label(AB, 1, "bob") is None  # it has one
    assert book.take_back(first) and not book.take_back(first)
    second = book.label(AB, 2, "ada")
    written(book, {"id": AB.id, "answer": 1, "by": "bob"})
    assert not book.take_back(second) and book.said(AB).answer == 1  # another one's stays


def test_a_label_holds_for_the_texts_in_either_order(book):
    written(book, {"first": "b", "second": "a", "answer": 1}, {"id": Pair("d", "c").id, "answer": 2})
    book.look()
    assert book.said(AB).answer == 2 and book.said(AB.turned).answer == 1 and book.said(CD).answer == 1
    assert book.open() == [] and book.knows(AB.turned) and book.ask([AB.turned]) == 0 and book.strangers() == 0
    written(book, {"id": AB.id, "answer": 1})
    book.look()
    assert book.said(AB.turned).answer == 2


def test_labels_of_pairs_that_nobody_asked_about_wait_for_them(book):
    written(book, {"first": "x", "second": "y", "answer": 2}, {"id": "feed", "answer": 1})
    book.look()
    assert book.strangers() == 2 and book.open() == [AB, CD] and book.given() == 0
    book.ask([Pair("y", "x")])
    assert book.strangers() == 1 and book.open() == [AB, CD] and book.said(Pair("y", "x")).answer == 1


def test_which_side_a_text_is_on_is_chance_and_the_answer_is_of_the_texts():
    pairs = [Pair(f"text {i}", f"text {i + 1}") for i in range(2000)]
    turned = sum(sides(pair) != pair[:2] for pair in pairs)
    assert abs(turned - 1000) < 4 * 2000**0.5 / 2  # four deviations of a fair coin
    for pair in pairs[:50]:
        chosen = {1: pair.first, 2: pair.second}
        assert [chosen[meant(pair, answer)] for answer in (1, 2)] == list(sides(pair))
        assert meant(pair, "tie") == "tie"


def test_reading_takes_only_what_is_new(book, monkeypatch):
    seen = []
    monkeypatch.setattr(journal, "parsed", lambda text, known=journal.parsed: seen.append(text) or known(text))
    book.look()
    book.look()
    assert not any(seen)
    written(book, {"id": AB.id, "answer": 1})
    book.look()
    assert len([text for text in seen if text]) == 1 and book.said(AB).answer == 1


def test_a_file_that_was_cut_or_replaced_is_read_anew(book):
    book.label(AB, 1, "ada"), book.label(CD, 2, "ada")
    path = book.folder / "labels.jsonl"
    path.write_text(path.read_text().splitlines()[1] + "\n")
    book.look()
    assert book.open() == [AB]
    (book.folder / "new").write_text(path.read_text() * 3)
    os.replace(book.folder / "new", path)
    written(book, {"id": AB.id, "answer": "tie"})
    book.look()
    assert book.said(AB).answer == "tie"
    path.unlink()
    book.look()
    assert book.open() == [AB, CD]


@pytest.mark.parametrize("torn", ['{"id": "', '{"id": "AB", "answ', "{"])
def test_a_torn_last_line_is_left_out_and_then_replaced(book, torn):
    book.label(AB, 1, "ada")
    with open(book.folder / "labels.jsonl", "a") as file:
        file.write(torn)
    reader = other(book)
    assert reader.open() == [CD]
    assert other(book).label(CD, 2, "ada")
    assert [record["answer"] for record in lines(book)] == [1, 2]
    reader.look()
    assert reader.open() == []


def test_a_whole_last_line_without_its_newline_counts(book):
    (book.folder / "labels.jsonl").write_text(json.dumps({"id": AB.id, "answer": 2}))
    book.look()
    assert book.open() == [CD]
    book.label(CD, 1, "ada")
    assert [record["answer"] for record in lines(book)] == [2, 1] and other(book).open() == []


@pytest.mark.parametrize(
    "line, says",
    [
        ("{not json", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"id": "a", "answer": 3}', "answer must be"),
        ('{"id": "a", "answer": true}', "answer must be"),
        ('{"id": "a", "answer": []}', "answer must be"),
        ('{"id": "a"}', "answer must be"),
        ('{"id": 7, "answer": 1}', "names its pair"),
        ('{"first": "a", "answer": 1}', "names its pair"),
        ('{"id": "a", "first": "x", "second": "y", "answer": 1}', "Leave id out, or correct it"),
    ],
)
def test_a_damaged_line_is_told_by_file_and_number(book, line, says):
    path = book.folder / "labels.jsonl"
    path.write_text(f'\n{{"id": "x", "answer": 1}}\n{line}\n{{"id": "y", "answer": 1}}\n')
    for _ in range(2):  # it does not go away by looking
        with pytest.raises(BadInput, match=says) as caught:
            book.look()
        assert "line 3" in str(caught.value) and str(path) in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(BadInput, match="line 3"):
        book.label(AB, 1, "ada")
    path.write_text("")
    book.look()
    assert book.open() == [AB, CD]


def test_a_full_disk_changes_nothing(book, monkeypatch):
    book.label(AB, 1, "ada")
    before, write = (book.folder / "labels.jsonl").read_bytes(), os.write
    told = []

    def full(place, data):
        told.append(len(data))
        if len(told) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(place, bytes(data[:7]))  # a part fits

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(NotWritten, match="the disk is full") as caught:
            book.label(CD, 2, "ada")
    assert "\n" not in str(caught.value) and len(told) == 2
    assert (book.folder / "labels.jsonl").read_bytes() == before and book.open() == [CD]
    assert book.label(CD, 2, "ada") and [record["answer"] for record in lines(book)] == [1, 2]


def test_a_file_that_may_grow_no_further_keeps_what_it_has(book):
    """A limit of the system, in a process of its own: as many labels as were told are there, each of them whole."""
    program = """
import resource, sys, types
package = types.ModuleType("upperhand")  # without what the package itself imports, which takes seconds
package.__path__ = [sys.argv[2]]
sys.modules["upperhand"] = package
from upperhand.labelling.book import Book, Pair
book = Book(sys.argv[1])
book.ask([Pair(f"text {i}", "other") for i in range(50)])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for pair in book.open():
    print(book.label(pair, 1, "ada").id, flush=True)
"""
    words = [sys.executable, "-c", program, str(book.folder), str(Path(journal.__file__).parents[1])]
    done = subprocess.run(words, capture_output=True, text=True)
    told = done.stdout.split()
    assert "NotWritten: the disk is full" in done.stderr and 5 < len(told) < 20
    assert [record["id"] for record in lines(book)] == told and len(other(book).open()) == 52 - len(told)


def test_many_writers_lose_and_double_nothing(tmp_path):
    pairs = [Pair(str(i), "x") for i in range(60)]
    books = [Book(tmp_path / "labels") for _ in range(4)]
    taken = [[] for _ in books]

    def work(book, mine):
        book.ask(pairs)
        for pair in pairs:
            if book.label(pair, 1, "ada"):
                mine.append(pair)

    threads = [threading.Thread(target=work, args=both) for both in zip(books, taken, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(sum(taken, [])) == sorted(pairs)
    assert len(lines(books[0])) == len(lines(books[0], "asked.jsonl")) == 60


def test_a_file_of_labels_is_taken_whole_or_not_at_all(book, tmp_path):
    source = tmp_path / "given.jsonl"
    records = [{"first": "b", "second": "a", "answer": 1, "by": "eve"}, {"id": CD.id, "answer": "tie"}]
    records += [{"first": "x", "second": "y", "answer": "skip"}, {"first": "a", "second": "b", "answer": 2}]
    source.write_text("\n".join(map(json.dumps, records)))
    assert book.take(source, "ada") == (4, 1)  # the last says what the first does
    assert book.said(AB)[1:3] == (2, "eve") and book.said(CD)[1:3] == ("tie", "ada") and book.strangers() == 1
    assert book.take(source, "ada") == (4, 4) and len(lines(book)) == 3
    source.write_text('{"first": "a", "second": "b", "answer": 1}\n{"first": "b", "second": "a", "answer": 1}\n')
    assert book.take(source, "ada") == (2, 0) and other(book).said(AB).answer == 2
    for bad in ('{"id": "z", "answer": 1}\n{"id": "q", "answer": 9}', '{"id": "z", "answer": 1}\n{"id": '):
        source.write_text(bad)
        with pytest.raises(BadInput, match="line 2"):
            book.take(source, "ada")
    assert len(lines(book)) == 5 and other(book).strangers() == 1
    with pytest.raises(BadInput, match="nowhere"):
        book.take(tmp_path / "nowhere", "ada")


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        Book(tmp_path / "file" / "labels").ask([AB])
