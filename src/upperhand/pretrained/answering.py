"""A checkpoint and prompts as the policy of a problem."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from upperhand.errors import BadInput
from upperhand.mdps.tokens import Tokens, write
from upperhand.policies.causal import Answers, answerer
from upperhand.policies.low_rank import Network
from upperhand.pretrained.adapters import Adapter, small
from upperhand.pretrained.chat import Conversation
from upperhand.pretrained.folder import Folder, opened
from upperhand.pretrained.loading import loaded
from upperhand.pretrained.prompts import Words, encoded, words
from upperhand.schedule import whole
from upperhand.texts import Answer, Writer


class Author(NamedTuple):
    """A language model that answers prompts."""

    folder: Folder
    network: Network
    words: Words
    world: Answers
    writer: Writer
    decode: Callable[[np.ndarray], list[Answer]]  # tokens [B, T] → answers, which tell their prompts
    told: tuple[str, ...]  # the text of each prompt, for people


def author(model: str, prompts: Sequence[str | Conversation], length: int = 32, adapter: Adapter = small) -> Author:
    """A checkpoint that answers prompts.

    Args:
      model: a folder with config.json, safetensors and tokenizer.json.
      prompts: texts, and conversations that the checkpoint's chat template writes.
      length: tokens of an answer at most, an end token counted.
      adapter: what is tuned, and how.
    Returns: Author. Raises: BadInput, in one line, where anything does not fit together.
    """
    whole("length", (length,), 1)
    folder = opened(model)
    spoken = words(folder)
    asked = encoded(prompts, spoken, folder.sizes.vocabulary)
    window, longest = folder.sizes.window, asked.tokens.shape[1] + length
    if window is not None and longest > window:
        raise BadInput(f"prompt and answer have up to {longest} tokens, more than {model} looks back, {window}.")
    network = loaded(folder, adapter)
    world = Answers(folder.sizes.vocabulary, length + 1, spoken.pad, spoken.ends)
    first, *more = spoken.ends
    writes = partial(write, Tokens(world.vocabulary, length, spoken.pad, -1, first), more=tuple(more))  # without begin
    writer = answerer(network, asked[:2], world, writes, group_size=adapter.group_size, microbatch=adapter.microbatch)
    told = tuple(asked.told)

    def decode(tokens):
        number, *written = np.asarray(tokens).T
        texts = spoken.decode(np.stack(written, 1))
        return [Answer(text, told[n]) for text, n in zip(texts, number, strict=True)]

    return Author(folder, network, spoken, world, writer, decode, told)
