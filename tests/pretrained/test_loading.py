"""Checkpoints of every family against networks in NumPy, and what is said where a folder is not whole."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from made_up_checkpoint import CONFIGS, V, config_of, logits_of, put
from upperhand.errors import BadInput
from upperhand.policies.causal import Ear, decoding, hidden
from upperhand.pretrained import saving
from upperhand.pretrained.adapters import small
from upperhand.pretrained.families import GLOBAL, LOCAL, layered
from upperhand.pretrained.folder import opened
from upperhand.pretrained.loading import loaded

TOKENS = np.random.default_rng(3).integers(3, V, (2, 11)).astype(np.int32)


class Overheard(Ear):
    """A model that remembers what it gave, and whose last norm can be heard too."""

    final_norm = property(
        lambda self: self.module.final_norm, lambda self, heard: setattr(self.module, "final_norm", heard)
    )


@pytest.fixture(scope="module", params=CONFIGS)
def made(request, tmp_path_factory):
    """A folder of a family, its network, θ that change nothing and much, and the logits of tokens, in one program."""
    folder = opened(put(tmp_path_factory.mktemp("made") / "model", request.param))
    network, draw = loaded(folder, small._replace(rank=2, scale=1.5)), np.random.default_rng(4)
    theta = jax.tree.map(lambda leaf: 0.2 * draw.normal(size=leaf.shape).astype(np.float32), network.low_rank)

    @jax.jit
    def logits(base, theta, tokens):
        """By the head of the last hidden states, and by the model itself."""
        model = Overheard(network.tuned(base, theta))
        h = hidden(network, model, tokens, jnp.ones(tokens.shape, bool))
        with jax.numpy_rank_promotion("allow"):
            return network.head(model.module, h), model.given[0]

    def program(theta):
        return np.asarray(logits(network.base, theta, TOKENS), float)

    return folder, network, (jax.tree.map(np.zeros_like, theta), theta), program


def test_logits_are_those_of_an_independent_network(made):
    folder, _, (nothing, _), logits = made
    wanted = logits_of(folder.path, TOKENS)
    assert wanted.std() > 0.3
    for found in logits(nothing):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_what_is_written_back_has_the_logits_of_the_tuned_network(made, tmp_path):
    folder, network, (_, theta), logits = made
    out = saving.saved(folder, network, theta, tmp_path / "tuned")
    wanted = logits_of(out, TOKENS)
    assert np.abs(wanted - logits_of(folder.path, TOKENS)).max() > 0.1
    for found in logits(theta):
        np.testing.assert_allclose(found, wanted, atol=2e-5 * np.abs(wanted).max())
    with pytest.raises(BadInput, match="exists: give a new folder"):
        saving.saved(folder, network, theta, out)


def test_windows_are_those_of_whole_texts_where_tokens_are_written_one_by_one(tmp_path):
    """Prompts of 5 and 2 tokens, pads on the left, and 6 tokens after them: some windows begin in each part."""
    folder = opened(put(tmp_path, "gemma3_text", num_hidden_layers=1))
    network = loaded(folder, small._replace(where=".*q_einsum"))
    nothing = jax.tree.map(lambda leaf: np.zeros(leaf.shape, np.float32), network.low_rank)
    tokens, alive = jnp.asarray(TOKENS), jnp.arange(5)[None] >= jnp.array([[0], [3]])

    @jax.jit
    def written(base, theta):
        step, memory = decoding(network, (base, theta), tokens[:, :5], alive, 6)
        one = lambda memory, each: step(memory, *each)[::-1]  # noqa: E731
        return jax.lax.scan(one, memory, (tokens.T[4:10], jnp.arange(6)))[1]

    found = np.asarray(written(network.base, nothing), float)
    for i, pads in enumerate((0, 3)):
        wanted = logits_of(folder.path, TOKENS[i : i + 1, pads:])[0, 4 - pads : 10 - pads]
        np.testing.assert_allclose(found[:, i], wanted, atol=1e-4)


def test_both_ways_to_tell_the_positions_of_gemma_3_are_read():
    old = config_of("gemma3_text")
    new = {key: value for key, value in old.items() if not key.startswith("rope_")}
    far, near = {"rope_type": "linear", "factor": 2.0}, {"rope_type": "default"}
    new |= {"rope_parameters": {GLOBAL: far | {"rope_theta": 1e3}, LOCAL: near | {"rope_theta": 30.0}}}
    between = old | {"rope_scaling": None, "rope_parameters": {GLOBAL: far, LOCAL: near}}
    assert [layered(one) for one in (old, new, between)] == [((30.0, 1.0), (1e3, 2.0))] * 3
    assert layered({}) == ((1e4, 1.0), (1e6, 1.0))


def headless(folder):
    """A checkpoint whose last norm's weights are gone."""
    path = put(folder) / "model.safetensors"
    held = load_file(path)
    del held["model.norm.weight"]
    save_file(held, path)


def reshaped(folder):
    path = put(folder) / "model.safetensors"
    held = load_file(path)
    held["model.layers.1.mlp.up_proj.weight"] = held["model.layers.1.mlp.up_proj.weight"][:-1].copy()
    save_file(held, path)


def told(folder, **changed):
    path = put(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))


def cut(folder):
    path = put(folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def garbled(folder):
    path = put(folder) / "model.safetensors"
    path.write_bytes(struct.pack("<Q", 10**12) + b"{")


def sharded(folder):
    path = put(folder) / "model.safetensors"
    path.rename(folder / "model-00001-of-00002.safetensors")
    weight_map = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def whole_numbers(folder):
    save_file({"a": np.zeros(3, np.int8)}, put(folder) / "more.safetensors")


def biased(folder):
    save_file({"model.layers.0.self_attn.o_proj.bias": np.zeros(32, np.float32)}, put(folder) / "more.safetensors")


def gemma(**changed):
    return lambda folder: put(folder, "gemma3_text", **changed)


WRONG = {
    "no folder": lambda folder: None,
    "lacks config.json": lambda folder: (put(folder) / "config.json").unlink(),
    "config.json is damaged": lambda folder: (put(folder) / "config.json").write_text("{"),
    "lacks tokenizer.json": lambda folder: (put(folder) / "tokenizer.json").unlink(),
    "no model.safetensors": lambda folder: (put(folder) / "model.safetensors").unlink(),
    "lacks the tensor model.norm.weight": headless,
    "up_proj.weight of .* has shape \\[63, 32\\], and its config.json asks for \\[64, 32\\]": reshaped,
    "'MambaForCausalLM' model .* known are qwen3": lambda f: told(
        f, model_type="mamba", architectures=["MambaForCausalLM"]
    ),
    "attention_bias": lambda folder: told(folder, attention_bias=True),
    "stretches positions by 'yarn'": lambda folder: told(folder, rope_scaling={"rope_type": "yarn", "factor": 4.0}),
    "lacks low_freq_factor": lambda folder: told(folder, rope_scaling={"rope_type": "llama3", "factor": 4.0}),
    "rope_scaling must be an object": lambda folder: told(folder, rope_scaling="yarn"),
    "hidden_size must be a whole number": lambda folder: told(folder, hidden_size="32"),
    "cut short": cut,
    "damaged or no safetensors": garbled,
    "lacks model-00002-of-00002.safetensors": sharded,
    "holds I8 numbers": whole_numbers,
    "holds the tensor model.layers.0.self_attn.o_proj.bias, which its qwen3 network here leaves out": biased,
    "model of more than texts .* known are .*gemma3_text": lambda f: told(f, model_type="gemma3", text_config={}),
    "rms_norm_eps 1e-05": gemma(rms_norm_eps=1e-5),
    "query_pre_attn_scalar 9": gemma(query_pre_attn_scalar=9),
    "sliding_window_pattern 2": gemma(sliding_window_pattern=2),
    "other layer_types": gemma(layer_types=["full_attention"] * 6),
    "use_bidirectional_attention": gemma(use_bidirectional_attention=True),
    "final_logit_softcapping": gemma(final_logit_softcapping=30.0),
    "stretches positions by 'llama3'": gemma(rope_scaling={"rope_type": "llama3", "factor": 8.0}),
    "must tell of full_attention": gemma(rope_parameters={"sliding_attention": {"rope_theta": 1e4}}),
    "sliding_window must be a whole number": gemma(sliding_window=None),
}


@pytest.mark.parametrize("says", WRONG)
def test_a_folder_that_is_not_whole_gives_one_line(tmp_path, says):
    WRONG[says](tmp_path / "model")
    with pytest.raises(BadInput, match=says) as told:
        opened(tmp_path / "model")
    assert "\n" not in str(told.value)
