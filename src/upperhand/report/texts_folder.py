"""Sample texts, a lexicon and what judges say, beside the rows of a run: OUT/texts.json, read strictly."""

from typing import Any, NamedTuple

from upperhand.report import evaluation
from upperhand.report.folder import Folder, json_object
from upperhand.report.four_rooms_folder import Want, is_number

AGAIN = "delete it, the page then leaves the texts out"


class Texts(NamedTuple):
    """What a run wrote, before and after."""

    before: list[dict[str, Any]]  # {"text", "score"}, and "prompt" where it answers one
    after: list[dict[str, Any]]
    lexicon: list[dict[str, Any]]  # {"token", "x"}
    base: dict[str, Any] | None  # what judges say of the language model itself
    finals: list[dict[str, Any] | None]  # of each seed at its end


def _is_sample(value: Any) -> bool:
    is_told = isinstance(value, dict) and all(isinstance(value.get(name, ""), str) for name in ("text", "prompt"))
    return is_told and "text" in value and (value.get("score") is None or is_number(value["score"]))


def _is_token(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("token"), str) and is_number(value.get("x"))


def are(value: Any, good: Any) -> bool:
    """A list, each of which is good."""
    return isinstance(value, list) and all(map(good, value))


def is_final(value: Any) -> bool:
    """An evaluation, or null where a seed failed."""
    return value is None or evaluation.is_evaluation(value)


SAMPLES = Want('a list of {"text", "score"}', lambda value: are(value, _is_sample))
LEXICON = Want('a list of {"token", "x"}', lambda value: are(value, _is_token))


def read(folder: Folder) -> Texts | None:
    """The texts of a run, None where it has none.

    Args:
      folder: the run.
    Returns: Texts. Raises: ValueError in one line: what is wrong with OUT/texts.json, what to do.
    """
    path, N = folder.path / "texts.json", len(folder.config["seeds"])
    if not path.exists():
        return None
    found = json_object(path, AGAIN)
    judges = found.get("judges") or {}
    told = {name: found.get(name, []) for name in ("before", "after", "lexicon")}
    told |= {"judges": judges}
    wanted = {"before": SAMPLES, "after": SAMPLES, "lexicon": LEXICON}
    wanted["judges"] = Want(
        f'"base", and "seeds" with {N} evaluations ({evaluation.WORDS})', lambda value: _are_judges(value, N)
    )
    for name, want in wanted.items():
        if not want.good(told[name]):
            raise ValueError(f"{path}: {name} must be {want.words}, got {repr(told[name])[:60]}; {AGAIN}.")
    return Texts(told["before"], told["after"], told["lexicon"], judges.get("base"), judges.get("seeds", [None] * N))


def _are_judges(value: Any, seeds: int) -> bool:
    is_told = isinstance(value, dict) and is_final(value.get("base"))
    return is_told and are(found := value.get("seeds", [None] * seeds), is_final) and len(found) == seeds
