"""A run that waits for people: stopped and killed while it waits, and resumed, it is the undisturbed run."""

import json
import shutil
import signal
import sys
import threading
import time

import jax
import pytest

from test_resume import cache, child, finished, told  # noqa: F401  a fixture among them
from toys.problems.asked_game import asked_game
from upperhand import checkpoints
from upperhand.errors import BadInput
from upperhand.labelling.book import Book
from upperhand.prepared.tweets import tweets
from upperhand.solve import resume, solve
from upperhand.solvers.text import joint

STEPS, EVERY, SEEDS = 8, 2, 2


class Labeller(threading.Thread):
    """Somebody who likes the letter a, and gives so many labels and no more."""

    def __init__(self, folder, most=10**9):
        super().__init__(daemon=True)
        self.book, self.most, self.given, self.is_over = Book(folder), most, 0, False
        self.start()

    def run(self):
        while not self.is_over:
            self.book.look()
            for pair in self.book.open()[: self.most - self.given]:
                a, b = pair.first.count("a"), pair.second.count("a")
                self.book.label(pair, 1 if a > b else 2 if b > a else "tie", "somebody")
                self.given += 1
            time.sleep(0.02)

    def end(self):
        self.is_over = True
        self.join()


def command(out, labels):
    words = [
        "run",
        "asked_game",
        "--seeds",
        str(SEEDS),
        "--steps",
        str(STEPS),
        "--every",
        str(EVERY),
        "--out",
        str(out),
    ]
    words += ["--method.batch", "8", "0", "--problem.labels", str(labels), "--problem.length", "5"]
    return [sys.executable, "-m", "toys", *words]


def waiting(process, labeller, out, rows):
    """Until the run has written so many rows, was given all that the labeller gives, and waits."""
    until, path = time.monotonic() + 200, out / "rows.jsonl"
    while time.monotonic() < until and process.poll() is None:
        has_rows = path.exists() and path.read_bytes().count(b"\n") >= rows
        if has_rows and labeller.given >= labeller.most and labeller.book.open():
            time.sleep(0.3)
            return
        labeller.most += not has_rows and labeller.given >= labeller.most  # not enough for so many rows yet
        time.sleep(0.1)
    raise AssertionError(f"it does not wait: {process.communicate()}")


def test_stopped_and_killed_while_it_waits_and_resumed_it_is_the_undisturbed_run(cache, tmp_path):  # noqa: F811
    cache = cache | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}  # to compile is nearly all that it does
    labeller = Labeller(tmp_path / "whole_labels")
    finished(command(tmp_path / "whole", tmp_path / "whole_labels"), cache)
    labeller.end()
    whole, out, labels = told(tmp_path / "whole"), tmp_path / "run", tmp_path / "labels"
    assert len(whole) == SEEDS * (STEPS // EVERY + 1)

    labeller, process = Labeller(labels, most=10), child(command(out, labels), cache)
    waiting(process, labeller, out, 2 * SEEDS)
    process.send_signal(signal.SIGINT)
    said, complaints = process.communicate(timeout=60)
    assert process.returncode == 130 and complaints.count("\n") == 1 and f"upperhand resume {out}" in complaints
    assert f"upperhand label {out}" in said and checkpoints.saved_steps(out)[0] >= EVERY

    again = [sys.executable, "-m", "toys", "resume", str(out)]
    process = child(again, cache)
    labeller.most += 3
    waiting(process, labeller, out, 3 * SEEDS)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    labeller.most = 10**9
    finished(again, cache)
    labeller.end()
    assert told(out) == whole
    book = Book(labels)
    book.look()
    assert not book.open() and len((labels / "labels.jsonl").read_text().splitlines()) == len(book.pairs)


def test_labels_that_came_late_do_not_change_what_was_done(tmp_path):
    """Patience 0, nobody labels, the newest checkpoint is lost, then all is labelled: the same rows again."""
    labels, out = tmp_path / "labels", tmp_path / "run"
    problem = asked_game(labels=(str(labels), 0.0), length=5)
    solver, settings = joint(problem, steps=4, batch=(8, 0)), {"steps": 4, "seeds": 1, "every": 1}
    with jax.enable_x64(False):
        solve(problem, solver, out=out, **settings)
        before = told(out)
        heard = [json.loads(line)["answers"] for line in (out / "told.jsonl").read_text().splitlines()]
        assert len(heard) == 4 and set(sum(heard, [])) <= {None, 0.5}  # nothing but ties of equal texts
        for step in checkpoints.saved_steps(out):
            shutil.rmtree(out / "checkpoints" / str(step)) if step else None
        labeller = Labeller(labels)
        while labeller.given < 10 or labeller.book.open():
            time.sleep(0.02)
        labeller.end()
        if not checkpoints.saved_steps(out):
            (out / "rows.jsonl").write_text("")
        resume(problem, solver, out)
        assert told(out) == before
        solve(problem, solver, out=tmp_path / "new", **settings)
    assert told(tmp_path / "new")[1] != before[1]  # a new run hears them


@pytest.mark.parametrize("labels, objective", [("there", "score"), ("there", "population"), (("there", 3.0), "score")])
def test_labels_are_of_pairs(labels, objective):
    with pytest.raises(BadInput, match="objective preference") as caught:
        tweets(preset="tiny", labels=labels, objective=objective)
    assert "\n" not in str(caught.value)
