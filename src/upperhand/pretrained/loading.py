"""From a checked folder to a network: Tunix's loaders, with positions as config.json has them."""

import importlib
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Told
from contextlib import contextmanager
from functools import partial
from threading import RLock
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from upperhand.errors import BadInput
from upperhand.policies.low_rank import Network, adapted
from upperhand.pretrained.adapters import Adapter, small
from upperhand.pretrained.families import GLOBAL, LOCAL, kinds
from upperhand.pretrained.folder import Folder

TURNING = RLock()
"""One network at a time has its own positions."""
PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


def loaded(folder: Folder, adapter: Adapter = small) -> Network:
    """A checkpoint as a policy's network, through Tunix's loader.

    Args:
      folder: of `opened`.
      adapter: what is tuned, how precise, and where it lies.
    Returns: Network. Raises: BadInput where Tunix is not installed; ValueError where a setting is wrong.
    """
    if adapter.precision not in PRECISIONS:
        raise BadInput(f"precision must be one of {', '.join(PRECISIONS)}: got {adapter.precision!r}.")
    family, dtype = folder.family, PRECISIONS[adapter.precision]
    try:
        module = importlib.import_module(f"tunix.models.{family.module}")
        loader = importlib.import_module(f"tunix.models.{family.loading}")
    except ModuleNotFoundError as error:
        raise BadInput(f"a checkpoint needs {error.name}: pip install 'upperhand[llm]'.") from None
    config = configured(module, folder, dtype, adapter.remat)
    mesh = spanned() if adapter.devices == "all" else None
    with jax.numpy_rank_promotion("allow"):
        model = loader.create_model_from_safe_tensors(str(folder.path), config, mesh=mesh, dtype=dtype)
    turns = family.turns(folder.config, folder.sizes.head)
    return adapted(
        model,
        rank=adapter.rank,
        scale=adapter.scale,
        where=adapter.where,
        cache=lambda batch, length: memory(folder, dtype, batch, length),
        head=lambda model, h: head(model, folder.config, h),
        during=lambda: turning(module, turns),
        spread=(lambda rows: rows) if mesh is None else partial(spread, mesh),
    )


def spanned() -> Mesh:
    """All devices along "fsdp", over which Tunix spreads the weights of a network; "tp" is of one."""
    return Mesh(np.asarray(jax.devices())[:, None], ("fsdp", "tp"), axis_types=(AxisType.Auto,) * 2)


def spread(mesh: Mesh, rows: Array) -> Array:
    """The batch over the devices, where they divide it."""
    if rows.shape[0] % mesh.devices.size:
        return rows
    return jax.lax.with_sharding_constraint(rows, NamedSharding(mesh, PartitionSpec("fsdp")))


def configured(module: Any, folder: Folder, dtype: Any, remat: bool) -> Any:
    """Tunix's ModelConfig of a folder."""
    family, sizes = folder.family, folder.sizes
    told = family.build(sizes, folder.config) | dict.fromkeys(family.typed, dtype)
    if family.name == "gemma2":
        named = {LOCAL: module.AttentionType.LOCAL_SLIDING, GLOBAL: module.AttentionType.GLOBAL}
        told["attention_types"] = tuple(named[kind] for kind in kinds(family, sizes))
    if family.name == "gemma3_text":
        scales, by_head = module.QueryPreAttentionNormalisation, folder.config["query_pre_attn_scalar"] == sizes.head
        told["query_pre_attn_norm"] = (
            scales.BY_ONE_OVER_SQRT_HEAD_DIM if by_head else scales.BY_ONE_OVER_SQRT_EMBED_DIM_DIV_NUM_HEADS
        )
    return module.ModelConfig(**told, remat_config=module.RematConfig.DECODER if remat else module.RematConfig.NONE)


def memory(folder: Folder, dtype: Any, batch: int, length: int) -> dict[str, dict[str, Array]]:
    """An empty cache, as Tunix's families share it."""
    sizes = folder.sizes
    zero = jnp.zeros((batch, length, sizes.groups, sizes.head), dtype)
    return {f"layer_{i}": {"k": zero, "v": zero, "end_index": jnp.zeros(batch, int)} for i in range(sizes.layers)}


def head(model: Any, config: Told[str, Any], h: Float[Array, "B S D"]) -> Float[Array, "B S V"]:
    """Logits of last hidden states."""
    logits = model.lm_head(h) if hasattr(model, "lm_head") else model.embedder.decode(h)
    cap = config.get("final_logit_softcapping") if config["model_type"] == "gemma2" else None
    return jnp.tanh(logits / cap) * cap if cap else logits


@contextmanager
def turning(module: Any, turns: Float[np.ndarray, " c"] | None) -> Iterator[None]:
    """While a network is traced, its positions turn by the angles of its own config.json.

    Tunix 0.1.7 computes them with θ = 10⁶ in Qwen 3 and Llama, and 10⁴ in Gemma 2, whatever its ModelConfig says.
    Qwen 2 has no such function, and Gemma 3 has one for each kind of layer (turns None): they do as they are told.
    """
    name = "apply_rope"
    if turns is None or not hasattr(module, name):
        yield
        return
    with TURNING:
        original = getattr(module, name)
        setattr(module, name, rotating(turns))
        try:
            yield
        finally:
            setattr(module, name, original)


def rotating(turns: Float[np.ndarray, " c"]) -> Callable:
    """(inputs [B, S, H, d], positions [B, S]) → inputs with their pairs turned, computed in float32."""

    def apply(inputs, positions, head_dim, **_):
        angle = positions[..., None].astype(jnp.float32) * jnp.asarray(turns, jnp.float32)[None, None]
        cos, sin = jnp.cos(angle)[:, :, None], jnp.sin(angle)[:, :, None]
        a, b = jnp.split(inputs.astype(jnp.float32), 2, -1)
        return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], -1).astype(inputs.dtype)

    return apply
