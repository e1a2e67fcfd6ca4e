"""Tiny random checkpoints in the Hugging Face layout, and what their networks compute, in NumPy alone."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

V, D, F, LAYERS, HEADS, GROUPS, HEAD = 256, 32, 64, 2, 4, 2, 8
PAD, END, BEGIN = 0, 1, 2
MOODS = ["good", "great", "happy", "love", "best", "nice", "lovely", "bad", "sad", "awful", "hate", "angry"]
WORDS = ["<pad>", "<end>", "<begin>", *MOODS]
WORDS += [f"w{i}" for i in range(V - len(WORDS))]
STRETCH = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
CONFIGS = {
    "qwen3": {"head_dim": HEAD, "rope_theta": 1e6, "tie_word_embeddings": True},
    "qwen2": {"rope_theta": 1e4, "tie_word_embeddings": False},
    "llama": {
        "rope_theta": 5e5,
        "rms_norm_eps": 1e-5,
        "rope_scaling": STRETCH | {"original_max_position_embeddings": 64},
        "bos_token_id": BEGIN,
    },
    "gemma2": {
        "head_dim": HEAD,
        "hidden_activation": "gelu_pytorch_tanh",
        "final_logit_softcapping": 3.0,
        "attn_logit_softcapping": 2.0,
        "query_pre_attn_scalar": HEAD,
        "sliding_window": 64,
        "bos_token_id": BEGIN,
    },
    "gemma3_text": {  # the sixth layer looks back to the start, the others four tokens
        "num_hidden_layers": 6,
        "num_key_value_heads": 1,
        "head_dim": 2 * HEAD,
        "hidden_activation": "gelu_pytorch_tanh",
        "query_pre_attn_scalar": D // HEADS,
        "sliding_window": 4,
        "sliding_window_pattern": 6,
        "rope_theta": 1e3,
        "rope_local_base_freq": 30.0,
        "rope_scaling": {"rope_type": "linear", "factor": 2.0},
        "bos_token_id": BEGIN,
    },
}

NORMED = "qwen3", "gemma3_text"
"""Families with norms of queries and keys."""


def config_of(family: str, **changed) -> dict:
    """config.json of a family."""
    told = {
        "model_type": family,
        "architectures": [f"{family.title()}ForCausalLM"],
        "num_hidden_layers": LAYERS,
        "vocab_size": V,
        "hidden_size": D,
        "intermediate_size": F,
        "num_attention_heads": HEADS,
        "num_key_value_heads": GROUPS,
        "rms_norm_eps": 1e-6,
        "eos_token_id": END,
        "pad_token_id": PAD,
    }
    return told | CONFIGS[family] | changed


def tensors_of(config: dict, seed: int = 0, spread: float = 1.0) -> dict[str, np.ndarray]:
    """Random weights by name, [out, in], float32; norms are near what does nothing."""
    draw, family = np.random.default_rng(seed), config["model_type"]
    q, kv = (config[f"num_{of}_heads"] * config.get("head_dim", HEAD) for of in ("attention", "key_value"))
    matrix = lambda *shape: draw.normal(size=shape) * spread / np.sqrt(shape[-1])  # noqa: E731
    norm = lambda size: draw.normal(size=size) * 0.1 + (not family.startswith("gemma"))  # noqa: E731
    found = {"model.embed_tokens.weight": matrix(V, D), "model.norm.weight": norm(D)}
    for i in range(config["num_hidden_layers"]):
        here = {
            "input_layernorm": norm(D),
            "post_attention_layernorm": norm(D),
            "self_attn.q_proj": matrix(q, D),
            "self_attn.k_proj": matrix(kv, D),
            "self_attn.v_proj": matrix(kv, D),
            "self_attn.o_proj": matrix(D, q),
            "mlp.gate_proj": matrix(F, D),
            "mlp.up_proj": matrix(F, D),
            "mlp.down_proj": matrix(D, F),
        }
        if family in NORMED:
            here |= {f"self_attn.{name}_norm": norm(config["head_dim"]) for name in "qk"}
        if family.startswith("gemma"):
            here |= {"pre_feedforward_layernorm": norm(D), "post_feedforward_layernorm": norm(D)}
        found |= {f"model.layers.{i}.{name}.weight": value for name, value in here.items()}
        if family == "qwen2":
            sizes = {"q": q, "k": kv, "v": kv}
            found |= {f"model.layers.{i}.self_attn.{n}_proj.bias": draw.normal(size=s) for n, s in sizes.items()}
    if not config.get("tie_word_embeddings", family.startswith("gemma")):
        found["lm_head.weight"] = matrix(V, D)
    return {name: value.astype(np.float32) for name, value in found.items()}


def put(folder: Path, family: str = "qwen3", seed: int = 0, **changed) -> Path:
    """A folder with a checkpoint of a family."""
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(family, **changed)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(tensors_of(config, seed), folder / "model.safetensors")
    tokenizer = Tokenizer(WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="w0"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.add_special_tokens(WORDS[:3])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def logits_of(folder: Path, tokens: np.ndarray) -> np.ndarray:
    """[B, S] → [B, S, V]: the network of a folder, from its files alone, in float64."""
    config = json.loads((folder / "config.json").read_text())
    weight = {name: value.astype(float) for name, value in load_file(folder / "model.safetensors").items()}
    return np.stack([forward(config, weight, row) for row in tokens])


def forward(c: dict, weight: dict[str, np.ndarray], tokens: np.ndarray) -> np.ndarray:
    """[S] → [S, V]."""
    family, S = c["model_type"], len(tokens)
    is_gemma, heads, groups = family.startswith("gemma"), c["num_attention_heads"], c["num_key_value_heads"]
    eps, width = c["rms_norm_eps"], c["hidden_size"]
    head = c.get("head_dim", width // heads)
    rms = lambda h, w: h / np.sqrt((h**2).mean(-1, keepdims=True) + eps) * (w + is_gemma)  # noqa: E731
    act = {True: lambda h: h / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))}
    act = act.get(is_gemma, lambda h: h / (1 + np.exp(-h)))
    cap = lambda h, most: np.tanh(h / most) * most if most else h  # noqa: E731
    scale, back = c.get("query_pre_attn_scalar", head) ** -0.5, np.arange(S)[:, None] - np.arange(S)[None]
    h = weight["model.embed_tokens.weight"][tokens] * (np.sqrt(width) if is_gemma else 1)
    for i in range(c["num_hidden_layers"]):
        w = lambda name: weight[f"model.layers.{i}.{name}.weight"]  # noqa: B023, E731
        x, three = rms(h, w("input_layernorm")), []
        window, angle = window_of(c, i, S), np.arange(S)[:, None] * speeds(c, head, i)[None]
        for name, count in (("q", heads), ("k", groups), ("v", groups)):
            y = x @ w(f"self_attn.{name}_proj").T + weight.get(f"model.layers.{i}.self_attn.{name}_proj.bias", 0)
            y = y.reshape(S, count, head)
            if family in NORMED and name != "v":
                y = rms(y, w(f"self_attn.{name}_norm"))
            three.append(y if name == "v" else turned(y, angle))
        q, k, v = three[0], *(np.repeat(part, heads // groups, 1) for part in three[1:])
        score = cap(np.einsum("qhd,khd->hqk", q, k) * scale, c.get("attn_logit_softcapping"))
        score = np.where((back >= 0) & (back < window), score, -np.inf)
        share = np.exp(score - score.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        x = np.einsum("hqk,khd->qhd", share, v).reshape(S, -1) @ w("self_attn.o_proj").T
        h = h + (rms(x, w("post_attention_layernorm")) if is_gemma else x)
        x = rms(h, w("pre_feedforward_layernorm" if is_gemma else "post_attention_layernorm"))
        x = (act(x @ w("mlp.gate_proj").T) * (x @ w("mlp.up_proj").T)) @ w("mlp.down_proj").T
        h = h + (rms(x, w("post_feedforward_layernorm")) if is_gemma else x)
    h = rms(h, weight["model.norm.weight"])
    is_tied = c.get("tie_word_embeddings", is_gemma)
    name = "model.embed_tokens.weight" if is_tied else "lm_head.weight"
    return cap(h @ weight[name].T, c.get("final_logit_softcapping"))


def window_of(c: dict, i: int, S: int) -> int:
    """Tokens that layer i looks at, the last one counted."""
    is_far = {"gemma2": i % 2 == 1, "gemma3_text": i % 6 == 5}.get(c["model_type"], True)
    return S if is_far else c["sliding_window"]


def speeds(c: dict, head: int, i: int) -> np.ndarray:
    """Radians a position in layer i; of Llama 3.1 by wave lengths, as it stretches them."""
    if c["model_type"] == "gemma3_text":
        theta, factor = (c["rope_theta"], c["rope_scaling"]["factor"]) if i % 6 == 5 else (c["rope_local_base_freq"], 1)
        return theta ** (-np.arange(0, head, 2) / head) / factor
    found, told = c.get("rope_theta", 1e4) ** (-np.arange(0, head, 2) / head), c.get("rope_scaling")
    for j, speed in enumerate(found if told else ()):
        wave, whole = 2 * np.pi / speed, told["original_max_position_embeddings"]
        if wave > whole / told["low_freq_factor"]:
            found[j] = speed / told["factor"]
        elif wave > whole / told["high_freq_factor"]:
            smooth = (whole / wave - told["low_freq_factor"]) / (told["high_freq_factor"] - told["low_freq_factor"])
            found[j] = (1 - smooth) * speed / told["factor"] + smooth * speed
    return found


def turned(y: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """[S, H, d] by [S, d/2]."""
    a, b = y[..., : y.shape[-1] // 2], y[..., y.shape[-1] // 2 :]
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
