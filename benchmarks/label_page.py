"""The page on which people label, in a real browser: from a key to the next pair, as a share of a tenth of a second.

Chromium, without a window, opens the page that `upperhand label --page` serves and presses 1, 2, t, s and u; then the
labels folder is read back: every key is one label, in the order of the keys. A tenth of a second is at once to people.
Then two tabs label at once, one is closed before it answers, the disk is full for a while, and the page is opened from
another origin: no label is lost or doubled.

    python benchmarks/label_page.py [LIGHT.png [DARK.png]]     saves screenshots of the page as well
"""

import contextlib
import errno
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from unittest import mock

from browser import Browser, found

from upperhand.labelling.book import Book, Pair, meant
from upperhand.labelling.desk import Desk
from upperhand.labelling.page import serving

PATIENCE = 0.1
PROMPT = "Tell me in a sentence how your day went."
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


def disturbed(browser: Browser, server, book: Book) -> int:
    """Two tabs, a closed one, a full disk; raises SystemExit where a label is lost or doubled. Returns: labels."""
    state = "JSON.stringify([pair.id, document.getElementById('error').hidden])"
    before = len((book.folder / "labels.jsonl").read_text().splitlines())
    tabs = [browser.open(server.address) for _ in range(2)]
    shown = []
    for tab in tabs:
        browser.choose(tab)
        browser.until("typeof pair !== 'undefined' && pair !== null")
        shown.append(browser.value("pair.id"))
    if len(set(shown)) != 2:
        raise SystemExit("two tabs show one pair")
    for i in range(12):
        browser.choose(tabs[i % 2])
        old = browser.value("pair.id")
        browser.press("1")
        browser.until(f"pair && pair.id !== '{old}' && !isBusy")
    browser.press("u")
    browser.until(f"pair && pair.id === '{old}' && !isBusy")
    browser.choose(tabs[0])
    left = browser.value("pair.id")
    browser.close(tabs[0])  # in the middle: its pair is free for others
    browser.choose(tabs[1])
    write = os.write

    def full(place, data):
        if b'"answer"' in bytes(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(place, data)

    with mock.patch.object(os, "write", full):
        browser.press("2")
        browser.until("!document.getElementById('error').hidden && !isBusy")
        if "disk is full" not in browser.value("document.getElementById('error').textContent"):
            raise SystemExit(f"the page does not tell that the disk is full: {browser.value(state)}")
    if browser.value("pair.id") != old:
        raise SystemExit("the page went on without its label")
    seen = set()
    for _ in range(2):
        seen.add(old := browser.value("pair.id"))
        browser.press("2")
        browser.until(f"pair && pair.id !== '{old}' && !isBusy")
    if left not in seen | {browser.value("pair.id")}:
        raise SystemExit("the pair of the closed tab is lost")
    book.look()
    lines = (book.folder / "labels.jsonl").read_text().splitlines()
    if len(lines) - before != 12 + 1 + 2:  # twelve keys, one taken back, two more
        raise SystemExit(f"{len(lines) - before} lines were written for 15 keys")
    browser.open("data:text/html,<title>elsewhere</title>")
    told = (
        "told = ''; fetch('" + server.address.replace("/?", "/next?tab=x&") + "').then(r => r.text(), e => 'refused')"
    )
    browser.value(told + ".then(t => told = t); 0")
    browser.until("told !== ''")
    if browser.value("told") != "refused":
        raise SystemExit("another origin reads the pairs")
    return 12 - 1 + 2


def main():
    binary = found()
    if binary is None:
        print("no Chromium is here: nothing was measured")
        return
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        book = Book(Path(folder) / "labels")
        book.ask([Pair(first, second, PROMPT) for i, first in enumerate(TEXTS) for second in TEXTS[i + 1 :]])
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
        kept = disturbed(browser, server, book)
        print(f"{kept} labels from two tabs, one closed, and a full disk: none lost or doubled")
        print(f"key to next pair: {1000 * slow:.0f} ms, {slow / PATIENCE:.2f} of a tenth of a second")


if __name__ == "__main__":
    main()
