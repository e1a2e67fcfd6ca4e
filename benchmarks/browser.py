"""Chromium without a window, spoken to through two pipes in its DevTools protocol: tabs, keys and screenshots."""

import json
import os
import shutil
import subprocess
import time
from base64 import b64decode
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--window-size=1280,740")


def found() -> str | None:
    """Where a browser is, None where there is none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """Chromium; what is asked happens in the tab that was opened or chosen last."""

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

    def open(self, address: str) -> tuple[str, str]:
        """A new tab of an address."""
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Page.navigate", url=address)
        return target, self.session

    def choose(self, tab: tuple[str, str]):
        """Go on in a tab."""
        self.session = tab[1]
        self.ask("Page.bringToFront")

    def close(self, tab: tuple[str, str]):
        """Close a tab as a person does."""
        self.session = None
        self.ask("Target.closeTarget", targetId=tab[0])

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
