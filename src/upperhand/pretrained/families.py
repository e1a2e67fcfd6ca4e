"""Families of language models: what their config.json says, which tensors they hold, and how Tunix builds them.

The keys of config.json and the names of tensors are those of the Hugging Face layout: recalled, and compared with
folders that transformers 5.12.1 writes (benchmarks/beside_transformers.py). Nothing here needs Tunix;
`pretrained.loading` does.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from upperhand.errors import BadInput

LOCAL, GLOBAL = "sliding_attention", "full_attention"
"""Kinds of layers: those that look back a window, and those that look back to the start."""


def rotary(config: Mapping[str, Any]) -> tuple[float, Mapping[str, Any]]:
    """θ of the rotary positions, and how they are stretched, {} where they are not. Raises: BadInput for no number."""
    told = config.get("rope_parameters") or {}
    stretch = dict(config.get("rope_scaling") or told)
    theta = told.get("rope_theta", config.get("rope_theta", 10000.0))
    if not isinstance(theta, int | float) or theta <= 0:
        raise BadInput(f"config.json: rope_theta must be a number above 0: got {theta!r}.")
    kind = stretch.get("rope_type", stretch.get("type", "default"))
    return float(theta), {} if kind == "default" else stretch | {"rope_type": kind}


def frequencies(config: Mapping[str, Any], head: int) -> Float[np.ndarray, " c"]:
    """Radians a position of each pair of a head's numbers, stretched as Llama 3.1 does where config.json says so.

    ω_i = θ^(−2i/d);  with s = clip( (L ω_i/2π − low)/(high − low), 0, 1 ):  ω_i ← ( s + (1 − s)/factor ) ω_i

    Args:
      config: of config.json.
      head: d.
    Raises: BadInput where positions are stretched in another way.
    """
    theta, stretch = rotary(config)
    turns = theta ** (-2.0 * np.arange(head // 2) / head)
    if not stretch:
        return turns
    if stretch["rope_type"] != "llama3":
        raise BadInput(f"config.json stretches positions by {stretch['rope_type']!r}: only 'llama3' is known.")
    names = "low_freq_factor", "high_freq_factor", "factor", "original_max_position_embeddings"
    if missing := [name for name in names if not isinstance(stretch.get(name), int | float)]:
        raise BadInput(f"config.json lacks {missing[0]}, a number, where it tells how positions are stretched.")
    low, high, factor, length = (float(stretch[name]) for name in names)
    whole = length * turns / (2 * np.pi)
    share = np.clip((whole - low) / (high - low), 0.0, 1.0)
    return (share + (1 - share) / factor) * turns


def layered(config: Mapping[str, Any]) -> tuple[tuple[float, float], tuple[float, float]]:
    """(θ, factor) of the layers of Gemma 3 that look back a window, and of those that look back to the start.

    ω_i = θ^(−2i/d) / factor

    Older keys tell what `rope_parameters` leaves open.

    Raises: BadInput where config.json tells one kind alone, or stretches positions in another way.
    """
    told = config.get("rope_parameters") or {LOCAL: {}, GLOBAL: {}}
    if missing := [kind for kind in (LOCAL, GLOBAL) if not isinstance(told.get(kind), dict)]:
        raise BadInput(f"config.json: rope_parameters of Gemma 3 must tell of {missing[0]}.")
    near = {"rope_theta": config.get("rope_local_base_freq", 1e4)} | told[LOCAL]
    far = {"rope_theta": config.get("rope_theta", 1e6)} | told[GLOBAL] | (config.get("rope_scaling") or {})
    found = []
    for theta, stretch in (rotary({"rope_parameters": part}) for part in (near, far)):
        kind, factor = stretch.get("rope_type", "linear"), stretch.get("factor", 1.0 if not stretch else None)
        if kind != "linear" or not isinstance(factor, int | float) or factor < 1:
            raise BadInput(
                f"config.json stretches positions by {kind!r}, factor {factor!r}: of Gemma 3 only 'linear' is known, "
                "with a factor of at least 1."
            )
        found.append((theta, float(factor)))
    return found[0], found[1]


class Sizes(NamedTuple):
    """The sizes of a network, whatever its family."""

    layers: int
    vocabulary: int
    width: int
    hidden: int  # of the feed-forward part
    heads: int
    groups: int  # heads of keys and values
    head: int  # width of one
    is_tied: bool  # the head is the embedding
    eps: float  # of the norms
    window: int | None = None  # that a layer looks back, where Tunix is right for shorter texts only


class Family(NamedTuple):
    """A family of networks."""

    name: str  # model_type in config.json
    module: str  # of Tunix, below tunix.models
    loading: str  # the module with its loader
    build: Callable[[Sizes, Mapping[str, Any]], dict[str, Any]]  # settings of its ModelConfig
    own: Callable[[Sizes], dict[str, tuple[int, ...]]]  # tensors of a layer besides those that all have
    activation: tuple[str, ...] = ("silu",)
    typed: tuple[str, ...] = ("dtype", "param_dtype")  # settings of its ModelConfig that are kinds of numbers
    pattern: tuple[str, ...] = (GLOBAL,)  # kinds of layers, again and again
    eps: float | None = None  # of the norms, where it is fixed
    is_short: bool = False  # whether Tunix's windows are right only where they hold the whole text
    scales: Callable[[Sizes], tuple[int, ...]] = lambda sizes: (sizes.head,)  # q·k is divided by the root of one
    turns: Callable[[Mapping[str, Any], int], Float[np.ndarray, " c"] | None] = frequencies  # None: Tunix's are right


def common(sizes: Sizes) -> dict[str, Any]:
    """The settings that every ModelConfig has."""
    return {
        "num_layers": sizes.layers,
        "embed_dim": sizes.width,
        "hidden_dim": sizes.hidden,
        "num_heads": sizes.heads,
        "head_dim": sizes.head,
        "num_kv_heads": sizes.groups,
    }


def plain(tied: str) -> Callable[[Sizes, Mapping[str, Any]], dict[str, Any]]:
    """Settings of Qwen and Llama; they differ in what the tied embedding is called."""

    def build(sizes, config):
        theta = rotary(config)[0]
        told = {"vocab_size": sizes.vocabulary, "rope_theta": theta, "norm_eps": sizes.eps, tied: sizes.is_tied}
        return common(sizes) | told

    return build


def gemma(sizes: Sizes, config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of Gemma 2, without attention_types, which are Tunix's own."""
    return common(sizes) | {
        "num_embed": sizes.vocabulary,
        "final_logit_softcap": config.get("final_logit_softcapping"),
        "attn_logits_soft_cap": config.get("attn_logit_softcapping"),
        "use_post_attn_norm": True,
        "use_post_ffw_norm": True,
        "sliding_window_size": sizes.window,
    }


def gemma3(sizes: Sizes, config: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of Gemma 3, without query_pre_attn_norm, which is Tunix's own."""
    told = common(sizes) | {"num_embed": sizes.vocabulary, "sliding_window_size": config["sliding_window"]}
    for place, (theta, factor) in zip(("local", "global"), layered(config), strict=True):
        told |= {f"{place}_base_frequency": theta, f"{place}_scale_factor": factor}
    return told


def by_layer(config: Mapping[str, Any], head: int) -> None:
    """Nothing to replace: Tunix turns as its ModelConfig says. Raises: BadInput of `layered`."""
    layered(config)


def normed_heads(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Norms of queries and keys."""
    return {f"self_attn.{name}_norm.weight": (sizes.head,) for name in "qk"}


def shifted(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Biases of queries, keys and values."""
    counts = {"q": sizes.heads, "k": sizes.groups, "v": sizes.groups}
    return {f"self_attn.{name}_proj.bias": (count * sizes.head,) for name, count in counts.items()}


def more_norms(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Norms around the feed-forward part."""
    return {f"{place}_feedforward_layernorm.weight": (sizes.width,) for place in ("pre", "post")}


def all_norms(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Both."""
    return normed_heads(sizes) | more_norms(sizes)


def nothing(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """No tensors besides."""
    return {}


FAMILIES = {
    family.name: family
    for family in (
        Family("qwen3", "qwen3.model", "qwen3.params", plain("use_tied_embedding"), normed_heads),
        Family("qwen2", "qwen2.model", "qwen2.params", plain("use_tied_embedding"), shifted),
        Family("llama", "llama3.model", "llama3.params", plain("weight_tying"), nothing, typed=()),
        Family(
            "gemma2",
            "gemma.model",
            "gemma.params_safetensors",
            gemma,
            more_norms,
            activation=("gelu_pytorch_tanh", "gelu"),
            typed=(),
            pattern=(LOCAL, GLOBAL),
            eps=1e-6,
            is_short=True,
        ),
        Family(
            "gemma3_text",
            "gemma3.model",
            "gemma3.params_safetensors",
            gemma3,
            all_norms,
            activation=("gelu_pytorch_tanh",),
            typed=("param_dtype",),
            pattern=(*5 * (LOCAL,), GLOBAL),
            eps=1e-6,
            scales=lambda sizes: (sizes.head, sizes.width // sizes.heads),
            turns=by_layer,
        ),
    )
}


def kinds(family: Family, sizes: Sizes) -> list[str]:
    """The kind of each layer."""
    return [family.pattern[i % len(family.pattern)] for i in range(sizes.layers)]


def tensors(family: Family, sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Every tensor that a network of these sizes needs, with its shape. Products are stored as [out, in]."""
    D, F, own = sizes.width, sizes.hidden, family.own(sizes)
    q, kv = sizes.heads * sizes.head, sizes.groups * sizes.head
    layer = {
        "input_layernorm.weight": (D,),
        "self_attn.q_proj.weight": (q, D),
        "self_attn.k_proj.weight": (kv, D),
        "self_attn.v_proj.weight": (kv, D),
        "self_attn.o_proj.weight": (D, q),
        "post_attention_layernorm.weight": (D,),
        "mlp.gate_proj.weight": (F, D),
        "mlp.up_proj.weight": (F, D),
        "mlp.down_proj.weight": (D, F),
    } | own
    found = {"model.embed_tokens.weight": (sizes.vocabulary, D)}
    found |= {f"model.layers.{i}.{name}": shape for i in range(sizes.layers) for name, shape in layer.items()}
    found["model.norm.weight"] = (D,)
    return found if sizes.is_tied else found | {"lm_head.weight": (sizes.vocabulary, D)}
