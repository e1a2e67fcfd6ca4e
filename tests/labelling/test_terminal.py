"""Labelling in the terminal, driven as a person does it: nothing is lost or doubled, and the terminal is as before."""

import io
import json
import os
import resource
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pexpect
import pytest
from rich.console import Console

import upperhand
from upperhand.cli.main import main
from upperhand.labelling.book import Book, Pair, sides
from upperhand.labelling.keys import Keys
from upperhand.labelling.terminal import draw, visible

PAIRS = [Pair(f"first{i}", f"second{i}") for i in range(4)]
COMMAND = ["-m", "upperhand", "label"]


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / "labels")
    book.ask(PAIRS)
    return book


def started(book, *words, **options):
    """The command in a terminal of its own, at its first pair."""
    folder = str(book.folder)
    return pexpect.spawn(sys.executable, [*COMMAND, folder, "--by", "ada", *words], **SPAWNED | options)


SPAWNED = {"timeout": 60, "encoding": "utf-8", "dimensions": (40, 100)}
SPAWNED |= {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
"""Ctrl-C counts, also where the tests run in the background of a shell, which ignores it."""

LIGHT = """
import sys, types
package = types.ModuleType("upperhand")  # without what the package itself imports, which takes seconds
package.__path__ = [sys.argv[1]]
sys.modules["upperhand"] = package
from rich.console import Console
from upperhand.labelling.book import Book
from upperhand.labelling.keys import keys
from upperhand.labelling.terminal import sitting
with keys() as pressed:
    how = {"by": "ada", "once": sys.argv[3] == "True", "is_finished": lambda: False}
    told = sitting(Book(sys.argv[2]), pressed, Console(), **how)
print(f"{told[0]} given, {told[1]} open")
"""


def light(book, once=False, **options):
    """What the command does once it has begun, in a terminal of its own."""
    words = ["-c", LIGHT, str(Path(upperhand.__file__).parent), str(book.folder), str(once)]
    return pexpect.spawn(sys.executable, words, **SPAWNED | options)


def answers(book):
    """What the lines of labels.jsonl say, in order."""
    path = book.folder / "labels.jsonl"
    return [json.loads(line)["answer"] for line in path.read_text().splitlines()] if path.exists() else []


def chosen(book):
    """The texts that are preferred, or the word that was said, of the pairs with a label."""
    book.look()
    said = [(pair, book.said(pair)) for pair in PAIRS]
    return [{1: pair.first, 2: pair.second}.get(label.answer, label.answer) for pair, label in said if label]


def flags(terminal):
    return termios.tcgetattr(terminal.child_fd)[3] & (termios.ECHO | termios.ICANON)


def test_label_undo_quit_and_start_again(book):
    terminal = started(book)
    before = flags(terminal)
    left, right = sides(PAIRS[0])
    terminal.expect(f"{left}.*{right}.*q quit")
    assert flags(terminal) == 0  # a key at a time, unseen
    terminal.send("1")
    terminal.expect("left is better.*q quit")
    assert answers(book) != []  # on disk before the next pair is shown
    terminal.send("2")
    terminal.expect("right is better.*q quit")
    terminal.send("u")
    terminal.expect(f"taken back.*{sides(PAIRS[1])[0]}.*q quit")
    terminal.send("t")
    terminal.expect("a tie.*q quit")
    terminal.send("x\x1b[A")  # no key of ours, and an arrow
    terminal.expect("q quit")
    terminal.send("q")
    terminal.expect("2 labels given, 2 pairs open")
    terminal.expect(pexpect.EOF)
    assert flags(terminal) == before
    terminal.close()
    assert terminal.exitstatus == 0
    assert chosen(book) == [left, "tie"] and len(answers(book)) == 4

    terminal = started(book, "--once")
    terminal.expect(f"2 open · 2 labelled · ada.*{sides(PAIRS[2])[0]}.*q quit")
    terminal.send("s")
    terminal.expect("skipped.*q quit")
    terminal.send("2")
    terminal.expect("2 labels given, 0 pairs open")
    terminal.expect(pexpect.EOF)
    assert chosen(book) == [left, "tie", "skip", sides(PAIRS[3])[1]] and len(answers(book)) == 6


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_however_it_is_stopped_the_terminal_is_as_before(book, number):
    terminal = light(book)
    before = flags(terminal)
    terminal.expect("q quit")
    terminal.send("1")
    terminal.expect("left is better.*q quit")
    assert flags(terminal) == 0 and before
    terminal.kill(number)
    terminal.expect(pexpect.EOF)
    assert flags(terminal) == before and len(answers(book)) == 1


def test_killed_between_labels_nothing_is_lost_or_doubled(book):
    terminal = light(book)
    for _ in range(2):
        terminal.expect("q quit")
        terminal.send("1")
    terminal.expect("2 open · 2 labelled.*q quit")
    terminal.kill(signal.SIGKILL)
    terminal.wait()
    assert len(chosen(book)) == len(answers(book)) == 2
    terminal = light(book, once=True)
    for _ in range(2):
        terminal.expect("q quit")
        terminal.send("2")
    terminal.expect("2 given, 0 open")
    assert len(chosen(book)) == len(answers(book)) == 4


def test_a_full_disk_is_told_and_the_same_key_works_once_there_is_room(book):
    terminal = light(book, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY)))
    terminal.expect("q quit")
    terminal.send("1")  # a label has some 100 bytes
    terminal.expect("3 open.*q quit")
    terminal.send("2")
    terminal.expect("the disk is full.*again")
    assert len(answers(book)) == 1 and (book.folder / "labels.jsonl").read_bytes().endswith(b"}\n")
    resource.prlimit(terminal.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    terminal.send("2")
    terminal.expect("right is better.*2 open.*q quit")
    terminal.send("q")
    terminal.expect("2 given, 2 open")
    assert chosen(book) == [sides(PAIRS[0])[0], sides(PAIRS[1])[1]] and len(answers(book)) == 2


def test_it_waits_for_new_pairs_and_what_was_pressed_before_is_not_an_answer(book):
    for pair in PAIRS:
        book.label(pair, 1, "eve")
    terminal = light(book)
    terminal.expect("no pair is open, 4 labelled")
    terminal.send("2")
    time.sleep(0.5)
    book.ask([Pair("late", "later")])
    terminal.expect("1 open.*late.*q quit")
    terminal.send("t")
    terminal.expect("no pair is open, 5 labelled")
    terminal.send("u")
    terminal.expect("taken back.*1 open.*q quit")
    terminal.send("q")
    terminal.expect("0 given, 1 open")
    assert answers(book) == [1] * 4 + ["tie", None]


def test_lines_of_a_pipe_are_answers_until_the_disk_is_full(book):
    command = [sys.executable, *COMMAND, str(book.folder), "--by", "ada"]
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (450, 450))}
    done = subprocess.run(command, input="1\n\nwhat?\ntie\nu\n2\n1\n2", capture_output=True, text=True, **limit)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "the disk is full" in done.stderr
    assert chosen(book) == [sides(PAIRS[0])[0], sides(PAIRS[1])[1]] and answers(book)[1:3] == ["tie", None]


def test_lines_of_a_pipe_wait_for_pairs_but_for_undo_and_quit():
    read, write = os.pipe()
    piped = Keys(read, False)
    assert piped.next(0.01) is None and piped.while_idle(0.01) is None
    os.write(write, b"u\n1\nq\n")
    assert piped.while_idle(0.01) == "u"
    began = time.monotonic()
    assert piped.while_idle(0.05) is None and time.monotonic() - began >= 0.05  # it does not spin
    assert piped.next(0.01) == "1" and piped.while_idle(0.01) == "q" and piped.next(0.01) is None
    os.write(write, b"\n  T ie\n2")
    os.close(write)
    assert [piped.next(0.01) for _ in range(4)] == ["t", "2", "q", "q"] and piped.while_idle(0.01) == "q"
    os.close(read)


def test_texts_cannot_steer_the_terminal():
    assert visible("a\x1b[31mb\nc\u202ed\x07 é 👩\u200d🔬") == "a·[31mb\nc·d· é 👩\u200d🔬"


def test_what_both_answer_stands_above_them(book):
    console = Console(file=io.StringIO(), width=60)
    draw(console, book, Pair("a", "b", "which [b]one[/b] \x1b[1m?"), "ada")
    told = console.file.getvalue().splitlines()
    (line,) = (i for i, text in enumerate(told) if "which [b]one[/b] ·[1m?" in text)
    assert "both answer" in told[line - 1] and line < min(
        i for i, text in enumerate(told) if " 1 " in text and " 2 " in text
    )
    draw(console, book, Pair("a", "b"), "ada")
    assert console.file.getvalue().count("both answer") == 1


def test_a_file_is_imported_and_counted(book, tmp_path, capsys):
    source = tmp_path / "given.jsonl"
    records = [{"first": "second0", "second": "first0", "answer": 1}, {"id": "feed", "answer": "tie"}]
    source.write_text("\n".join(map(json.dumps, records)))
    words = ["label", str(book.folder), "--from", str(source)]
    assert main(words) == 0
    assert capsys.readouterr().out == "2 labels imported; 3 pairs open, 1 labels of pairs not asked about yet\n"
    assert chosen(book) == ["second0"]
    assert main(words) == 0 and "0 labels imported, 2 said nothing new" in capsys.readouterr().out
    assert main(["label", str(tmp_path / "new"), "--from", str(source)]) == 0  # labels may come before any run


@pytest.mark.parametrize(
    "words, says",
    [
        ([], "OUT is missing"),
        (["/nowhere/labels"], "there is no folder /nowhere/labels"),
        (["{labels}", "--onze"], "--once"),
        (["{labels}", "--port", "many"], "--port"),
        (["{labels}", "--from", "/nowhere/file"], "/nowhere/file cannot be read"),
        (["{labels}", "--from", "{bad}"], "line 1"),
        (["{labels}", "--from", "{bad}", "--page"], "one of them"),
        (["{labels}", "--page", "--host", "0.0.0.0"], "--allow-host"),
        (["{labels}", "--page", "--host", "example.org"], "address in numbers"),
        (["{labels}", "--page", "--port", "70000"], "--port"),
        (["{other}"], "neither a run folder nor a labels folder"),
        (["{run}"], "names no folder of labels"),
        (["{damaged}"], "line 1"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(book, tmp_path, capsys, words, says):
    places = {name: tmp_path / name for name in ("labels", "bad", "other", "run", "damaged")}
    for name in ("other", "run", "damaged"):
        places[name].mkdir()
    places["bad"].write_text("{}")
    (places["other"] / "file").write_text("")
    (places["damaged"] / "asked.jsonl").write_text('{"first": 1}\n')
    config = {"problem": "p", "solver": "s", "problem_settings": {}, "solver_settings": {}}
    config |= {"steps": 4, "every": 1, "seeds": [0], "precision": "float32"}
    (places["run"] / "config.json").write_text(json.dumps(config))
    assert main(["label", *(word.format(**places) for word in words)]) == 2
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1
