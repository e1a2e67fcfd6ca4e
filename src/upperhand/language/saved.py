"""Finished language models on disk: arrays without pickle, and a manifest that is written last."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.language.tokenizer import Tokenizer, from_json
from upperhand.mdps.tokens import Tokens
from upperhand.policies.transformer import Shape, initial
from upperhand.store import write_whole
from upperhand.types import Tree

MANIFEST, WEIGHTS, TOKENIZER = "language.json", "weights.npz", "tokenizer.json"


class Language(NamedTuple):
    """A language model that has been learned, and how its tokens are read."""

    world: Tokens
    shape: Shape
    weights: Tree  # float32
    decode: Callable[[np.ndarray], list[str]]  # tokens [B, T] → texts
    encode: Callable[[Sequence[str]], np.ndarray]  # texts → tokens [N, T]; longer ones are cut
    words: list[str]  # what each token says, by id
    labelled: list[tuple[str, int]]  # texts of the corpus with a person's label −1, 0, 1; may be none
    loss: float  # on held-out texts, nats a token, end tokens counted
    about: dict[str, Any]  # what it was learned from, and how
    folder: Path  # where it is kept


def finished(folder: Path) -> bool:
    """Whether a folder holds a model that was trained to its end."""
    return (folder / MANIFEST).is_file()


def put(folder: Path, weights: Tree, tokenizer: Tokenizer, told: Mapping[str, Any]) -> None:
    """Write a finished model; the manifest comes last, so a folder that has one is whole.

    Args:
      folder: there.
      weights, tokenizer: the model.
      told: shape, loss and about, for the manifest.
    """
    held = {name: np.asarray(leaf) for name, leaf in named(weights).items()}
    buffer = io.BytesIO()
    np.savez(buffer, **held)
    files = {WEIGHTS: buffer.getvalue(), TOKENIZER: tokenizer.to_json().encode()}
    for name, content in files.items():
        write_whole(folder / name, content)
    digests = {name: sha256(content).hexdigest() for name, content in files.items()}
    write_whole(folder / MANIFEST, json.dumps(dict(told) | {"files": digests}, indent=1, allow_nan=False) + "\n")


def taken(folder: Path, labelled: list[tuple[str, int]]) -> Language:
    """A finished model.

    Args:
      folder: where `put` wrote it.
      labelled: of its corpus.
    Returns: Language. Raises: BadInput where a file is missing, damaged, or not of this version.
    """
    try:
        told = json.loads((folder / MANIFEST).read_bytes())
        content = {name: (folder / name).read_bytes() for name in (WEIGHTS, TOKENIZER)}
        wrong = [name for name in content if sha256(content[name]).hexdigest() != told["files"][name]]
        shape, loss, about = Shape(**told["shape"]), float(told["loss"]), dict(told["about"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise damaged(folder, MANIFEST) from None
    if wrong:
        raise damaged(folder, wrong[0])
    with np.load(io.BytesIO(content[WEIGHTS]), allow_pickle=False) as held:
        wanted = jax.eval_shape(lambda: initial(jax.random.key(0), shape))
        try:
            weights = jax.tree_util.tree_map_with_path(lambda path, _: jnp.asarray(held[name_of(path)]), wanted)
        except KeyError:
            raise damaged(folder, WEIGHTS) from None
    tokenizer = from_json(content[TOKENIZER].decode())
    return Language(
        world=Tokens(shape.vocabulary, shape.length),
        shape=shape,
        weights=weights,
        decode=tokenizer.decode,
        encode=lambda texts: tokenizer.encode(texts, shape.length),
        words=tokenizer.words(),
        labelled=labelled,
        loss=loss,
        about=about,
        folder=folder,
    )


def damaged(folder: Path, name: str) -> BadInput:
    """One line for a folder that cannot be read."""
    return BadInput(f"{folder} is damaged ({name}): delete the folder, and the same command trains the model again.")


def named(weights: Tree) -> dict[str, Any]:
    """The leaves of a tree by their paths."""
    return {name_of(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(weights)}


def name_of(path: Any) -> str:
    """layers.0.qkv"""
    return ".".join(str(part.key) for part in path)


@contextmanager
def alone(folder: Path, say: Callable[[str], object]) -> Iterator[None]:
    """Nobody else trains or reads this model meanwhile; a second process waits, and says so.

    Raises: OSError where the folder above cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(folder.with_name(folder.name + ".lock"), "w") as held:
        try:
            import fcntl
        except ImportError:  # no such locks on this system
            yield
            return
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another process that trains this language model in {folder}")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield
