"""A language model from a corpus: trained once, kept, continued exactly, refused where it is damaged."""

import json
import shutil

import jax
import numpy as np
import pytest

from upperhand.errors import BadInput
from upperhand.language import pretraining
from upperhand.language.corpus import made_up
from upperhand.language.presets import tiny
from upperhand.language.pretraining import language

SMALL = tiny._replace(vocabulary=420, width=16, layers=2, heads=2, steps=40, rows=16)


@pytest.fixture(scope="module")
def corpus():
    return made_up(600)


@pytest.fixture(scope="module")
def kept(corpus, tmp_path_factory):
    """A finished model, and what was said."""
    said = []
    return language(SMALL, corpus, tmp_path_factory.mktemp("cache"), said.append), said


def copied(model, tmp_path):
    """The folder of a model in another cache."""
    folder = tmp_path / "language" / model.folder.name
    shutil.copytree(model.folder, folder)
    return folder


def rows(folder):
    return [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]


def equal(one, two) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True))


def test_it_learns_and_tells(kept, corpus):
    model, said = kept
    found = rows(model.folder)
    assert found[-1]["step"] == 40 and found[-1]["validation"] == model.loss
    assert found[0]["validation"] == pytest.approx(np.log(model.shape.vocabulary), abs=1)
    assert model.loss < found[0]["validation"] - 0.5
    assert said[0].startswith("training the tiny language model on 545 texts (made up, ") and len(said) == 7, said
    assert model.about["left_out"] == pytest.approx(5 / 550) and model.about["texts"] == 545
    assert model.about["nats_a_character"] == pytest.approx(
        model.loss * sum(len(text[text > 0]) for text in model.encode(corpus.held_out)) / sum(map(len, corpus.held_out))
    )


def test_its_tokens_are_its_texts(kept, corpus):
    model, _ = kept
    tokens = model.encode(corpus.held_out)
    assert tokens.shape == (50, 24) and model.decode(tokens) == corpus.held_out
    assert len(model.words) == model.shape.vocabulary == model.world.vocabulary
    assert model.labelled == corpus.labelled


def test_a_finished_model_is_not_trained_again(kept, corpus, monkeypatch):
    model, _ = kept
    monkeypatch.setattr(pretraining, "train", lambda *args: pytest.fail("trained again"))
    said = []
    again = language(SMALL, corpus, model.folder.parent.parent, said.append)
    assert equal(again.weights, model.weights) and again.loss == model.loss and not said
    assert again.decode(again.encode(["a text"])) == ["a text"]


def test_other_settings_are_another_model(corpus):
    one = pretraining.key_of(SMALL, corpus)
    assert one == pretraining.key_of(SMALL._replace(name="mine"), corpus)
    assert one != pretraining.key_of(SMALL._replace(steps=41), corpus)
    assert one != pretraining.key_of(SMALL, made_up(601))


def test_an_interrupted_training_continues_exactly(kept, corpus, tmp_path, monkeypatch):
    """Stopped at a row, by the key of a terminal: the same rows and the same weights, bit for bit."""
    model, _ = kept
    monkeypatch.setattr(pretraining, "lines", lambda steps, say: stop)

    def stop(row, state):
        if row["step"] == 14:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        language(SMALL, corpus, tmp_path, lambda line: None)
    monkeypatch.undo()
    said = []
    again = language(SMALL, corpus, tmp_path, said.append)
    assert said[1].strip() == "continuing at step 14"
    assert equal(again.weights, model.weights) and again.loss == model.loss
    timeless = [[{k: v for k, v in row.items() if k != "seconds"} for row in rows(m.folder)] for m in (model, again)]
    assert timeless[0] == timeless[1]


def test_a_training_killed_before_its_first_step_begins_again(kept, corpus, tmp_path):
    model, _ = kept
    folder = tmp_path / "language" / model.folder.name
    folder.mkdir(parents=True)
    (folder / ".config.json.7.tmp").write_text("{")
    assert equal(language(SMALL, corpus, tmp_path, lambda line: None).weights, model.weights)


@pytest.mark.parametrize("name", ["weights.npz", "tokenizer.json", "language.json"])
@pytest.mark.parametrize("how", ["changed", "cut", "gone"])
def test_a_damaged_model_is_refused(kept, corpus, tmp_path, name, how):
    folder = copied(kept[0], tmp_path)
    content = (folder / name).read_bytes()
    if how == "gone" and name == "language.json":  # then it was never finished, and nothing says where to continue
        (folder / name).unlink()
        shutil.rmtree(folder / "checkpoints")
    elif how == "gone":
        (folder / name).unlink()
    else:
        middle = len(content) // 2
        changed = content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]
        (folder / name).write_bytes(changed if how == "changed" else content[:middle])
    with pytest.raises(BadInput) as told:
        language(SMALL, corpus, tmp_path, lambda line: None)
    message = str(told.value)
    assert message.startswith(f"{folder} is damaged (") and "\n" not in message
    assert message.endswith("delete the folder, and the same command trains the model again.")


def test_texts_that_are_too_long(corpus, tmp_path):
    with pytest.raises(BadInput, match=r"made up: only \d+ of 550 texts have at most 6 tokens: give shorter texts"):
        language(SMALL._replace(length=6), corpus, tmp_path, lambda line: None)


def test_a_cache_that_cannot_be_written(corpus, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written .*: make room, or set UPPERHAND_CACHE to another folder"):
        language(SMALL, corpus, tmp_path / "file", lambda line: None)
