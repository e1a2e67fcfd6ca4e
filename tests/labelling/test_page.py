"""The page: every refusal, two tabs, undo, leases and a full disk, through its own server."""

import errno
import http.client
import json
import os
import re
import threading

import pytest

from upperhand.cli.main import main
from upperhand.errors import BadInput
from upperhand.labelling.book import Book, Pair, meant, sides
from upperhand.labelling.desk import LEASE, Desk
from upperhand.labelling.page import LONGEST, Server, serving

PAIRS = [Pair("one <b>&", "two", "why <i>?"), Pair("three", "four"), Pair("five", "")]


@pytest.fixture
def book(tmp_path):
    book = Book(tmp_path / "labels")
    book.ask(PAIRS)
    return book


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def server(book, now):
    with serving(Desk(book, "ada", lambda: now[0])) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sent(server, method, path, body=None, **changed):
    """The status and the JSON, or the text, of a request as the page sends it, but for what is changed."""
    headers = {"Host": server.name, "X-Token": server.token}
    if body is not None:
        headers |= {"Origin": f"http://{server.name}", "Content-Type": "application/json"}
    headers = {name: value for name, value in (headers | changed).items() if value is not None}
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=20)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    if "Content-Length" not in changed and body is not None:
        headers["Content-Length"] = str(len(content))
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders(content)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    is_json = text and answer.headers.get_content_type() == "application/json"
    return answer.status, json.loads(text) if is_json else text, answer


def status(*args, **changed):
    return sent(*args, **changed)[0]


def next_of(server, tab):
    return sent(server, "GET", f"/next?tab={tab}")[1]


def label(server, tab, id, answer):
    return sent(server, "POST", "/label", {"tab": tab, "id": id, "answer": answer})[:2]


def test_a_pair_is_shown_labelled_taken_back_and_labelled_again(server, book):
    found = next_of(server, "a")
    left, right = sides(PAIRS[0])
    assert found == {
        "pair": {"id": PAIRS[0].id, "prompt": "why <i>?", "left": left, "right": right},
        "by": "ada",
        "open": 3,
        "labelled": 0,
        "undo": False,
    }
    code, found = label(server, "a", PAIRS[0].id, 1)
    book.look()
    assert code == 200 and book.said(PAIRS[0])[1:3] == (meant(PAIRS[0], 1), "ada")
    assert found["pair"]["id"] == PAIRS[1].id and found["undo"] and (found["open"], found["labelled"]) == (2, 1)
    assert label(server, "a", PAIRS[1].id, "skip")[0] == 200
    for pair in (PAIRS[1], PAIRS[0]):
        code, found, _ = sent(server, "POST", "/undo", {"tab": "a"})
        assert code == 200 and found["pair"]["id"] == pair.id
    book.look()
    assert book.open() == PAIRS and not found["undo"]
    assert sent(server, "POST", "/undo", {"tab": "a"})[:2] == (409, {"error": "nothing to undo."})
    assert label(server, "a", PAIRS[0].id, "tie")[0] == 200
    assert len((book.folder / "labels.jsonl").read_text().splitlines()) == 5


def test_tabs_get_different_pairs_and_one_label_each(server, book, now):
    ids = [next_of(server, tab)["pair"]["id"] for tab in "abc"]
    assert ids == [pair.id for pair in PAIRS]
    assert next_of(server, "a")["pair"]["id"] == ids[0]  # its own again
    found = next_of(server, "d")
    assert found["pair"] is None and found["open"] == 3
    assert label(server, "b", ids[1], 1)[0] == 200
    assert label(server, "a", ids[1], 2) == (409, {"error": "already labelled."})
    assert label(server, "b", ids[1], 1)[0] == 409  # a second press of the same key
    assert len((book.folder / "labels.jsonl").read_text().splitlines()) == 1
    now[0] = LEASE - 1
    assert next_of(server, "a")["pair"]["id"] == ids[0] and next_of(server, "d")["pair"] is None
    now[0] = LEASE + 1  # b and c have gone to sleep; a asked a second ago
    assert next_of(server, "d")["pair"]["id"] == ids[2]
    assert label(server, "c", ids[2], 1)[0] == 200  # c wakes up and answers first
    assert label(server, "d", ids[2], 1)[0] == 409 and next_of(server, "d")["pair"] is None
    assert status(server, "POST", "/leave", {"tab": "a"}) == 200
    assert next_of(server, "d")["pair"]["id"] == ids[0]
    book.look()
    book.label(PAIRS[0], "skip", "eve")  # in a terminal, meanwhile
    assert next_of(server, "d")["pair"] is None and label(server, "d", ids[0], 1)[0] == 409


def test_the_page_is_whole_and_shows_texts_as_texts(server):
    code, text, answer = sent(server, "GET", f"/?token={server.token}", **{"X-Token": None})
    assert code == 200 and server.address == f"http://127.0.0.1:{server.server_address[1]}/?token={server.token}"
    policy = answer.headers["Content-Security-Policy"]
    nonce = re.search(r"script-src 'nonce-([\w-]+)'", policy).group(1)
    assert text.count(f'nonce="{nonce}"') == 2 and "default-src 'none'" in policy and "NONCE" not in text
    assert not re.search(r"https?://|innerHTML|insertAdjacent|document\.write|eval\(", text)
    assert sent(server, "GET", f"/?token={server.token}")[2].headers["Content-Security-Policy"] != policy
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize(
    "method, path, body, changed, code",
    [
        ("GET", "/next?tab=a", None, {"Host": "evil.example"}, 403),
        ("GET", "/next?tab=a", None, {"Host": "evil.example:{port}"}, 403),
        ("GET", "/next?tab=a", None, {"Host": "127.0.0.1"}, 403),
        ("GET", "/next?tab=a", None, {"Host": "127.0.0.2:{port}"}, 403),
        ("GET", "/next?tab=a", None, {"Host": None}, 403),
        ("GET", "/next?tab=a", None, {"Host": "localhost:{port}"}, 200),
        ("GET", "/next?tab=a", None, {"X-Token": None}, 403),
        ("GET", "/next?tab=a", None, {"X-Token": "wrong"}, 403),
        ("GET", "/", None, {"X-Token": None}, 403),
        ("GET", "/?token=wrong", None, {"X-Token": None}, 403),
        ("GET", "/next", None, {}, 400),
        ("GET", f"/next?tab={'a' * 65}", None, {}, 400),
        ("GET", "/label", None, {}, 404),
        ("GET", "/../etc/passwd", None, {}, 404),
        ("GET", "/next?tab=%00%ff", None, {}, 200),
        ("HEAD", "/", None, {}, 405),
        ("PUT", "/label", {}, {}, 405),
        ("DELETE", "/label", {}, {}, 405),
        ("OPTIONS", "/label", {}, {}, 405),
        ("POST", "/next", {"tab": "a"}, {}, 404),
        ("POST", "/undo", {"tab": "a"}, {"Origin": "http://evil.example"}, 403),
        ("POST", "/undo", {"tab": "a"}, {"Origin": "null"}, 403),
        ("POST", "/undo", {"tab": "a"}, {"Origin": None}, 403),
        ("POST", "/undo", {"tab": "a"}, {"Content-Type": "text/plain"}, 415),
        ("POST", "/undo", {"tab": "a"}, {"X-Token": None}, 403),
        ("POST", "/undo", {"tab": "a", "more": "x" * LONGEST}, {}, 413),
        ("POST", "/undo", {"tab": "a"}, {"Content-Length": "-1"}, 411),
        ("POST", "/undo", {"tab": "a"}, {"Content-Length": "9" * 30}, 413),
        ("POST", "/undo", {"tab": "a"}, {"Content-Length": None}, 411),
        ("POST", "/undo", b"{no", {}, 400),
        ("POST", "/undo", b"[" * 5000, {}, 400),
        ("POST", "/undo", [1], {}, 400),
        ("POST", "/undo", {"tab": 7}, {}, 400),
        ("POST", "/label", {"tab": "a", "id": "feed", "answer": 1}, {}, 404),
        ("POST", "/label", {"tab": "a", "id": ["x"], "answer": 1}, {}, 404),
        ("POST", "/label", {"tab": "a", "id": PAIRS[0].id, "answer": 3}, {}, 400),
        ("POST", "/label", {"tab": "a", "id": PAIRS[0].id, "answer": None}, {}, 400),
        ("POST", "/label", {"tab": "a", "id": PAIRS[0].id, "answer": True}, {}, 400),
    ],
)
def test_what_is_refused(server, book, method, path, body, changed, code):
    port = server.server_address[1]
    changed = {name: value and value.format(port=port) for name, value in changed.items()}
    found, told, _ = sent(server, method, path, body, **changed)
    assert found == code
    assert code == 200 or method == "HEAD" or ("\n" not in told["error"] and told["error"].endswith("."))
    assert not (book.folder / "labels.jsonl").exists() or not (book.folder / "labels.jsonl").read_bytes()
    assert next_of(server, "z")["pair"]  # it still serves


def test_a_full_disk_is_told_and_the_label_can_be_sent_again(server, book, monkeypatch):
    found = next_of(server, "a")

    def full(place, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        code, told = label(server, "a", found["pair"]["id"], 1)
    assert code == 507 and "the disk is full" in told["error"] and "\n" not in told["error"]
    assert next_of(server, "a")["pair"] == found["pair"]
    assert label(server, "a", found["pair"]["id"], 1)[0] == 200
    assert len((book.folder / "labels.jsonl").read_text().splitlines()) == 1


def test_a_damaged_folder_is_told(server, book):
    with open(book.folder / "asked.jsonl", "a") as file:
        file.write("{broken\n")
    code, told, _ = sent(server, "GET", "/next?tab=a")
    assert code == 500 and "asked.jsonl is damaged: line 4" in told["error"]


def test_the_command_prints_the_address_and_counts_until_control_c(book, monkeypatch, capsys):
    def served(self, poll_interval):
        self.desk.label("a", PAIRS[0].id, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(Server, "serve_forever", served)
    assert main(["label", str(book.folder), "--page", "--by", "eve"]) == 0
    told = capsys.readouterr().out
    assert re.match(
        r"label at http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\nCtrl-C ends it\.\n1 label given; kept in ", told
    )
    book.look()
    assert book.said(PAIRS[0]).by == "eve"


def test_where_it_listens(book):
    with serving(Desk(book, "ada"), host="::1") as server:
        assert server.name.startswith("[::1]:") and server.is_own(server.name)
    with serving(Desk(book, "ada"), host="0.0.0.0", beyond=True) as server:
        port = server.server_address[1]
        assert server.is_own(f"192.0.2.7:{port}") and not server.is_own(f"evil.example:{port}")
        with pytest.raises(BadInput, match="choose another --port"):
            serving(Desk(book, "ada"), host="0.0.0.0", beyond=True, port=port)
    for host in ("0.0.0.0", "192.0.2.7", "::"):
        with pytest.raises(BadInput, match="--allow-host"):
            serving(Desk(book, "ada"), host=host)
