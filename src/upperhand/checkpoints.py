"""States on disk: orbax arrays beside a manifest of their files, so that damage is seen before it is read."""

import hashlib
import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from upperhand.errors import BadInput
from upperhand.run import Spent
from upperhand.store import write_whole

KEPT = 2
"""Checkpoints kept: if the newest is damaged, the one before still serves."""
MANIFEST = "manifest.json"


def arrays(tree: Any) -> dict[str, np.ndarray]:
    """The leaves by path as host arrays; random keys as their data. Leaves without numbers are left out."""
    found = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        data = jax.random.key_data(leaf) if is_key(leaf) else leaf
        if np.size(data):
            found[jax.tree_util.keystr(path)] = np.asarray(data)
    return found


def is_key(leaf: Any) -> bool:
    """Whether a leaf holds typed random keys."""
    return jnp.issubdtype(getattr(leaf, "dtype", None), jax.dtypes.prng_key)


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def saver(out: Path) -> tuple[Callable[[int, Any, Spent], None], Callable[[], None]]:
    """What writes checkpoints of a run, and what ends it.

    Args:
      out: the run folder, with its config.json.
    Returns: save(step, state, spent), which keeps the newest two; close().
    Cost: some 50 ms a checkpoint of small arrays.
    """
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(
        max_to_keep=KEPT, enable_async_checkpointing=False, cleanup_tmp_directories=True
    )
    manager = ocp.CheckpointManager((out / "checkpoints").absolute(), options=options)
    run = digest(out / "config.json")

    def save(step, state, spent):
        held = arrays({"state": state, "spent": spent})
        manager.save(step, args=ocp.args.Composite(arrays=ocp.args.StandardSave(held)), force=True)
        folder = out / "checkpoints" / str(step)
        files = {str(path.relative_to(folder)): digest(path) for path in sorted(folder.rglob("*")) if path.is_file()}
        kinds = {name: [str(array.dtype), list(array.shape)] for name, array in held.items()}
        write_whole(folder / MANIFEST, json.dumps({"run": run, "step": step, "arrays": kinds, "files": files}))

    return save, manager.close


def saved_steps(out: Path) -> list[int]:
    """The steps of the finished checkpoints of a run, newest first; damaged ones are among them."""
    folder = Path(out) / "checkpoints"
    found = [path.parent.name for path in folder.glob(f"*/{MANIFEST}")]
    return sorted((int(name) for name in found if name.isdecimal() and len(name) < 16), reverse=True)


def clear(out: Path, after: int) -> None:
    """Remove what lies in the folder of checkpoints besides the finished ones up to a step; −1 keeps none."""
    folder = Path(out) / "checkpoints"
    kept = {str(step) for step in saved_steps(out) if step <= after}
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def load(out: Path, step: int, like: Any) -> tuple[Any, Spent]:
    """A checkpoint, if it is whole and of this run.

    Args:
      out: the run folder.
      step: of the checkpoint.
      like: a state of the same run, for structure, shapes and types.
    Returns: the state as it was saved, and what was spent until then.
    Raises: BadInput in one line where the checkpoint is damaged, unfinished, or of another run.
    """
    folder = Path(out) / "checkpoints" / str(step)
    inspect(folder, digest(Path(out) / "config.json"), arrays({"state": like}))
    import orbax.checkpoint as ocp

    logging.getLogger("absl").setLevel(logging.ERROR)
    held = ocp.Checkpointer(ocp.PyTreeCheckpointHandler()).restore((folder / "arrays").absolute())

    def leaf(path, example):
        name = jax.tree_util.keystr((jax.tree_util.DictKey("state"), *path))
        if name not in held:
            return example
        if is_key(example):
            return jax.random.wrap_key_data(jnp.asarray(held[name]), impl=jax.random.key_impl(example))
        return jnp.asarray(held[name])

    spent = [np.asarray(held[f"['spent'].{name}"]) for name in Spent._fields]
    return jax.tree_util.tree_map_with_path(leaf, like), Spent(*spent[:3], seconds=float(spent[3]))


def inspect(folder: Path, run: str, wanted: dict[str, np.ndarray]) -> None:
    """BadInput where a checkpoint is not whole, or does not hold the wanted arrays of this run."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        files, kinds = dict(manifest["files"]), dict(manifest["arrays"])
        owner = manifest["run"]
    except FileNotFoundError:
        raise BadInput(f"{folder} is unfinished or damaged: it has no {MANIFEST}.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise BadInput(f"{folder} is damaged: its {MANIFEST} cannot be read.") from None
    if owner != run:
        raise BadInput(f"{folder} is of another run, or config.json was changed since.")
    for name, expected in files.items():
        try:
            is_whole = digest(folder / name) == expected
        except OSError:
            raise BadInput(f"{folder} is damaged: {name} is missing or cannot be read.") from None
        if not is_whole:
            raise BadInput(f"{folder} is damaged: {name} is not what was written.")
    held = {name: kind for name, kind in kinds.items() if name.startswith("['state']")}
    for name in sorted(held.keys() | wanted.keys()):
        kind = [str(wanted[name].dtype), list(wanted[name].shape)] if name in wanted else None
        if held.get(name) != kind:
            raise BadInput(f"{folder} is foreign: {name} is {held.get(name)} there, and {kind} in this run.")


class Keeper:
    """The sink that saves a state at most every few seconds, and keeps the newest one at hand.

    Args:
      out: the run folder, with its config.json.
      seconds: between two checkpoints, at least.
      saved: step of the checkpoint that the run continues from, or None.
    """

    def __init__(self, out: Path, seconds: float, saved: int | None = None):
        self.out, self.seconds, self.saved, self.latest = Path(out), seconds, saved, None
        self._save, self._close = saver(self.out)
        self._at = -float("inf")

    def __call__(self, row: dict[str, Any], state: Any) -> None:
        self.latest = (row, state)
        if time.monotonic() - self._at >= self.seconds:
            self.flush()

    def flush(self) -> None:
        """Save the newest state that was given, unless it is saved."""
        if self.latest is not None and self.latest[0]["step"] != self.saved:
            row, state = self.latest
            self._save(row["step"], state, Spent(*(row[name] for name in Spent._fields)))
            self.saved, self._at = row["step"], time.monotonic()

    def close(self) -> None:
        """End the writer."""
        self._close()

    @property
    def where(self) -> Path | None:
        """The folder of the newest checkpoint."""
        return None if self.saved is None else self.out / "checkpoints" / str(self.saved)
