"""Killed at any moment, or stopped by Ctrl-C, and resumed: the same run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from toys.problems.field import field
from toys.solvers.drift import drift
from upperhand import checkpoints
from upperhand.solve import resume, solve

HERE = Path(__file__).parent
STEPS, EVERY, SEEDS = 120, 7, 2
DELAY = 0.02  # seconds an update: some 2.4 s to be killed in, and seconds of starting before


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """The environment of child processes: compiled programs are kept, one device, float32."""
    where = tmp_path_factory.mktemp("cache")
    return os.environ | {"JAX_COMPILATION_CACHE_DIR": str(where), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}


def command(out, *, delay=DELAY):
    words = ["run", "field", "--solver", "drift", "--seeds", str(SEEDS), "--steps", str(STEPS), "--every", str(EVERY)]
    return [sys.executable, "-m", "toys", *words, "--method.delay", str(delay), "--out", str(out)]


def child(words, cache, **options):
    return subprocess.Popen(
        words, env=cache, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def finished(words, cache):
    process = child(words, cache)
    said, complaints = process.communicate(timeout=300)
    assert process.returncode == 0, complaints
    return said


def told(out):
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


@pytest.fixture(scope="module")
def whole(cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    finished(command(out), cache)
    return told(out)


def test_400_steps_are_200_and_a_resume_bit_for_bit(tmp_path):
    """Stopped by a sink at step 200, as a kill just after a checkpoint would."""
    settings = {"steps": 400, "seeds": 3, "every": 40}
    uninterrupted = solve(field(), drift(None, steps=400), out=tmp_path / "a", **settings)

    plain, stop_at = drift(None, steps=400), 200
    keeper = checkpoints.Keeper.__call__

    def stopping(self, row, state):
        keeper(self, row, state)
        if row["step"] == stop_at:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints.Keeper, "__call__", stopping)
        with pytest.raises(KeyboardInterrupt):
            solve(field(), plain, out=tmp_path / "b", **settings)
    assert checkpoints.saved_steps(tmp_path / "b")[0] == 200 and len(told(tmp_path / "b")) == 18
    again = resume(field(), drift(None, steps=400), tmp_path / "b")
    assert told(tmp_path / "a") == told(tmp_path / "b")
    np.testing.assert_array_equal(uninterrupted.x, again.x)
    seconds = [row["seconds"] for row in again.rows]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize(("lines", "dice"), [(0, 0.3), (10, 0.11)])
def test_killed_at_any_moment_and_resumed_is_the_uninterrupted_run(lines, dice, cache, whole, tmp_path):
    """Killed before there is a row, or some moment after some rows, when there is a checkpoint within."""
    out = tmp_path / "run"
    process, rows = child(command(out), cache), out / "rows.jsonl"
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        if rows.exists() and rows.read_bytes().count(b"\n") >= lines:
            break
        time.sleep(0.005)
    time.sleep(dice)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    before = rows.read_bytes().count(b"\n")
    assert lines <= before < len(whole) and (max(checkpoints.saved_steps(out), default=0) > 0) == bool(lines)
    finished([sys.executable, "-m", "toys", "resume", str(out)], cache)
    assert told(out) == whole, f"killed after {before} rows"
    assert json.loads((out / "summary.json").read_text())["seeds"][0]["step"] == STEPS


def test_control_c_leaves_a_folder_that_can_be_read_and_resumed(cache, whole, tmp_path):
    from upperhand.report.folder import read

    out = tmp_path / "run"
    process = child(command(out), cache, start_new_session=True)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        if (out / "rows.jsonl").exists() and (out / "rows.jsonl").read_bytes().count(b"\n") >= 3 * SEEDS:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=60)
    assert process.returncode == 130, complaints
    assert (
        complaints.count("\n") == 1 and complaints.startswith("upperhand: ") and f"upperhand resume {out}" in complaints
    )
    reached = read(out).rows["step"][0, -1]
    assert 0 < reached < STEPS
    assert checkpoints.saved_steps(out)[0] == reached
    assert json.loads((out / "summary.json").read_text())["seeds"][0]["step"] == reached
    finished([sys.executable, "-m", "toys", "resume", str(out)], cache)
    assert told(out) == whole
