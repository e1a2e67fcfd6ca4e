"""Lines to tokens and back, without loss: byte-level byte-pair encoding, with the masks as tokens of their own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from upperhand.errors import BadInput
from upperhand.language.cleaning import MASKS

PAD, BEGIN, END = 0, 1, 2
SPECIAL = ("<pad>", "<begin>", "<end>")  # by id; a text that spells one of them is encoded as any other text
FEWEST = 256 + len(SPECIAL) + len(MASKS)
"""Every byte has a token, so no text is out of reach."""
SHORTEST = 2.0
"""Tokens of a text on average, below which there is nothing to learn."""


@dataclass(frozen=True)
class Tokenizer:
    """A trained encoding."""

    made: Any  # tokenizers.Tokenizer

    @property
    def vocabulary(self) -> int:
        """Tokens in all; fewer than asked for where the texts had no more to merge."""
        return self.made.get_vocab_size()

    def encode(self, lines: Sequence[str], length: int) -> np.ndarray:
        """Tokens of texts.

        Args:
          lines: N texts.
          length: T, tokens of a text at most, its end token counted.
        Returns: int32 [N, T], each text, the end token, then pads; a longer text is cut and has no end token.
        """
        tokens = np.full((len(lines), length), PAD, np.int32)
        for row, ids in zip(tokens, self.ids(lines), strict=True):
            whole = [*ids, END][:length]
            row[: len(whole)] = whole
        return tokens

    def decode(self, tokens: np.ndarray) -> list[str]:
        """Texts of tokens [N, T], each up to its end token; pad and begin are nothing."""
        rows = np.asarray(tokens).tolist()
        ended = [row[: row.index(END)] if END in row else row for row in rows]
        return self.made.decode_batch([[one for one in row if one > END] for row in ended], skip_special_tokens=False)

    def ids(self, lines: Sequence[str]) -> list[list[int]]:
        """The tokens of each text, without end or pads."""
        return [found.ids for found in self.made.encode_batch(list(lines), add_special_tokens=False)]

    def words(self) -> list[str]:
        """What each token says, by id; a part of a character is shown as �."""
        said = self.made.decode_batch([[one] for one in range(len(SPECIAL), self.vocabulary)])
        return [*SPECIAL, *said]

    def to_json(self) -> str:
        """The encoding as text, for `from_json`."""
        return self.made.to_str()


def train(lines: Sequence[str], vocabulary: int) -> Tokenizer:
    """An encoding learned from lines; the same lines in the same order give the same encoding.

    Args:
      lines: texts.
      vocabulary: tokens in all, at least FEWEST.
    Raises: BadInput where the vocabulary is too small, the texts have fewer than two tokens on average, or the
      package tokenizers is missing.
    """
    if vocabulary < FEWEST:
        raise BadInput(f"vocabulary must be at least {FEWEST}, a token for each byte and mask: got {vocabulary}.")
    parts = package()
    made = parts.Tokenizer(parts.models.BPE())
    made.pre_tokenizer = parts.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = parts.decoders.ByteLevel()
    trainer = parts.trainers.BpeTrainer(
        vocab_size=vocabulary - len(MASKS),
        min_frequency=2,
        show_progress=False,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(parts.pre_tokenizers.ByteLevel.alphabet()),
    )
    between = re.compile("|".join(map(re.escape, MASKS)))
    made.train_from_iterator((piece for line in lines for piece in between.split(line)), trainer)
    made.add_tokens([parts.AddedToken(mask, normalized=False) for mask in MASKS])
    made.encode_special_tokens = True
    tokenizer = Tokenizer(made)
    average = np.mean([len(ids) for ids in tokenizer.ids(lines)]) if lines else 0.0
    if average < SHORTEST:
        raise BadInput(
            f"nothing can be learned: the texts have {average:.2g} tokens on average and need {SHORTEST:g} at least; "
            "give longer texts."
        )
    return tokenizer


def from_json(text: str) -> Tokenizer:
    """The encoding that `to_json` wrote. Raises: BadInput where the text is none."""
    try:
        made = package().Tokenizer.from_str(text)
    except BadInput:
        raise
    except Exception as error:  # tokenizers raises no narrower kind
        raise BadInput(f"the tokenizer is damaged ({' '.join(str(error).split())[:80]}): train it again.") from error
    made.encode_special_tokens = True
    return Tokenizer(made)


def complete(tokens: np.ndarray) -> np.ndarray:
    """bool [N], whether each of the texts [N, T] has its end token, so was not cut."""
    return (np.asarray(tokens) == END).any(1)


def package() -> Any:
    """The package tokenizers. Raises: BadInput where it is missing."""
    try:
        import tokenizers
    except ImportError:
        raise BadInput("tokens need the package tokenizers: pip install 'upperhand[tweets]'.") from None
    return tokenizers
