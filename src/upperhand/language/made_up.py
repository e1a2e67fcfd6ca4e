"""A small grammar of short messages, happy, unhappy and neither, for first looks and tests; no text is copied."""

import numpy as np

from upperhand.errors import BadInput

TABLE = """
thing: coffee|soup|train|bus|phone|weather|game|garden|song|lunch|teacher|movie|bike|weekend|match|cake|update|concert
thing: queue|neighbour|dog|cat|hotel|flight|class|battery|pizza|keyboard|street|market
time: today|tonight|again|this morning|this week|all day|right now|since monday|after work|on sunday
who: my sister|my boss|the driver|our team|the new guy|everyone|my flatmate|the whole office|mum|the band
good: good|great|lovely|awesome|wonderful|amazing|perfect|nice|fun|brilliant|sweet|fantastic
bad: bad|awful|terrible|horrible|sad|annoying|boring|ugly|worst|disgusting|poor|stupid
plain: long|early|late|new|old|blue|short|small|open|quiet|round|local
loves: love|like|enjoy|am so happy with|am grateful for|admire
hates: hate|dislike|am so angry about|am tired of|regret|am sick of
sees: saw|bought|passed|looked at|waited for|walked past|read about|counted
joy: :)|:d|<3|yay!|thanks!|#happy|#blessed|#winning|haha!
grief: :(|:/|ugh|#fail|#angry|sigh|cry...|crying
shrug: #monday|#city|#notes|hm|so|...|#daily
handle: @user
link: <url>
"""
WORDS: dict[str, list[str]] = {}
for row in TABLE.strip().splitlines():
    WORDS.setdefault(row.partition(": ")[0], []).extend(row.partition(": ")[2].split("|"))
"""What may stand where a pattern has {word}."""
PATTERNS = {
    1: (
        "the {thing} was {good} {time} {joy}",
        "i {loves} the {thing} {time}",
        "{handle} thank you for the {good} {thing} {joy}",
        "{who} and i had such a {good} {thing} {time}",
        "what a {good} {thing}! {joy} {link}",
        "{handle} so glad that {who} found the {thing} {joy}",
        "best {thing} ever, {good} and {good} {joy}",
    ),
    -1: (
        "the {thing} was {bad} {time} {grief}",
        "i {hates} the {thing} {time}",
        "{handle} why is the {thing} so {bad}? {grief}",
        "{who} ruined the {thing} {time} {grief}",
        "what a {bad} {thing} {grief} {link}",
        "{handle} the {thing} is broken {time}, so {bad}",
        "not {good} at all, a {bad} {thing} {grief}",
    ),
    0: (
        "the {thing} is {plain} {time} {shrug}",
        "i {sees} the {thing} {time}",
        "{handle} when does the {thing} open? {shrug}",
        "{who} {sees} a {plain} {thing} {time}",
        "{plain} {thing} near the {thing} {link}",
        "{handle} {who} is at the {thing} {time} {shrug}",
    ),
}
"""Sentences by mood: 1 happy, −1 unhappy, 0 neither."""
MOODS = (0, 1, -1)
SHARES = (0.4, 0.3, 0.3)


def made_up(count: int, seed: int) -> list[tuple[str, int]]:
    """Different lines of the grammar, each with the mood −1, 0 or 1 that it was made in.

    Args:
      count: how many lines.
      seed: of the draws.
    Raises: BadInput where the grammar does not hold so many.
    """
    draw, found = np.random.default_rng(seed), {}
    for _ in range(20 * count):
        if len(found) >= count:
            break
        mood = MOODS[draw.choice(3, p=SHARES)]
        found.setdefault(sentence(draw, mood), mood)
    if len(found) < count:
        raise BadInput(f"the made-up language gave {len(found)} different lines: ask for no more, got {count}.")
    return list(found.items())


def sentence(draw: np.random.Generator, mood: int) -> str:
    """One line in a mood."""
    pattern = PATTERNS[mood][draw.integers(len(PATTERNS[mood]))]
    return " ".join(filled(draw, word) for word in pattern.split(" "))


def filled(draw: np.random.Generator, word: str) -> str:
    """A word of a pattern, drawn where it stands in braces."""
    name, mark, rest = word.removeprefix("{").partition("}")
    return WORDS[name][draw.integers(len(WORDS[name]))] + rest if mark else word
