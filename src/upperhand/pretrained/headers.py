"""Headers of safetensors files: what is in them, without reading what is in them."""

import json
import struct
from pathlib import Path
from typing import NamedTuple

from upperhand.errors import BadInput

INDEX = "model.safetensors.index.json"
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Kinds of numbers that a checkpoint may hold, and the bytes of each."""


class Entry(NamedTuple):
    """One tensor of a file."""

    file: str
    kind: str  # F32, BF16, …
    shape: tuple[int, ...]


def header(path: Path) -> dict[str, Entry]:
    """The tensors of a safetensors file by name.

    Raises: BadInput, in one line, where the file is cut, or is none.
    """
    try:
        size = path.stat().st_size
        with open(path, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            if length > size - 8:
                raise ValueError
            told = json.loads(stream.read(length))
        told.pop("__metadata__", None)
        ends = [entry["data_offsets"][1] for entry in told.values()]
        found = {
            name: Entry(path.name, str(entry["dtype"]), tuple(map(int, entry["shape"]))) for name, entry in told.items()
        }
    except (OSError, struct.error, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        raise BadInput(f"{path} is damaged or no safetensors file: fetch it again.") from None
    if 8 + length + max(ends, default=0) > size:
        raise BadInput(f"{path} is cut short ({size} bytes of {8 + length + max(ends)}): fetch it again.")
    return found


def tensors(folder: Path) -> dict[str, Entry]:
    """The tensors of all safetensors files of a folder by name.

    Raises: BadInput, in one line, where there is no file, where one that the index names is missing, where a tensor is
      in two files, or where a file holds numbers that no float type is.
    """
    files = sorted(folder.glob("*.safetensors"))
    missing = sorted(set(indexed(folder)) - {file.name for file in files})
    if missing:
        raise BadInput(f"{folder} lacks {missing[0]}, which {INDEX} names: fetch it.")
    if not files:
        raise BadInput(f"{folder} has no model.safetensors: fetch it, or convert the weights to safetensors.")
    found: dict[str, Entry] = {}
    for file in files:
        here = header(file)
        for name, entry in here.items():
            if name in found:
                raise BadInput(f"the tensor {name} is in two files, {found[name].file} and {file.name}: remove one.")
            if entry.kind not in BYTES:
                raise BadInput(f"{name} of {file} holds {entry.kind} numbers: only {', '.join(BYTES)} can be tuned.")
        kinds = {entry.kind for entry in here.values()}
        if len(kinds) > 1:
            raise BadInput(f"{file} mixes {' and '.join(sorted(kinds))}: write it with one kind of numbers.")
        found |= here
    return found


def indexed(folder: Path) -> list[str]:
    """The files that the index of a sharded checkpoint names; none where there is no index."""
    path = folder / INDEX
    if not path.is_file():
        return []
    try:
        return [str(name) for name in json.loads(path.read_bytes())["weight_map"].values()]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(f"{path} is damaged: fetch it again.") from None
