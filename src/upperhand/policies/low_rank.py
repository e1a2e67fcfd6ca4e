"""Low-rank changes of the matrices of any flax.nnx network: LoRA, through qwix, as data and pure functions.

    W x  →  W x + scale · B (A x)        B = 0 at first, and W is frozen

Importing this needs no flax; to adapt a model does.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from upperhand.schedule import whole
from upperhand.types import Key, Tree


class Network(NamedTuple):
    """A causal language model, called as (tokens [B, L], positions [B, L], cache or None, mask [B, L, C])."""

    base: Tree  # the frozen weights
    low_rank: Tree  # shapes of A and B, by module
    tuned: Callable[[Tree, Tree], Any]  # (base, theta) → the model
    plain: Callable[[Tree], Any]  # base → the model without A and B
    cache: Callable[[int, int], Tree]  # (batch, length) → an empty cache
    head: Callable[[Any, Array], Array]  # (model, last hidden states) → logits
    during: Callable[[], AbstractContextManager]  # what must hold while the model is traced
    spread: Callable[[Array], Array]  # [B, …] → the same, over devices
    scale: float


def adapted(
    model: Any,
    *,
    rank: int,
    scale: float,
    where: str,
    cache: Callable[[int, int], Tree],
    head: Callable[[Any, Array], Array],
    during: Callable[[], AbstractContextManager] = nullcontext,
    spread: Callable[[Array], Array] = lambda rows: rows,
) -> Network:
    """A flax.nnx model with low-rank changes.

    Args:
      model: called as above; its attribute `final_norm` makes its last hidden state.
      rank: r of A [in, r] and B [r, out].
      scale: what A B is multiplied by; LoRA's lora_alpha is scale · rank.
      where: a regular expression of the modules whose matrices are tuned; the head is none of them.
      cache: (batch, length) → an empty cache of the model.
      head: (model, last hidden states) → logits.
      during: what must hold while the model is traced.
      spread: puts arrays with a batch in front over devices.
    Returns: Network. Raises: ValueError where flax or qwix is not installed, or where nothing is tuned.
    """
    whole("rank", (rank,), 1)
    try:
        import qwix
        from flax import nnx
    except ModuleNotFoundError as error:
        raise ValueError(f"low-rank changes need {error.name}: pip install 'upperhand[llm]'.") from None
    structure, held = nnx.split(model)
    base = nnx.to_pure_dict(held)
    provider = qwix.LoraProvider(module_path=where, rank=rank, alpha=scale * rank)

    def changed():
        one = jnp.ones((1, 1), jnp.int32)
        bare = nnx.merge(structure, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), base))
        return qwix.apply_lora_to_model(bare, provider, one, 0 * one, None, one[..., None] > 0, rngs=nnx.Rngs(0))

    with jax.numpy_rank_promotion("allow"), during():
        changed_structure, low_rank, _ = nnx.split(nnx.eval_shape(changed), nnx.LoRAParam, ...)
    low_rank = nnx.to_pure_dict(low_rank)
    if not jax.tree.leaves(low_rank):
        raise ValueError(f"no module of the model is named {where!r}: nothing would be tuned.")

    def tuned(base, theta):
        theta = jax.tree.map(lambda leaf, like: leaf.astype(like.dtype), theta, low_rank)
        return nnx.merge(changed_structure, theta, base)

    return Network(base, low_rank, tuned, lambda base: nnx.merge(structure, base), cache, head, during, spread, scale)


def started(network: Network, key: Key) -> Tree:
    """θ at which the network is its base: A uniform in ± √(6/in), B = 0. Returns: float32, whatever the base is."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(network.low_rank)

    def one(key, path, leaf):
        if str(path[-1].key).endswith("_b"):
            return jnp.zeros(leaf.shape, jnp.float32)
        reach = (6 / int(np.prod(leaf.shape[:-1]))) ** 0.5
        return jax.random.uniform(key, leaf.shape, jnp.float32, -reach, reach)

    keys = jax.random.split(key, len(leaves))
    return structure.unflatten([one(*each) for each in zip(keys, *zip(*leaves, strict=True), strict=True)])


def changes(network: Network, theta: Tree) -> dict[str, Array]:
    """What is added to the matrices, scale · A B as [in, out] in float32, by the paths of their modules."""
    found = {}
    for path, a in jax.tree_util.tree_leaves_with_path(theta):
        *module, name = (part.key for part in path)
        if not name.endswith("_lora_a"):
            continue
        beside = theta
        for part in module:
            beside = beside[part]
        b = jnp.asarray(beside[name.removesuffix("_a") + "_b"], jnp.float32)
        flat = jnp.asarray(a, jnp.float32).reshape(-1, a.shape[-1]), b.reshape(b.shape[0], -1)
        found[".".join(map(str, module))] = network.scale * jnp.matmul(*flat, precision="highest")
    return found
