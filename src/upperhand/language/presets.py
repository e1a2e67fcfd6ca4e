"""Sizes of a language model and how it is trained."""

from typing import NamedTuple

from upperhand.errors import BadInput
from upperhand.policies.transformer import Shape


class Preset(NamedTuple):
    """A language model to be made."""

    name: str
    vocabulary: int  # tokens at most; a small corpus gives fewer
    length: int  # T, tokens of a text
    width: int
    layers: int
    heads: int
    corpus: str  # what it learns from where nothing is given: tweets, or made_up
    row: int  # tokens of a packed row
    rows: int  # rows a step
    steps: int
    step_size: float  # AdamW's, at its height
    decay: float  # of the weights, in units of the step size
    dropout: float
    minutes: float  # that it takes about, on two cores

    def shape(self, vocabulary: int) -> Shape:
        """The network's sizes, with the vocabulary that was found."""
        return Shape(vocabulary, self.length, self.width, self.layers, self.heads)


tiny = Preset("tiny", 512, 24, 48, 4, 4, "made_up", 48, 32, 300, 6e-3, 0.1, 0.0, 0.2)
laptop = Preset("laptop", 2048, 48, 128, 4, 4, "tweets", 64, 64, 2000, 3e-3, 0.1, 0.1, 12.0)
full = Preset("full", 4096, 64, 256, 4, 8, "tweets", 96, 64, 3000, 2e-3, 0.1, 0.2, 90.0)
PRESETS = {preset.name: preset for preset in (tiny, laptop, full)}


def chosen(preset: str | Preset) -> Preset:
    """A preset, by its name or as it is. Raises: BadInput for an unknown name."""
    if isinstance(preset, Preset):
        return preset
    if preset not in PRESETS:
        raise BadInput(f"preset must be one of {', '.join(PRESETS)}: got {preset!r}.")
    return PRESETS[preset]
