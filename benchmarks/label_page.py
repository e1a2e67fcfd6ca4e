"""The page on which people label, in a real browser: from a key to the next pair, as a share of a tenth of a second.

Chromium, without a window, opens the page that `upperhand label --page` serves and presses 1, 2, t, s and u; then the
labels folder is read back: every key is one label, in the order of the keys. A tenth of a second is at once to people.

    python benchmarks/label_page.py [LIGHT.png [DARK.png]]     saves screenshots of the page as well
"""

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from base64 import b64decode
from pathlib import Path

from upperhand.labelling.book import Book, Pair, meant
from upperhand.labelling.desk import Desk
from upperhand.labelling.page import serving

PATIENCE = 0.1
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--window-size=1280,740")
TEXTS = (
    "so happy the sun is out and my coffee is perfect today, nothing can go wrong",
    "my train is late again and it rains, what a monday",
    "just finished the best book of the year, you all need to read it!",
    "why does my cat wake me at five every single morning",
    "thank you all for the lovely birthday wishes, i feel so loved",
    "lunch with mum, then a long walk along the river",
    "<b>nobody</b> answers my mails & that is [bold]fine[/bold]",
    "",
)


class Browser:
    """Chromium, spoken to through two pipes."""

    def __init__(self, binary: str, folder: str):
        (theirs_in, self._out), (self._in, theirs_out) = os.pipe(), os.pipe()
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'  # Chromium reads from 3 and writes to 4
        self.process = subprocess.Popen(
            ["sh", "-c", command, "sh", binary, *FLAGS, f"--user-data-dir={folder}"],
            pass_fds=(theirs_in, theirs_out),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest, self.session = 0, b"", None

    def ask(self, method: str, **given):
        """What a method of the DevTools protocol answers."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": given}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                found = os.read(self._in, 1 << 16)
                if not found:
                    raise SystemExit("the browser ended before it answered")
                self._rest += found
            told, _, self._rest = self._rest.partition(b"\0")
            told = json.loads(told)
            if told.get("id") == self._count:
                return told["result"]

    def open(self, address: str):
        """A tab of an address, in which all that follows happens."""
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.navigate", url=address)

    def value(self, expression: str):
        """The value of a JavaScript expression."""
        return self.ask("Runtime.evaluate", expression=expression)["result"].get("value")

    def until(self, expression: str, seconds: float = 20):
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.value(expression):
            if time.monotonic() > end:
                raise SystemExit(f"the page never came to: {expression}")

    def press(self, key: str):
        """A key, down and up."""
        for kind in ("keyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, text=key if kind == "keyDown" else "")

    def picture(self, path: Path, scheme: str):
        """A screenshot, light or dark."""
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        time.sleep(0.6)  # the bar of progress grows
        path.write_bytes(b64decode(self.ask("Page.captureScreenshot", format="png")["data"]))


def labelled(browser: Browser, address: str, book: Book, keys: str) -> list[float]:
    """Press keys on the page; seconds from each key until its effect is drawn."""
    shown = "[...document.querySelectorAll('.card .text')].map(e => e.textContent).join('|')"
    browser.until("typeof pair !== 'undefined' && pair !== null")
    seconds = []
    for key in keys:
        before = browser.value("pair.id")
        began = time.perf_counter()
        browser.press(key)
        browser.until(f"pair && pair.id !== '{before}' && !isBusy")
        seconds.append(time.perf_counter() - began)
        left, right = browser.value(shown).split("|")
        pair = book.pairs[browser.value("pair.id")]
        if {left, right} != {pair.first or "(empty)", pair.second or "(empty)"}:
            raise SystemExit(f"the page shows {left!r} and {right!r} of {pair}")
    return seconds


def main():
    binary = next(filter(None, map(shutil.which, NAMES)), None)
    if binary is None:
        print(f"none of {', '.join(NAMES)} is here: nothing was measured")
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        book = Book(Path(folder) / "labels")
        book.ask([Pair(first, second) for i, first in enumerate(TEXTS) for second in TEXTS[i + 1 :]])
        server = stack.enter_context(serving(Desk(book, "ada")))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        browser = Browser(binary, folder)
        stack.callback(browser.process.wait)
        stack.callback(browser.process.terminate)
        browser.open(server.address)
        pairs = list(book.pairs.values())
        seconds = labelled(browser, server.address, book, "12ts1212u2")
        answers = [1, 2, "tie", "skip", 1, 2, 1, 2]
        wanted = [meant(pair, answer) for pair, answer in zip(pairs, answers, strict=False)]
        book.look()
        said = [book.said(pair) for pair in pairs]
        if [label and label.answer for label in said[:8]] != wanted or any(said[8:]):
            raise SystemExit(f"the labels are not the keys: {said} for {wanted}")
        for place, scheme in zip(sys.argv[1:], ("light", "dark"), strict=False):
            browser.picture(Path(place), scheme)
        slow = statistics.median(seconds)
        print(f"key to next pair: {1000 * slow:.0f} ms, {slow / PATIENCE:.2f} of a tenth of a second")


if __name__ == "__main__":
    main()
