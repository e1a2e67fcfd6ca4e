"""Raw tweets to lines: lower-cased, masked, ASCII, each but once."""

import re
from collections.abc import Iterable
from html import unescape

MASKS = {  # in this order
    "<url>": r"https?:\S*|www\.\S+|\b(?:[\w-]+\.)+[a-z]{2,}/\S*",
    "<email>": r"\S+@\S+\.\w+",
    "@user": r"@\w+",
    "<phone>": r"[+(]?\d[\d() .-]{7,}\d",
}
"""What stands for links, addresses, handles and telephone numbers, and what each is found by."""
SHORTEST = 10
"""Characters that a tweet must have."""


def clean(text: str) -> str:
    """One tweet as a line: entities unescaped (twice), lower case, masks, single blanks, no leading "rt @user:"."""
    text = unescape(unescape(text)).lower()
    for mask, pattern in MASKS.items():
        text = re.sub(pattern, mask, text)
    return re.sub(r"^(?:rt @user ?:? ?)+", "", single_blanks(text))


def single_blanks(text: str) -> str:
    """The words of a text, one blank between them."""
    return " ".join(text.split())


def letters(line: str) -> str:
    """The letters of a cleaned line without its masks: what near-duplicates have in common."""
    return re.sub(r"[^a-z]", "", re.sub("|".join(MASKS), "", line))


def cleaned(texts: Iterable[str]) -> list[tuple[int, str]]:
    """The texts that stay, cleaned: ASCII, at least SHORTEST characters, the first of those with the same letters.

    Args:
      texts: raw tweets.
    Returns: (place among the texts, line), in the order given.
    """
    kept, known = [], {""}
    for place, text in enumerate(texts):
        line = clean(text)
        if line.isascii() and len(line) >= SHORTEST and (found := letters(line)) not in known:
            known.add(found)
            kept.append((place, line))
    return kept
