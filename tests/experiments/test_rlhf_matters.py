"""rlhf_matters, small: every part has its form, nothing is done twice, paired seeds and equal labels."""

import json
from importlib import import_module

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.cli import main
from upperhand.experiments import matters_arms, matters_style, matters_toy, rlhf_matters
from upperhand.experiments.matters_people import pen
from upperhand.experiments.rlhf_matters import Config, carry_out
from upperhand.judges import vader
from upperhand.language import tokenizer
from upperhand.language.corpus import made_up
from upperhand.language.saved import Language
from upperhand.mdps.tokens import Tokens
from upperhand.policies.transformer import Shape, initial

SMALL = Config(preset="tiny", seeds=2, labels=96, texts=40, kls=(1.0,), gammas=(1.0,), pool=300, instances=2)
PARTS = {"language", "ties", "bias-pen", "bias-vader", "markov-1", "gibbs-pen", "gibbs-vader"}
PARTS |= {"style-hashtags", "style-links", "direct"}


def spoken():
    """A language whose network was not trained."""
    corpus = made_up()
    words = tokenizer.train(corpus.train, 512)
    shape = Shape(words.vocabulary, 24, 8, 1, 2, 1)
    random = np.random.default_rng(0)
    first = initial(jax.random.key(0), shape)
    weights = jax.tree.map(lambda leaf: jnp.asarray(leaf + 0.3 * random.normal(size=leaf.shape), jnp.float32), first)
    about = {"preset": "tiny", "corpus": corpus.name}
    encode = lambda texts: words.encode(texts, shape.length)  # noqa: E731
    world, said = Tokens(shape.vocabulary, shape.length), words.words()
    return Language(world, shape, weights, words.decode, encode, said, corpus.labelled, 6.0, about, None)


def toy(instances):
    """The form of the toy's table, which has a test of its own."""
    keys = ("rho", "gamma", "omega")
    rows = {
        name: [{at: told if at in keys else [0.5] * instances for at, told in row.items()} for row in rows]
        for name, rows in matters_toy.PUBLISHED.items()
    }
    return {"instances": instances, **rows, "published": matters_toy.PUBLISHED, "seconds": 1.0}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder, what was said, the language)."""
    out, said, language = tmp_path_factory.mktemp("matters") / "out", [], spoken()
    out.mkdir()
    told = {"experiment": "rlhf_matters", "config": {}, "cells": [], "command": "upperhand reproduce rlhf_matters"}
    (out / "experiment.json").write_text(json.dumps(told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("upperhand.language.pretraining.language", lambda *rest, **more: language)
        patch.setattr(import_module("upperhand.prepared.tweets"), "language", lambda *rest, **more: language)
        patch.setattr(matters_arms, "UNLABELLED", 64)
        patch.setattr(matters_arms, "SETTLED", 64)
        patch.setattr(matters_toy, "table", toy)
        assert carry_out(SMALL, out, said.append) == out / "report.html"
    return out, said, language


def part(out, name):
    return json.loads((out / "parts" / f"{name}.json").read_text())


@pytest.mark.long
def test_every_part_is_there_and_drawn(done):
    out, said, _ = done
    assert {path.stem for path in (out / "parts").iterdir()} == PARTS
    assert (out / "report.html").is_file() and [line for line in said if line in PARTS] != []
    assert part(out, "language")["loss"] == 6.0


@pytest.mark.parametrize("name", sorted(PARTS - {"language", "ties", "direct"}))
def test_a_part_has_its_form(done, name):
    found = part(done[0], name)
    kind, rest = name.split("-")
    assert (found["part"], found["agent"], found["seeds"], found["labels"]) == (name, kind, [0, 1], 96)
    wanted = list(matters_arms.ARMS) + ["residual_ls"] * (kind == "style")
    assert sorted(entry["arm"] for entry in found["entries"]) == sorted(wanted)
    for entry in found["entries"]:
        assert entry["kl"] == 1.0 and len(entry["x"]) == len(found["names"])
        assert all(len(entry[figure]) == 2 for figure in ("score", "reached", "error"))
        if kind in ("gibbs", "style"):
            assert entry["reached"] == pytest.approx([1.0, 1.0], rel=1e-4) and entry["error"] == [0, 0]
        else:
            assert all(0.2 < reached < 4 for reached in entry["reached"]) and len(entry["distinct_2"]) == 2
    assert found["gamma"] == (float(rest) if kind == "markov" else 0.0 if kind == "bias" else 1.0)
    assert found["own"] == (rest if kind == "style" else None)


def test_what_theory_says_is_the_same_is(done):
    """The Gibbs law, of tokens by enumeration and of the Markov model by its values: joint is least squares."""
    for name in ("gibbs-pen", "gibbs-vader", "markov-1"):
        score = {entry["arm"]: entry["score"] for entry in part(done[0], name)["entries"]}
        assert score["joint"] == pytest.approx(score["alternating_ls"], abs=0.02 if name == "markov-1" else 1e-9)
    score = {entry["arm"]: entry["score"] for entry in part(done[0], "style-links")["entries"]}
    assert score["joint"] == pytest.approx(score["residual_ls"], abs=1e-9)
    assert np.abs(np.subtract(score["joint"], score["alternating_ls"])).max() > 1e-6


def test_the_base_is_the_pool_judged(done):
    out, _, language = done
    texts = matters_style.pool(language, 300).texts
    mood = vader()(texts)
    assert part(out, "gibbs-pen")["base"]["score"] == pytest.approx(np.mean(mood - pen(texts)))
    assert part(out, "style-links")["base"]["score"] == pytest.approx(np.mean(mood))
    assert part(out, "style-links")["base"]["paid_kl"] == pytest.approx(matters_style.AWAY, abs=1e-6)


def test_direct_is_told_in_the_same_form(done):
    found = part(done[0], "direct")
    (entry,) = found["entries"]
    assert entry["arm"] == "direct" and entry["kl"] == 1.0 and found["labels"] == 96 and found["names"] == []
    assert all(len(entry[figure]) == 2 and np.isfinite(entry[figure]).all() for figure in ("score", "reached", "error"))


def test_a_second_call_does_nothing_again(done, monkeypatch):
    out, _, _ = done
    kept = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    monkeypatch.setattr(
        "upperhand.language.pretraining.language", lambda *rest, **more: pytest.fail("it was asked for")
    )
    said = []
    assert carry_out(SMALL, out, said.append) == out / "report.html" and said == []
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_the_most_frequent_tokens_are_weighed(done):
    study = rlhf_matters.Study(SMALL, print)
    study.language = done[2]
    texts = study.language.encode(made_up().train)
    whole = texts[(texts == 2).any(1)]
    np.testing.assert_array_equal(study.tokens, whole)
    count = {token: int((whole == token).sum()) for token in range(3, study.language.world.vocabulary)}
    least = min(count[token] for token in study.weighed)
    assert len(set(study.weighed)) == 30 and all(count[one] <= least for one in count if one not in study.weighed)


@pytest.mark.parametrize(
    "words",
    [
        *([f"--{name}", value] for name in ("seeds", "labels", "texts", "pool", "instances") for value in ("0", "-3")),
        *(["--kls", *values] for values in ((), ("0",), ("inf",), ("1", "1"))),
        *(["--gammas", *values] for values in ((), ("-0.1",), ("1.5",), ("nan",), ("0", "0"))),
    ],
)
def test_a_setting_out_of_its_range_is_one_line_and_writes_nothing(tmp_path, capsys, words):
    assert main(["reproduce", "rlhf_matters", *words, "--out", str(tmp_path / "out")]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and words[0] in complaint and not list(tmp_path.iterdir())
