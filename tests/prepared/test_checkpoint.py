"""The whole road of a checkpoint: loaded, tuned, written back and loaded again; over devices; killed and resumed."""

import json
import signal
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from made_up_checkpoint import WORDS, V, logits_of, put
from test_resume import cache, child, finished, told  # noqa: F401  a fixture among them
from upperhand.errors import BadInput
from upperhand.policies.low_rank import started
from upperhand.prepared import checkpoint
from upperhand.pretrained import saving
from upperhand.pretrained.adapters import small
from upperhand.pretrained.answering import author
from upperhand.pretrained.folder import opened
from upperhand.pretrained.loading import loaded
from upperhand.rewards.text import linear_head
from upperhand.solve import resume, solve
from upperhand.solvers.text import joint

T, BUDGET = 6, 2.0


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A checkpoint and prompts. The first number of a token's embedding tells how much one number of h pays for it."""
    folder = tmp_path_factory.mktemp("files")
    path = put(folder / "model", "qwen3", tie_word_embeddings=False) / "model.safetensors"
    held = load_file(path)
    held["lm_head.weight"][:, 0] = held["model.embed_tokens.weight"][:, 0]
    held["model.embed_tokens.weight"] *= 6
    save_file(held, path)
    prompts = [{"prompt": "w20 w30 w40"}, {"prompt": "w50"}]
    (folder / "prompts.jsonl").write_text("\n".join(map(json.dumps, prompts)))
    return folder


def goodness(folder):
    """A person who likes the words above 0 there, half of all: the share of them in a text."""
    above = load_file(folder / "model" / "model.safetensors")["lm_head.weight"][:, 0] > 0
    good = {word for word, is_good in zip(WORDS, above, strict=True) if is_good}
    return lambda texts: [float(np.mean([word in good for word in text.split()] or [0.0])) for text in texts]


def test_the_whole_road(files, tmp_path):
    save = tmp_path / "tuned"
    problem = checkpoint(
        model=str(files / "model"),
        prompts=str(files / "prompts.jsonl"),
        save=str(save),
        person=goodness(files),
        length=T,
        adapter=small._replace(rank=4, microbatch=16),
    )
    solver = joint(problem, batch=(64, 0), x_step=0.003, policy_step=1e-2, temperature=0.05, budget=BUDGET)
    result = solve(problem, solver, steps=50, every=50, seeds=1, out=tmp_path / "run")
    first, last = result.rows[0], result.rows[-1]
    assert first["kl"] == pytest.approx(0, abs=1e-5)
    assert last["score"] > first["score"] + 0.1 and 0.5 * BUDGET < last["kl"] < 1.5 * BUDGET

    again = opened(save / "seed-0")
    tokens = np.random.default_rng(0).integers(3, V, (2, 9)).astype(np.int32)
    kind, x = saving.reward(save / "seed-0")
    np.testing.assert_array_equal(x, np.asarray(result.x)[0])
    assert kind == "linear" and linear_head(32).init(jax.random.key(0)).shape == x.shape
    assert np.abs(logits_of(save / "seed-0", tokens) - logits_of(files / "model", tokens)).max() > 0.1
    assert again.config == opened(files / "model").config
    resume(problem, solver, tmp_path / "run")  # finished: the same, which is there already
    assert [folder.name for folder in save.iterdir()] == ["seed-0"]
    theta = started(loaded(opened(files / "model"), small._replace(rank=4)), jax.random.key(0))
    assert not saving.is_there(save / "seed-0", theta, x) and not saving.is_there(save, theta, x)


def test_two_devices_give_what_one_gives(tmp_path):
    model = str(put(tmp_path / "model", num_hidden_layers=1))
    assert len(jax.devices()) == 2
    found = []
    for devices in ("one", "all"):
        writes = author(model, ["w20 w30 w40", "w50"], T, small._replace(rank=2, devices=devices))
        spread = {len(leaf.sharding.device_set) for leaf in jax.tree.leaves(writes.network.base)}
        assert max(spread) == (2 if devices == "all" else 1)
        writer = writes.writer

        def one(theta, key, writer=writer):
            reading = writer.read(writer.write(key, theta, 8))
            loss = lambda theta: jnp.mean(writer.log_prob(theta, reading)[:, 1:, 3:] ** 2)  # noqa: E731
            return reading.tokens, reading.log_ref, jax.grad(loss)(theta)

        theta = jax.tree.map(lambda leaf: leaf + 0.1, writer.init(jax.random.key(0)))
        found.append(jax.tree.map(np.asarray, jax.jit(one)(theta, jax.random.key(1))))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    for one, two in zip(*map(jax.tree.leaves, found), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-4)


def test_killed_and_resumed_is_the_same(cache, tmp_path):  # noqa: F811
    put(tmp_path / "model", num_hidden_layers=1)

    def command(out):
        words = ["run", "checkpoint", "--seeds", "1", "--steps", "60", "--every", "1", "--problem.length", "3"]
        words += ["--problem.model", str(tmp_path / "model"), "--method.batch", "4", "0"]
        return [sys.executable, "-m", "upperhand", *words, "--out", str(out)]

    cache = cache | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    finished(command(tmp_path / "whole"), cache)
    process = child(command(tmp_path / "killed"), cache)
    rows, stop = tmp_path / "killed" / "rows.jsonl", time.monotonic() + 200
    while time.monotonic() < stop and process.poll() is None:
        if rows.exists() and rows.read_bytes().count(b"\n") > 5:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    finished([sys.executable, "-m", "upperhand", "resume", str(tmp_path / "killed")], cache)
    whole = told(tmp_path / "whole")
    assert told(tmp_path / "killed") == whole and len(whole) == 61


def test_without_a_checkpoint_there_is_no_problem():
    with pytest.raises(BadInput, match="model must be a folder"):
        checkpoint()
