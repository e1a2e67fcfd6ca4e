"""How a checkpoint is tuned: what is free, how precise, and how it lies in memory."""

from typing import Literal, NamedTuple

EVERYWHERE = (
    r".*(q_proj|k_proj|v_proj|o_proj|q_einsum|kv_einsum|qkv_einsum|attn_vec_einsum|gate_proj|up_proj|down_proj)"
)
"""The products of every layer: attention and the feed-forward part."""


class Adapter(NamedTuple):
    """Low-rank changes, and how they are computed."""

    rank: int = 8  # of the change of each matrix
    scale: float = 2.0  # what the change is multiplied by; lora_alpha is scale · rank
    where: str = EVERYWHERE  # a regular expression of the modules that are tuned
    precision: Literal["float32", "bfloat16"] = "float32"  # of weights and products; θ and norms (not Gemma's) float32
    remat: bool = False  # each layer is computed again for its gradient
    microbatch: int | None = None  # texts whose gradient is taken at a time, and summed; None for the whole batch
    group_size: int = 4  # texts of one prompt in a batch
    devices: Literal["one", "all"] = "one"  # over which weights and batch are spread


small = Adapter()
"""For models that fit many times over."""
large = Adapter(precision="bfloat16", remat=True, microbatch=4, devices="all")
"""For models that fill a device, or several."""
