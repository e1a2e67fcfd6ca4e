"""Prompts as tokens, and answers as texts: the tokenizer of a checkpoint, and a file of prompts."""

import json
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from upperhand.errors import BadInput
from upperhand.pretrained.chat import SWITCHES, Conversation, conversation, rendering
from upperhand.pretrained.folder import TOKENIZER, Folder, read_json

MARKS = ("bos_token", "eos_token", "pad_token", "unk_token")
"""Special tokens that a chat template may write."""
WANTED = '{"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}]}'


class Words(NamedTuple):
    """How texts of a checkpoint are read and written."""

    tokenizer: Any  # tokenizers.Tokenizer
    pad: int  # stands after the end and is never written
    ends: tuple[int, ...]  # a text stops after the first of any of them
    begin: int | None  # what a prompt is read from, where the tokenizer does not put it there itself
    render: Callable[[Conversation], str]  # the chat template

    def decode(self, tokens: Int[np.ndarray, "B T"]) -> list[str]:
        """Texts up to their end tokens, without special tokens."""
        ends = set(self.ends)
        rows = [list(takewhile(lambda token: token not in ends, map(int, row))) for row in np.asarray(tokens)]
        return self.tokenizer.decode_batch([[token for token in row if token != self.pad] for row in rows])


class Prompts(NamedTuple):
    """N prompts, pads on the left."""

    tokens: Int[np.ndarray, "N P"]
    alive: Bool[np.ndarray, "N P"]  # where a token stands
    told: list[str]  # what people read of each


def words(folder: Folder) -> Words:
    """The tokenizer of a checkpoint and its special tokens.

    The end tokens are eos_token of tokenizer_config.json and every eos_token_id of config.json and of
    generation_config.json. What stands after them is pad_token_id of config.json, or else another special token that is
    no end; no policy ever writes it.

    Raises: BadInput where a file is damaged, where there is no end token, or nothing to stand after it.
    """
    try:
        from tokenizers import Tokenizer
    except ModuleNotFoundError as error:
        raise BadInput(f"a checkpoint needs {error.name}: pip install 'upperhand[llm]'.") from None
    path = folder.path / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises Exception itself
        raise BadInput(f"{path} is damaged ({' '.join(str(error).split())[:80]}): fetch it again.") from None
    tokenizer.no_padding(), tokenizer.no_truncation()
    told = optional(folder.path / "tokenizer_config.json")
    first = lambda key: (named[:1] or [None])[0] if isinstance(named := folder.config.get(key), list) else named  # noqa: E731
    ends = ends_of(folder, token_of(tokenizer, told.get("eos_token")))
    begin = first("bos_token_id")
    special = [token for token, one in sorted(tokenizer.get_added_tokens_decoder().items()) if one.special]
    pads = [first("pad_token_id"), token_of(tokenizer, told.get("pad_token")), begin, *special]
    pad = next((one for one in pads if one is not None and one not in ends), None)
    if pad is None:
        raise BadInput(f"{folder.path} has no token to stand after the end: put pad_token_id into config.json.")
    for name, one in [*(("end", end) for end in ends), ("pad", pad)]:
        if not 0 <= one < folder.sizes.vocabulary:
            raise BadInput(f"the {name} token {one} of {folder.path} is none of its {folder.sizes.vocabulary} tokens.")
    by_id = lambda token: tokenizer.id_to_token(token) if isinstance(token, int) and token >= 0 else None  # noqa: E731
    marks = {name: content(told[name]) if name in told else by_id(first(f"{name}_id")) for name in MARKS}
    return Words(tokenizer, pad, ends, begin, rendering(folder.path, told, marks))


def ends_of(folder: Folder, named: int | None) -> tuple[int, ...]:
    """The end tokens of a checkpoint, each once: the one that its tokenizer names, and those of both its configs.

    Raises: BadInput where there is none, or one is no whole number.
    """
    found = [] if named is None else [named]
    for config in (folder.config, optional(folder.path / "generation_config.json")):
        told = config.get("eos_token_id")
        found += told if isinstance(told, list) else [] if told is None else [told]
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int):
            raise BadInput(f"{folder.path}: eos_token_id must be a whole number or a list of them: got {one!r}.")
    if not found:
        raise BadInput(f"{folder.path} names no end token: put eos_token_id into config.json.")
    return tuple(dict.fromkeys(found))


def optional(path: Path) -> dict[str, Any]:
    """A JSON object, empty where there is no file. Raises: BadInput where it is damaged."""
    return read_json(path) if path.is_file() else {}


def content(told: Any) -> str | None:
    """The text of a token that tokenizer_config.json tells, as a text or as an object; None where there is none."""
    told = told.get("content") if isinstance(told, dict) else told
    return told if isinstance(told, str) else None


def token_of(tokenizer: Any, told: Any) -> int | None:
    """The id of a token that tokenizer_config.json tells; None where there is none."""
    return None if content(told) is None else tokenizer.token_to_id(content(told))


def read(path: str | Path | None) -> list[str | Conversation]:
    """The prompts of a JSONL file; without a file the empty prompt alone.

    A line is {"prompt": "…"}, or {"messages": [{"role": "user", "content": "…"}, …]} to be written by the chat template
    of a checkpoint, with what "chat_template_kwargs" tells it. Other keys are ignored, and empty lines.

    Raises: BadInput, with the line, where the file is missing or a line is no prompt.
    """
    if path is None:
        return [""]
    path = Path(path).expanduser()
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # other line ends may stand in a text
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} cannot be read: give a file with lines {WANTED}.") from None
    found = [asked(line, f"{path}, line {number}") for number, line in enumerate(lines, 1) if line.strip()]
    if not found:
        raise BadInput(f"{path} holds no prompt: give lines {WANTED}.")
    return found


def asked(line: str, place: str) -> str | Conversation:
    """The prompt of a line. Raises: BadInput where it is none."""
    try:
        told = json.loads(line)
        json.dumps(told, ensure_ascii=False).encode()  # halves of letters have no tokens
    except (ValueError, RecursionError):
        told = None
    kinds = [key for key in ("prompt", "messages") if key in told] if isinstance(told, dict) else []
    if len(kinds) > 1:
        raise BadInput(f"{place}: a prompt and messages: keep the one that shall be answered.")
    if kinds == ["messages"]:
        return conversation(told["messages"], place, told.get(SWITCHES))
    if not kinds or not isinstance(told["prompt"], str):
        raise BadInput(f"{place}: wanted {WANTED}, got {line.strip()[:60]!r}.")
    return told["prompt"]


def encoded(prompts: Sequence[str | Conversation], words: Words, vocabulary: int) -> Prompts:
    """Prompts as tokens, the shorter ones padded on the left.

    Of a text the begin token stands first, whether the tokenizer puts it there or not; a text without any token is the
    begin token, or an end token where a family has none. A conversation has the special tokens that its template writes
    and no others.

    Raises: BadInput where the tokenizer has tokens that the network has not, or a conversation cannot be written.
    """
    encode, chats = words.tokenizer.encode_batch, [one for one in prompts if isinstance(one, Conversation)]
    plain = iter(encode([one for one in prompts if isinstance(one, str)]))
    written = iter(encode([words.render(one) for one in chats], add_special_tokens=False))
    rows = [
        list(next(written).ids) if isinstance(one, Conversation) else begun(next(plain).ids, words.begin)
        for one in prompts
    ]
    rows = [row or [words.ends[0]] for row in rows]
    most = max(map(max, rows))
    if most >= vocabulary:
        raise BadInput(f"the tokenizer writes token {most}, and the network knows {vocabulary}: they do not belong.")
    P = max(map(len, rows))
    tokens = np.array([[words.pad] * (P - len(row)) + row for row in rows], np.int32)
    told = [one.told if isinstance(one, Conversation) else one for one in prompts]
    return Prompts(tokens, np.arange(P)[None] >= P - np.array([[len(row)] for row in rows]), told)


def begun(row: Sequence[int], begin: int | None) -> list[int]:
    """A prompt's tokens with the begin token first, where a family has one."""
    return list(row) if begin is None or list(row[:1]) == [begin] else [begin, *row]
