"""Conversations as prompts: messages, written by the chat template of a checkpoint as its model knows them.

A template is a program in Jinja's language that came with the checkpoint. It runs in Jinja's sandbox, where it reaches
no file, no module and no inside of an object; there is no limit of its time.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from upperhand.errors import BadInput

TEMPLATE = "chat_template.jinja"
SWITCHES = "chat_template_kwargs"
DAY = datetime(2024, 7, 26)
"""What templates that ask for the date are told, so that a run that is resumed later reads the same prompts."""


class Conversation(NamedTuple):
    """Messages that are answered next."""

    messages: tuple[dict[str, Any], ...]  # each with the texts "role" and "content"; the template gets the rest too
    place: str = "a conversation"  # where it was read, which complaints begin with
    switches: Mapping[str, Any] = MappingProxyType({})  # what its template is told besides, {"enable_thinking": False}

    @property
    def told(self) -> str:
        """What people read: the content of a single message of the user, or "role: content" a line."""
        if [message["role"] for message in self.messages] == ["user"]:
            return self.messages[0]["content"]
        return "\n".join(f"{message['role']}: {message['content']}" for message in self.messages)


def conversation(messages: Any, place: str = "a conversation", switches: Any = None) -> Conversation:
    """Messages as JSON gives them, and what their template is told besides.

    Raises: BadInput where messages are not objects with the texts role and content, or the switches no object.
    """
    if not isinstance(switches, dict | None):
        raise BadInput(f'{place}: {SWITCHES} must be an object like {{"enable_thinking": false}}.')
    if not isinstance(messages, list) or not messages:
        raise BadInput(f'{place}: messages must be a list like [{{"role": "user", "content": "…"}}].')
    for number, message in enumerate(messages, 1):
        for key in ("role", "content"):
            if not isinstance(message, dict) or not isinstance(message.get(key), str):
                raise BadInput(f"{place}: message {number} needs the text {key!r}: got {str(message)[:60]!r}.")
    return Conversation(tuple(messages), place, switches or {})


def rendering(folder: Path, told: Mapping[str, Any], marks: Mapping[str, str | None]) -> Callable[[Conversation], str]:
    """The chat template of a checkpoint as a function.

    The template is the file chat_template.jinja, else chat_template of tokenizer_config.json: a text, or of a list of
    {"name", "template"} the one named default. It is read and compiled at the first conversation.

    Args:
      folder: of the checkpoint.
      told: its tokenizer_config.json.
      marks: bos_token and others, texts that the template may write.
    Returns: conversation → its text up to where the answer begins (add_generation_prompt), special tokens in it. It
      raises BadInput, in one line, where there is no template, or it fails or refuses the messages.
    """
    compiled = cache(lambda: environment().from_string(source(folder, told)))
    known = {name: mark for name, mark in marks.items() if mark is not None}
    known |= {"tools": None, "documents": None, "add_generation_prompt": True}

    def render(asked: Conversation) -> str:
        try:
            return compiled().render(known | dict(asked.switches) | {"messages": list(asked.messages)})
        except BadInput as error:
            raise BadInput(f"{asked.place}: {error}") from None
        except Exception as error:  # a template can raise anything
            why = " ".join(f"{error}".split())[:200] or type(error).__name__
            line = f", its line {error.lineno}" if hasattr(error, "lineno") else ""
            raise BadInput(f"{asked.place}: the chat template of {folder} fails{line}: {why}") from None

    return render


def source(folder: Path, told: Mapping[str, Any]) -> str:
    """The text of a checkpoint's chat template. Raises: BadInput where there is none, or none by default."""
    path, found = folder / TEMPLATE, told.get("chat_template")
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise BadInput(f"{path} is damaged: fetch it again.") from None
    if isinstance(found, list):
        named = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}
        found = named.get("default")
    if not isinstance(found, str):
        raise BadInput(
            f"{folder} has no chat template, neither {TEMPLATE} nor a default chat_template in tokenizer_config.json: "
            f'fetch one, or give whole texts as {{"prompt": "…"}}.'
        )
    return found


def environment() -> Any:
    """Jinja's sandbox with what templates expect of it: loops that break, errors, dates and plain JSON."""
    from jinja2 import TemplateError
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %} … {% endgeneration %} marks what an assistant said: here, nothing but its inside."""

        tags = {"generation"}

        def parse(self, parser):
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols", Generation]
    )
    made.filters["tojson"] = tojson
    made.globals |= {"raise_exception": refuse, "strftime_now": DAY.strftime}
    return made
