"""Logits of checkpoints beside PyTorch's, from folders that transformers writes and of folders that it reads back.

For each family a random network of transformers is saved; here its logits are computed from the folder, then changes of
low rank are added, and the folder that is written with them is read by transformers. Each line gives the largest
difference of logits as a share of 10⁻⁴, which is the bar. Needs: pip install torch transformers, beside upperhand[llm].
Run: python benchmarks/beside_transformers.py
"""

import shutil
import tempfile
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from upperhand.policies.causal import hidden
from upperhand.policies.low_rank import started
from upperhand.pretrained.adapters import small
from upperhand.pretrained.folder import opened
from upperhand.pretrained.loading import loaded
from upperhand.pretrained.saving import saved

BAR = 1e-4
TOKENS = np.random.default_rng(3).integers(3, 256, (2, 11))
SIZES = {
    "vocab_size": 256,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "eos_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": 2,
}
EAGER = {"attn_implementation": "eager"}  # the fast ones leave out Gemma 2's cap of attention
GEMMA = {"head_dim": 8, "query_pre_attn_scalar": 8}
STRETCH = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
STRETCH |= {"original_max_position_embeddings": 64, "rope_theta": 5e5}
FAMILIES = {
    "Qwen3": {"head_dim": 16, "tie_word_embeddings": False},
    "Qwen2": {"tie_word_embeddings": True},
    "Llama": {"rope_parameters": STRETCH, "max_position_embeddings": 512},
    "Gemma2": GEMMA | {"sliding_window": 64},
    "Gemma3Text": GEMMA | {"sliding_window": 4, "num_hidden_layers": 7, "num_key_value_heads": 1},
}


def made(name: str, changed: dict, folder: Path):
    """A random network, saved. Weights are eight times larger than at birth, so that its logits differ."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**(SIZES | changed), **EAGER)
    network = getattr(transformers, f"{name.removesuffix('Text')}ForCausalLM")(config).eval()
    for weight in network.parameters():
        weight.data = weight.data * 8 if weight.ndim > 1 else weight.data + 0.1 * torch.randn_like(weight)
    network.save_pretrained(folder)
    words = {f"w{i}": i for i in range(SIZES["vocab_size"])}
    Tokenizer(WordLevel(words, unk_token="w0")).save(str(folder / "tokenizer.json"))
    return network


def theirs(network) -> np.ndarray:
    """Logits by PyTorch."""
    import torch

    with torch.no_grad():
        return network(torch.tensor(TOKENS)).logits.numpy()


def ours(network, theta) -> np.ndarray:
    """Logits by JAX, with changes where θ is given."""

    def one(base, theta, tokens):
        model = network.plain(base) if theta is None else network.tuned(base, theta)
        h = hidden(network, model, tokens, jnp.ones_like(tokens, bool))
        with jax.numpy_rank_promotion("allow"):
            return network.head(model, h)

    return np.asarray(jax.jit(one)(network.base, theta, jnp.asarray(TOKENS, jnp.int32)))


def main() -> None:
    """Print both differences of each family."""
    try:
        import torch  # noqa: F401
        import transformers
    except ModuleNotFoundError as error:
        print(f"{error.name} is not here: nothing was compared")
        return
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    print(f"transformers {transformers.__version__}; differences of logits as shares of {BAR:g}")
    place = Path(tempfile.mkdtemp())
    for name, changed in FAMILIES.items():
        reference = made(name, changed, place / name)
        folder = opened(place / name)
        network = loaded(folder, small._replace(rank=2))
        read = np.abs(ours(network, None) - (wanted := theirs(reference))).max()
        key = jax.random.key(1)
        theta = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(key, leaf.shape), started(network, key))  # noqa: B023
        out = saved(folder, network, theta, place / f"{name}-tuned")
        back = type(reference).from_pretrained(out, **EAGER).eval()
        written = np.abs((tuned := ours(network, theta)) - theirs(back)).max()
        moved = np.abs(tuned - wanted).max()
        print(f"{name:10s}  read {read / BAR:.3f}   written back {written / BAR:.3f}   (the change moves {moved:.1f})")
    shutil.rmtree(place)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
