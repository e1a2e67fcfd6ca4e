"""A run that asks a person, killed in the middle and resumed: the same run."""

import signal
import sys
import time

from test_resume import cache, child, finished, told  # noqa: F401  a fixture among them

STEPS = 240


def test_killed_between_two_answers_and_resumed_is_the_same(cache, tmp_path):  # noqa: F811
    def command(out):
        words = ["run", "token_game", "--seeds", "2", "--steps", str(STEPS), "--every", "4", "--problem.length", "3"]
        return [sys.executable, "-m", "upperhand", *words, "--out", str(out)]

    finished(command(tmp_path / "whole"), cache)
    process = child(command(tmp_path / "killed"), cache)
    rows, stop = tmp_path / "killed" / "rows.jsonl", time.monotonic() + 200
    while time.monotonic() < stop and process.poll() is None:
        if rows.exists() and rows.read_bytes().count(b"\n") > 20:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finished([sys.executable, "-m", "upperhand", "resume", str(tmp_path / "killed")], cache)
    whole, again = told(tmp_path / "whole"), told(tmp_path / "killed")
    assert whole == again and len(whole) == 2 * (STEPS // 4 + 1)
