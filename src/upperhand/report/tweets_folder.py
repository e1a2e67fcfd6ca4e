"""What the folder of the experiment with happy tweets holds, read strictly: each part as far as it is there."""

from pathlib import Path
from typing import Any, NamedTuple

from upperhand.report import evaluation
from upperhand.report.experiment_folder import about
from upperhand.report.four_rooms_folder import SECONDS, Want, checked, is_number, part, place
from upperhand.report.texts_folder import LEXICON, SAMPLES, are, is_final

ARMS = ("joint", "joint_tilt", "two_stream", "alternating", "buffered", "frozen", "direct")
"""In the order of the page."""


class Study(NamedTuple):
    """The experiment in memory."""

    path: Path
    about: dict[str, Any]  # experiment.json
    language: dict[str, Any] | None
    base: dict[str, Any] | None  # what π_ref itself scores
    arms: dict[str, dict[str, Any]]  # those that have finished
    missing: tuple[str, ...]  # parts that are wanted and not there


def _is_words(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_maybe(value: Any) -> bool:
    return value is None or is_number(value)


EVALUATION = Want(evaluation.WORDS, evaluation.is_evaluation)
NUMBER = Want("a number or null", _is_maybe)
COUNT = Want("a whole number above 0", lambda value: type(value) is int and value > 0)
NAME = Want("a name", _is_words)
SEEDS = Want(
    "a list of different whole numbers",
    lambda value: are(value, lambda seed: type(seed) is int) and len(value) > 0 and len(set(value)) == len(value),
)
FIGURES = ("score", "kl", "temperature", "labels", "seconds")
"""Of a record, beside its step; each may be null."""


def _is_record(value: Any) -> bool:
    is_told = isinstance(value, dict) and type(value.get("step")) is int
    return is_told and all(_is_maybe(value.get(name)) for name in FIGURES)


def _is_point(value: Any) -> bool:
    is_told = isinstance(value, dict) and is_number(value.get("step"))
    return is_told and all(_is_maybe(value.get(name)) for name in ("seconds", "train", "validation"))


LANGUAGE = {
    "preset": NAME, "corpus": NAME, "lines": COUNT, "vocabulary": COUNT, "length": COUNT, "width": COUNT,
    "layers": COUNT, "parameters": COUNT, "loss": NUMBER, "nats_per_character": NUMBER, "seconds": NUMBER,
    "curve": Want('a list of {"step", "train", "validation"}', lambda value: are(value, _is_point)),
}  # fmt: skip


def read(out: Path | str) -> Study:
    """Every part that is there.

    Args:
      out: the folder that `upperhand reproduce tweets` wrote, finished or not.
    Returns: Study.
    Raises: ValueError in one line: which file, what is wrong with it, what to do.
    """
    path, told = Path(out), about(out)
    planned = told["config"].get("arms")
    planned = [name for name in planned if name in ARMS] if isinstance(planned, list) else []
    language, base = part(path, "language", LANGUAGE), part(path, "base", {})
    if base is not None:
        own = {"evaluation": base, "samples": base.get("samples", [])}
        checked(place(path, "base"), own, {"evaluation": EVALUATION, "samples": SAMPLES})
    arms = {name: one for name in ARMS if (one := part(path, name, {"seeds": SEEDS})) is not None}
    for name, one in arms.items():
        checked(place(path, name), one, _entry(len(one["seeds"])))
    parts = {"language": language, "base": base} | {name: arms.get(name) for name in planned}
    return Study(path, told, language, base, arms, tuple(name for name, one in parts.items() if one is None))


def _entry(seeds: int) -> dict[str, Want]:
    def is_run(value):
        return isinstance(value, list) and len(value) > 0 and all(map(_is_record, value))

    return {
        "rows": Want(f"{seeds} lists of records", lambda value: are(value, is_run) and len(value) == seeds),
        "final": Want(
            f"{seeds} evaluations ({evaluation.WORDS})", lambda value: are(value, is_final) and len(value) == seeds
        ),
        "failed": Want(
            f"{seeds} of true or false",
            lambda value: are(value, lambda one: isinstance(one, bool)) and len(value) == seeds,
        ),
        "lexicon": LEXICON,
        "samples": SAMPLES,
        "seconds": SECONDS,
        "tokens_per_second": NUMBER,
    }
