"""Happy tweets on a made-up language that takes seconds to learn: problem, rows, judges, experiment and folder."""

import importlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from upperhand.cli.main import main
from upperhand.errors import BadInput
from upperhand.forms import Population, Preference, Score
from upperhand.judges.held_out import afinn
from upperhand.language import evaluation as measuring
from upperhand.language import presets
from upperhand.language.evaluation import BATCH, evaluation, lexicon_of, writing
from upperhand.prepared.tweets import posed, tweets
from upperhand.solve import solve
from upperhand.solvers.text import direct, joint


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A cache of its own, and a tiny preset of 40 steps."""
    patch = pytest.MonkeyPatch()
    patch.setenv("UPPERHAND_CACHE", str(tmp_path_factory.mktemp("cache")))
    patch.setitem(presets.PRESETS, "tiny", presets.tiny._replace(steps=40, width=32))
    room = importlib.import_module("upperhand.prepared.tweets")
    patch.setattr(room, "JUDGED", BATCH)
    patch.setattr(measuring, "RECORDED", BATCH)
    yield
    patch.undo()


@pytest.fixture(scope="module")
def problem(small):
    with jax.enable_x64(False):
        yield tweets(preset="tiny")


def test_its_parts_fit_together(problem):
    with jax.enable_x64(False):
        x, y = problem.init(jax.random.key(0))
        tokens = problem.policy.write(jax.random.key(1), y, 4)
        reading = problem.policy.read(tokens)
        assert x.shape == (problem.mdp.vocabulary,) and not np.any(x)
        paid = problem.reward(jnp.ones_like(x), reading)
        np.testing.assert_array_equal(paid, reading.alive)  # a weight of 1 counts tokens
    texts = problem.upper.decode(np.asarray(tokens))
    assert len(texts) == 4 and all(isinstance(text, str) for text in texts)
    assert np.abs(problem.upper.person(texts)).max() <= 1


def test_objectives_are_of_the_same_person(problem):
    pair = (["i love this, so happy", "terrible awful day"], ["terrible awful day", "i love this, so happy"])
    preference, population = posed(problem.upper, "preference"), posed(problem.upper, "population")
    assert isinstance(preference, Preference) and isinstance(population, Population)
    assert isinstance(posed(problem.upper, "score"), Score)
    often = np.mean([preference.prefer(*pair, seed) for seed in range(50)], 0)
    assert often[0] > 0.9 and often[1] < 0.1  # σ(1.6/.3) = .995
    assert population.traits(pair[0]).tolist() == [[True], [False]]
    assert float(population.loss(jnp.asarray([0.7]))) == pytest.approx(0, abs=1e-12)


def test_kl_and_reference_of_fresh_texts_are_those_of_the_tables(problem):
    """Against NumPy on the same texts: Σ over positions and the vocabulary, texts that ended left out."""
    with jax.enable_x64(False):
        written = writing(problem.policy)
        _, start = problem.init(jax.random.key(0))
        assert written(start, jax.random.key(3), BATCH).kl == pytest.approx(0, abs=1e-4)
        theta = jax.tree.map(lambda leaf: leaf + 0.05 * jnp.sin(jnp.arange(leaf.size)).reshape(leaf.shape), start)
        found = written(theta, jax.random.key(3), BATCH)
        reading = problem.policy.read(jnp.asarray(found.tokens))
        tables = problem.policy.log_prob(theta, reading), reading.log_ref, reading.alive
    log_pi, log_ref, alive = (np.asarray(table, np.float64) for table in tables)
    pi = np.exp(log_pi)
    kl = (pi * (log_pi - log_ref)).sum(-1) * alive
    assert found.kl == pytest.approx(kl.sum(1).mean(), rel=1e-4) and found.kl > 0.1
    chosen = np.take_along_axis(log_ref, found.tokens[..., None], -1)[..., 0]
    assert found.reference == pytest.approx((chosen * alive).sum() / alive.sum(), rel=1e-5)
    texts = problem.upper.decode(found.tokens)
    told = evaluation(found, texts, np.arange(BATCH), {"afinn": afinn(), "learned": None})
    assert told["vader"] == (BATCH - 1) / 2 and told["learned"] is None and told["texts"] == BATCH
    assert told["afinn"] == pytest.approx(np.mean([afinn()([text])[0] for text in texts]))


def test_the_lexicon_names_the_heaviest_words_of_both_signs():
    x = np.array([0.0, 3.0, -2.0, 0.5, -0.1, 0.0])
    told = lexicon_of(x, ["<pad>", "love", "hate", "fine", "meh", "the"], str.upper, most=2)
    assert [entry["token"] for entry in told] == ["LOVE", "FINE", "MEH", "HATE"]
    assert lexicon_of({"out": x}, ["a"], str) == [] and lexicon_of(np.zeros(6), list("abcdef"), str) == []


def test_any_function_is_a_person_and_a_bad_one_is_told_in_one_line(small, tmp_path):
    with jax.enable_x64(False):
        short = tweets(preset="tiny", person=lambda texts: [-len(text.split()) / 10 for text in texts])
        solver = direct(short, steps=12, batch=32, policy_step=5e-3, budget=None, temperature=0.02)
        result = solve(short, solver, steps=12, every=6, seeds=1, out=tmp_path / "short")
    scores = [row["score"] for row in result.rows]
    assert scores[-1] > scores[0] + 0.05  # texts grow shorter
    told = json.loads((tmp_path / "short" / "texts.json").read_text())
    assert told["judges"]["seeds"][0]["length"] < told["judges"]["base"]["length"]
    with jax.enable_x64(False):
        bad = tweets(preset="tiny", person=lambda texts: [float("nan")] * len(texts))
        with pytest.raises(BadInput, match="finite number") as caught:
            solve(bad, joint(bad, steps=4, batch=(4, 0)), steps=4, seeds=1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"beta": -1.0}, "beta"),
        ({"ridge": float("nan")}, "ridge"),
        ({"corpus": "/nowhere/lines.txt"}, "there is no file"),
    ],
)
def test_bad_settings_are_told_by_name(small, settings, says):
    with pytest.raises(ValueError, match=says):
        tweets(preset="tiny", **settings)


def test_the_command_line_runs_one_method_and_the_experiment_and_goes_on(small, tmp_path, capsys):
    out = tmp_path / "run"
    words = ["--problem.preset", "tiny", "--steps", "2", "--seeds", "2", "--method.batch", "4", "4"]
    assert main(["run", "tweets", *words, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in (out / "rows.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if row["seed"] == 1] == [0, 1, 2]
    assert {"score", "kl", "labels", "drift", "answered"} <= set(rows[-1]) and rows[-1]["labels"] == 8
    assert {"before", "after", "lexicon", "judges"} == set(json.loads((out / "texts.json").read_text()))
    assert (out / "report.html").is_file()
    out = tmp_path / "experiment"
    words = ["--preset", "tiny", "--updates", "2", "--seeds", "1", "--arms", "joint", "frozen"]
    assert main(["reproduce", "tweets", *words, "--out", str(out)]) == 0
    told = {name: json.loads((out / "parts" / f"{name}.json").read_text()) for name in ("language", "base", "joint")}
    assert told["language"]["loss"] > 0 and told["base"]["kl"] == pytest.approx(0, abs=1e-4)
    assert told["joint"]["rows"][0][-1]["labels"] == 64
    frozen = json.loads((out / "parts" / "frozen.json").read_text())
    assert frozen["rows"][0][-1]["step"] == 4 and frozen["rows"][0][-1]["labels"] == 64
    (out / "parts" / "frozen.json").unlink()
    capsys.readouterr()
    assert main(["resume", str(out)]) == 0  # its run is finished: nothing is computed again
    assert json.loads((out / "parts" / "frozen.json").read_text())["rows"] == frozen["rows"]
    assert "joint: " not in capsys.readouterr().out


def test_what_has_no_program_for_texts_says_so(small, capsys):
    for words, says in (
        (["compare", "tweets", "--solvers", "joint", "--problem.preset", "tiny"], "reproduce tweets"),
        (["check", "token_game"], "finite worlds"),
        (["run", "tweets", "--solver", "actor_critic", "--problem.preset", "tiny"], "is not for a problem of texts"),
        (["run", "goal_placement", "--solver", "joint"], "is not for a problem on a finite world"),
        (["reproduce", "tweets", "--arms", "joint", "jont"], "jont"),
        (["reproduce", "tweets", "--budget", "0"], "budget"),
    ):
        assert main(words) == 2
        told = capsys.readouterr().err.strip()
        assert says in told and "\n" not in told
