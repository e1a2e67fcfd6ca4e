"""Labelling in a browser: one page and four small requests, for this machine alone unless told otherwise.

    GET /        the page               GET /next     a pair for a tab
    POST /label  an answer              POST /undo    the tab's last answer back        POST /leave  the tab was closed

Every request needs the token of the address that is printed. The Host header must be the address itself, against names
that are bound anew; a POST must come from the page itself, be JSON, and be short.
"""

import hmac
import ipaddress
import json
import secrets
import socket
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from upperhand.errors import BadInput
from upperhand.labelling.desk import Desk, Refused
from upperhand.labelling.journal import NotWritten

LONGEST = 10_000
"""Bytes of a request's body."""
PAGE = Path(__file__).with_name("page.html")
POLICY = (
    "default-src 'none'; style-src 'nonce-{0}'; script-src 'nonce-{0}'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Server(ThreadingHTTPServer):
    """The page of a desk. Made by `serving`."""

    daemon_threads = True
    desk: Desk
    token: str

    @property
    def address(self) -> str:
        """What a person opens."""
        return f"http://{self.name}/?token={self.token}"

    @property
    def name(self) -> str:
        """Host and port, as a browser writes them."""
        host, port = self.server_address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def is_own(self, host: str) -> bool:
        """Whether a Host header means this server: its address, localhost, or any number where it listens to all."""
        name, _, port = host.rpartition(":")
        if port != str(self.server_address[1]):
            return False
        own = ipaddress.ip_address(self.server_address[0])
        if name == "localhost":
            return own.is_loopback
        try:
            asked = ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
        except ValueError:
            return False
        return asked == own or own.is_unspecified


def serving(desk: Desk, *, host: str = "127.0.0.1", port: int = 0, beyond: bool = False) -> Server:
    """A server of the page, listening; `serve_forever` serves it.

    Args:
      desk: that hands out pairs.
      host: address to listen at, a number or localhost.
      port: of it; 0 for a free one.
      beyond: whether an address that other machines reach is meant.
    Returns: Server, with the address to open. Raises: BadInput where it cannot listen there, or should not.
    """
    try:
        number = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise BadInput(f"--host must be an address in numbers, or localhost: got {host!r}.") from None
    if not number.is_loopback and not beyond:
        raise BadInput(f"--host {host} can be reached from other machines: add --allow-host if that is meant.")
    if isinstance(port, bool) or not 0 <= port < 65536:
        raise BadInput(f"--port must be between 0 and 65535, 0 for a free one: got {port}.")
    kind = type("Server", (Server,), {"address_family": socket.AF_INET6 if number.version == 6 else socket.AF_INET})
    try:
        server = kind((str(number), port), Request)
    except (OSError, OverflowError) as error:
        raise BadInput(f"cannot listen at {host}, port {port} ({error.strerror}): choose another --port.") from None
    server.desk, server.token = desk, secrets.token_urlsafe(24)
    return server


class Request(BaseHTTPRequestHandler):
    """One request; every refusal is a line of JSON."""

    timeout = 10
    server_version, sys_version = "upperhand", ""
    server: Server

    def do_GET(self) -> None:
        """The page, or a pair."""
        self._met({"/": self._page, "/next": lambda: self._told(200, self.server.desk.next(self._tab(self._query)))})

    def do_POST(self) -> None:
        """An answer, an undo, or a farewell."""
        desk = self.server.desk
        self._met(
            {
                "/label": lambda: self._said(lambda tab, body: desk.label(tab, body.get("id"), body.get("answer"))),
                "/undo": lambda: self._said(lambda tab, body: desk.undo(tab)),
                "/leave": lambda: self._said(lambda tab, body: desk.leave(tab)),
            }
        )

    def _met(self, answers: dict[str, Callable[[], None]]) -> None:
        self._query = {}
        try:
            parts = urlsplit(self.path)
            self._query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            self._admit()
            if parts.path not in answers:
                raise Refused(404, "there is no such page.")
            answers[parts.path]()
        except Refused as refused:
            self._told(refused.status, {"error": str(refused)})
        except NotWritten as error:
            self._told(507, {"error": str(error)})
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except (BadInput, OSError) as error:
            self._told(500, {"error": " ".join(str(error).split())})
        except ValueError:
            self._told(400, {"error": "the address cannot be read."})

    def _admit(self) -> None:
        host = self.headers.get("Host", "")
        if not self.server.is_own(host):
            raise Refused(403, "another host was asked for: open the address that upperhand printed.")
        token = self.headers.get("X-Token") or self._query.get("token", "")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(403, "the token is missing or wrong: open the address that upperhand printed.")
        if self.command == "POST" and self.headers.get("Origin") != f"http://{host}":
            raise Refused(403, "only the page itself may send labels.")

    def _said(self, act: Callable[[str, dict[str, Any]], dict[str, Any]]) -> None:
        if self.headers.get_content_type() != "application/json":
            raise Refused(415, "a request must be JSON.")
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            raise Refused(411, "a request must tell its length.")
        if len(length) > 9 or int(length) > LONGEST:
            raise Refused(413, f"a request has at most {LONGEST} bytes.")
        try:
            body = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise Refused(400, "a request must be a JSON object.")
        self._told(200, act(self._tab(body), body))

    def _tab(self, given: dict[str, Any]) -> str:
        tab = given.get("tab")
        if not isinstance(tab, str) or not 0 < len(tab) <= 64:
            raise Refused(400, "tab must be a word of at most 64 letters.")
        return tab

    def _page(self) -> None:
        nonce = secrets.token_urlsafe(16)
        self._sent(200, "text/html", PAGE.read_text(encoding="utf-8").replace("NONCE", nonce).encode(), nonce)

    def _told(self, status: int, found: dict[str, Any]) -> None:
        self._sent(status, "application/json", json.dumps(found).encode())

    def _sent(self, status: int, kind: str, content: bytes, nonce: str = "none") -> None:
        self.send_response(status)
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(content)),
            "Content-Security-Policy": POLICY.format(nonce),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Connection": "close",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, as a line of JSON too: an unknown method is told as not allowed."""
        self.close_connection = True
        self._told(405 if code == 501 else code, {"error": "that cannot be asked here."})

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for people."""
