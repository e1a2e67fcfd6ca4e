"""Texts fit for print: coarse words keep their first letter."""

import re

ANYWHERE = ("fuck", "shit", "bitch", "asshole", "nigga", "nigger", "faggot")
FRONT = ("cunt", "whore", "slut", "bastard", "dickhead", "retard", "wank", "twat", "prick", "arse", "pussy", "pussies")
WHOLE = (
    "ass",
    "asses",
    "dumbass",
    "jackass",
    "badass",
    "dick",
    "dicks",
    "cock",
    "cocks",
    "fag",
    "fags",
    "tits",
    "piss",
)
LONGEST = 60


def drawn_out(stem: str) -> str:
    """The pattern of a stem whose letters may be repeated."""
    return re.sub(r"(.)\1*", lambda run: re.escape(run[1]) * (len(run[0]) - 1) + re.escape(run[1]) + "+", stem)


def pattern() -> re.Pattern[str]:
    """What is masked: whole words, in any case."""
    anywhere, front, whole = ("|".join(map(drawn_out, stems)) for stems in (ANYWHERE, FRONT, WHOLE))
    return re.compile(rf"\b(?:[a-z]*(?:{anywhere})[a-z]*|(?:{front})[a-z]*|(?:{whole})\b)", re.IGNORECASE)


COARSE = pattern()


def masked(text: str) -> str:
    """A text whose coarse words are their first letter and three stars."""
    return COARSE.sub(lambda found: f"{found[0][0]}***", text)


def shortened(text: str) -> str:
    """The start of a text, masked and in one line."""
    told = " ".join(masked(text).split())
    return told if len(told) <= LONGEST else f"{told[: LONGEST - 1]}…"
