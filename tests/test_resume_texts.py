"""A run that asks a person, killed in the middle and resumed: the same run."""

import sys

from test_resume import cache, whole_and_resumed  # noqa: F401  a fixture among them

STEPS = 240


def test_killed_between_two_answers_and_resumed_is_the_same(cache, tmp_path):  # noqa: F811
    def command(out):
        words = ["run", "token_game", "--seeds", "2", "--steps", str(STEPS), "--every", "4", "--problem.length", "3"]
        return [sys.executable, "-m", "upperhand", *words, "--out", str(out)]

    whole, again = whole_and_resumed(command, cache, tmp_path, kept=20)
    assert whole == again and len(whole) == 2 * (STEPS // 4 + 1)
