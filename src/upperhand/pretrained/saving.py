"""A tuned policy and its reward, written as files that load again: matrices with their changes added."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from upperhand.errors import BadInput
from upperhand.policies.low_rank import Network, changes
from upperhand.pretrained.folder import CONFIG, Folder
from upperhand.store import write_whole
from upperhand.types import Tree

REWARD, HEAD, ABOUT = "reward", "head.safetensors", "reward.json"
"""The folder of the reward: apart, since every safetensors file beside config.json is read as the network's."""
PARTS = {"q_einsum": "q", "kv_einsum": "kv", "qkv_einsum": "qkv", "attn_vec_einsum": "o"}
"""Products that Gemma's network joins."""


def saved(
    folder: Folder, network: Network, theta: Tree, out: str | Path, reward: tuple[str, Tree] | None = None
) -> Path:
    """Write W + scale · A B for every W that is tuned, in the files and with the kind of numbers of the checkpoint.

    Args:
      folder, network: that theta changes.
      theta: of one seed.
      out: new; it is written under another name and renamed, so that it is whole or not there.
      reward: its kind and x, written into the folder `reward` of it.
    Returns: out. Raises: BadInput where out holds something already, or a change belongs to no tensor.
    Cost: one file's tensors in memory.
    """
    from safetensors import safe_open
    from safetensors.numpy import save_file

    whole, out = vacant(out)
    added = renamed(changes(network, theta))
    missing = dict(added)
    for file in sorted(folder.path.glob("*.safetensors")):
        held: dict[str, np.ndarray] = {}
        with safe_open(file, framework="flax") as stream:
            for name in stream.keys():  # noqa: SIM118  it is no mapping
                held[name] = merged(stream.get_tensor(name), missing.pop(name, None))
        save_file(held, out / file.name, metadata={"format": "pt"})
    if missing:
        raise BadInput(f"{out} is not whole: the change of {next(iter(missing))} belongs to no tensor.")
    if reward is not None:
        put_reward(out, *reward, mark=mark(theta, reward[1]))
    for file in sorted(folder.path.iterdir()):
        if file.is_file() and file.suffix != ".safetensors" and file.name != CONFIG:
            shutil.copy(file, out / file.name)
    write_whole(out / CONFIG, (folder.path / CONFIG).read_bytes())
    return out.rename(whole)


def vacant(out: str | Path) -> tuple[Path, Path]:
    """A folder that is not there yet, and an empty one beside it to write into. Raises: BadInput where it is there."""
    out = Path(out).expanduser()
    if out.exists():
        raise BadInput(f"{out} exists: give a new folder to write the tuned policy to.")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    return out, part


def merged(weight: Array, change: Array | None) -> np.ndarray:
    """A matrix with its change, as precise as it was."""
    if change is None:
        return np.asarray(weight)
    if weight.shape != change.shape:
        raise BadInput(f"a change has shape {list(change.shape)} and its matrix {list(weight.shape)}.")
    return np.ascontiguousarray(np.asarray((weight.astype(jnp.float32) + change).astype(weight.dtype)))


def renamed(found: Mapping[str, Array]) -> dict[str, Array]:
    """Changes [in, out] by the paths of Tunix's modules → [out, in] by the names of tensors."""
    told = {}
    for path, change in found.items():
        *above, last = f"model.{path}".replace(".attn.", ".self_attn.").split(".")
        parts = PARTS.get(last)
        names = [f"{part}_proj" for part in parts] if parts else [last]
        for name, part in zip(names, jnp.split(change.T, len(names)), strict=True):
            told[".".join([*above, name, "weight"])] = part
    return told


def mark(theta: Tree, x: Tree) -> str:
    """What tells a tuned policy and its reward from others: SHA-256 of their numbers."""
    leaves = (np.asarray(leaf) for leaf in jax.tree.leaves((theta, x)))
    return hashlib.sha256(b"".join(leaf.tobytes() for leaf in leaves)).hexdigest()


def is_there(out: Path, theta: Tree, x: Tree) -> bool:
    """Whether a folder is this tuned policy with this reward."""
    try:
        return json.loads((out / REWARD / ABOUT).read_bytes())["mark"] == mark(theta, x)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def put_reward(out: Path, kind: str, x: Tree, mark: str) -> None:
    """The reward of a tuned policy: its numbers, what they mean, and the mark of both."""
    from safetensors.numpy import save_file

    (out / REWARD).mkdir()
    named = x if isinstance(x, dict) else {"x": x}
    save_file({name: np.ascontiguousarray(np.asarray(leaf)) for name, leaf in named.items()}, out / REWARD / HEAD)
    about = {"reward": kind, "of": "the last hidden state of the reference", "mark": mark}
    write_whole(out / REWARD / ABOUT, json.dumps(about) + "\n")


def reward(out: str | Path) -> tuple[str, Any]:
    """The reward that `saved` wrote: its kind and x. Raises: BadInput where it is missing or damaged."""
    from safetensors.numpy import load_file

    place = Path(out).expanduser() / REWARD
    try:
        kind = json.loads((place / ABOUT).read_bytes())["reward"]
        held = load_file(place / HEAD)
    except Exception as error:
        raise BadInput(f"{place} holds no reward that can be read ({type(error).__name__}).") from None
    return kind, held["x"] if set(held) == {"x"} else held
