"""Seeds over devices."""

from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec


def mesh() -> Mesh:
    """All devices along one axis, "seeds", which the compiler places by itself."""
    return Mesh(np.asarray(jax.devices()), ("seeds",), axis_types=(AxisType.Auto,))


def shard_seeds(tree: Any, mesh: Mesh) -> Any:
    """The tree with its leading axes spread over the devices.

    Args:
      tree: leaves [N, ...], typed keys among them.
      mesh: of `mesh()`.
    Returns: the same values; as it was where there is one device, or where the devices do not divide every N.
    """
    devices = mesh.devices.size
    lengths = {np.shape(leaf)[0] if np.ndim(leaf) else 1 for leaf in jax.tree.leaves(tree)}
    if devices == 1 or any(length % devices for length in lengths):
        return tree
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec("seeds")))
