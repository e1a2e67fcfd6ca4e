"""A folder with a checkpoint: config.json, safetensors and tokenizer.json, checked before anything is built."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from upperhand.errors import BadInput
from upperhand.pretrained import families, headers
from upperhand.pretrained.families import FAMILIES, Family, Sizes

CONFIG, TOKENIZER = "config.json", "tokenizer.json"
NEEDED = {
    "layers": "num_hidden_layers",
    "vocabulary": "vocab_size",
    "width": "hidden_size",
    "hidden": "intermediate_size",
    "heads": "num_attention_heads",
}
"""Sizes by their keys in config.json."""

UNUSED = "rotary_emb.inv_freq", "lm_head.weight"
"""Tensors that change nothing where they are not asked for: positions, and a head that is the embedding again."""


class Folder(NamedTuple):
    """A checkpoint that is whole."""

    path: Path
    family: Family
    sizes: Sizes
    config: Mapping[str, Any]
    kind: str  # of its numbers, as safetensors says it


def opened(path: str | Path) -> Folder:
    """A checkpoint's folder, with every tensor's presence and shape checked against the headers.

    Raises: BadInput, in one line, for a file that is missing or damaged, an architecture that is not known, a tensor
      that is missing or of another shape.
    """
    path = Path(path).expanduser()
    if not path.is_dir():
        raise BadInput(f"{path} is no folder: give one with {CONFIG}, safetensors and {TOKENIZER}.")
    config = read_json(path / CONFIG)
    family = known(config, path)
    sizes = measured(config, family, path)
    computed(config, family, sizes, path)
    if not (path / TOKENIZER).is_file():
        raise BadInput(f"{path} lacks {TOKENIZER}: fetch it from where the weights are from.")
    found = headers.tensors(path)
    wanted = families.tensors(family, sizes)
    missing = [name for name in wanted if name not in found]
    if missing:
        others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise BadInput(f"{path} lacks the tensor {missing[0]}{others}, which its {CONFIG} asks for.")
    for name, shape in wanted.items():
        if found[name].shape != shape:
            raise BadInput(
                f"the tensor {name} of {path} has shape {list(found[name].shape)}, and its {CONFIG} asks for "
                f"{list(shape)}."
            )
    unused = [name for name in found if name not in wanted and not name.endswith(UNUSED)]
    if unused:
        others = f" and {len(unused) - 1} more" if len(unused) > 1 else ""
        raise BadInput(f"{path} holds the tensor {unused[0]}{others}, which its {family.name} network here leaves out.")
    return Folder(path, family, sizes, config, found["model.embed_tokens.weight"].kind)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object. Raises: BadInput where the file is missing, or holds none."""
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BadInput(f"{path.parent} lacks {path.name}: fetch it from where the weights are from.") from None
    except (OSError, ValueError, RecursionError):
        raise BadInput(f"{path} is damaged: fetch it again.") from None
    if not isinstance(found, dict):
        raise BadInput(f"{path} holds no JSON object: fetch it again.")
    return found


def known(config: Mapping[str, Any], path: Path) -> Family:
    """The family of a config.json. Raises: BadInput for another architecture."""
    name = config.get("model_type")
    if name in FAMILIES:
        return FAMILIES[name]
    told = (config.get("architectures") or [name])[0]
    what = f"a {told!r} model of more than texts" if "text_config" in config else f"a {told!r} model"
    raise BadInput(f"{path} holds {what} ({CONFIG}): known are {', '.join(FAMILIES)}.")


def computed(config: Mapping[str, Any], family: Family, sizes: Sizes, path: Path) -> None:
    """Nothing, where Tunix's network computes all that a config.json asks for.

    Raises: BadInput for what it leaves out, or would compute otherwise than meant.
    """
    name, turned = family.name, config | (config.get("rope_parameters") or {})
    act = config.get("hidden_activation") or config.get("hidden_act") or family.activation[0]
    scale, kinds = config.get("query_pre_attn_scalar", sizes.head), config.get("layer_types")
    cycle = config.get("sliding_window_pattern") or config.get("_sliding_window_pattern") or len(family.pattern)
    caps = () if name == "gemma2" else ("final_logit_softcapping", "attn_logit_softcapping")
    refused = {
        f"hidden_act {act!r}": act not in family.activation,
        "attention_bias": bool(config.get("attention_bias")),
        "mlp_bias": bool(config.get("mlp_bias")),
        "use_sliding_window": bool(config.get("use_sliding_window")),
        "use_bidirectional_attention": bool(config.get("use_bidirectional_attention")),
        "rope_scaling": name == "qwen2" and bool(families.rotary(config)[1]),
        "partial_rotary_factor": turned.get("partial_rotary_factor") not in (None, 1.0),
        f"rms_norm_eps {sizes.eps}": family.eps not in (None, sizes.eps),
        f"query_pre_attn_scalar {scale!r}": scale not in family.scales(sizes),
        "other layer_types": kinds is not None and kinds != families.kinds(family, sizes),
        f"sliding_window_pattern {cycle!r}": name == "gemma3_text" and cycle != len(family.pattern),
    } | {cap: bool(config.get(cap)) for cap in caps}
    for what, is_refused in refused.items():
        if is_refused:
            raise BadInput(f"{path} asks for {what} ({CONFIG}), which its {name} network here does not compute.")


def measured(config: Mapping[str, Any], family: Family, path: Path) -> Sizes:
    """The sizes that a config.json tells. Raises: BadInput where one is missing or makes no sense."""
    is_gemma = family.name.startswith("gemma")
    found = {name: whole(config.get(key), key, path) for name, key in NEEDED.items()}
    groups = whole(config.get("num_key_value_heads") or found["heads"], "num_key_value_heads", path)
    head = whole(config.get("head_dim") or (None if is_gemma else found["width"] // found["heads"]), "head_dim", path)
    if found["heads"] % groups or head % 2:
        raise BadInput(
            f"{path / CONFIG}: num_attention_heads {found['heads']} must be a multiple of num_key_value_heads {groups},"
            f" and head_dim {head} even."
        )
    is_tied = bool(config.get("tie_word_embeddings", is_gemma))
    if is_gemma and not is_tied:
        raise BadInput(f"{path / CONFIG}: a {family.name} model with a head of its own is not known.")
    for key in ("rope_parameters", "rope_scaling"):
        if not isinstance(config.get(key) or {}, dict):
            raise BadInput(f"{path / CONFIG}: {key} must be an object: got {config[key]!r}.")
    for key in ("sliding_window", "query_pre_attn_scalar") if is_gemma else ():
        whole(config.get(key), key, path)
    window = config["sliding_window"] if family.is_short else None
    family.turns(config, head)
    eps = float(config.get("rms_norm_eps", 1e-6))
    return Sizes(**found, groups=groups, head=head, is_tied=is_tied, eps=eps, window=window)


def whole(value: Any, key: str, path: Path) -> int:
    """A size. Raises: BadInput where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"{path / CONFIG}: {key} must be a whole number, at least 1: got {value!r}.")
    return value
