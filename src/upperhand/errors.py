"""What stops a run, each told in one line."""

from collections.abc import Mapping, Sequence
from typing import Any


class BadInput(ValueError):  # noqa: N818  a word that a person reads
    """Something given by a person cannot be used; the message says what to do."""


class Diverged(RuntimeError):  # noqa: N818  as above
    """A figure of a run is no longer finite.

    Attributes:
      step: updates done.
      row: the row that was not written.
      figures: name → indices of the seeds where it is not finite; none listed where there is no axis of seeds.
      checkpoint: where the last good state was saved, or None.
      seeds: the seeds by index, or None.
    """

    def __init__(
        self,
        step: int,
        row: Mapping[str, Any],
        checkpoint: Any = None,
        *,
        figures: Mapping[str, Sequence[int]],
        seeds: Sequence[int] | None = None,
    ):
        self.step, self.row, self.checkpoint, self.figures, self.seeds = step, row, checkpoint, figures, seeds
        super().__init__(self.message())

    def message(self) -> str:
        """One line: who, when, which figure, what to try, and where the last good state is."""
        members = sorted({index for indices in self.figures.values() for index in indices})
        labels = [str(index if self.seeds is None else self.seeds[index]) for index in members]
        who = f"seed{'s' * (len(labels) > 1)} {', '.join(labels)} diverged" if labels else "the run diverged"
        what = f"{', '.join(self.figures)} {'is' if len(self.figures) == 1 else 'are'} not finite"
        saved = "" if self.checkpoint is None else f" The last good checkpoint is {self.checkpoint}."
        return (
            f"{who} at step {self.step}: {what}. Try smaller steps, a larger penalty weight w, "
            f"or a higher temperature.{saved}"
        )
