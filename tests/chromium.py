"""A headless Chromium, driven over the DevTools protocol through a pair of pipes."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 60  # to wait for any answer


def find() -> str | None:
    """Return the browser that FEATX_CHROMIUM names, or one on PATH."""
    return os.environ.get("FEATX_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Chromium:
    """A browser with one tab; `messages` and `requests` are those of the page that is open."""

    def __init__(self, program: str):
        self._home = tempfile.TemporaryDirectory(prefix="featx-chromium-")
        ours, self._out = os.pipe()
        self._in, theirs = os.pipe()
        high = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (ours, theirs)]
        os.close(ours)
        os.close(theirs)
        options = (
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--no-first-run", "--disable-extensions", "--disable-background-networking"),
            *(f"--user-data-dir={self._home.name}", "--remote-debugging-pipe", "about:blank"),
        )
        self._process = subprocess.Popen(
            [program, *options],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(3, 4),  # where Chromium reads and writes
            preexec_fn=lambda: [os.dup2(each, fd) for fd, each in zip((3, 4), high, strict=True)],
        )
        for each in high:
            os.close(each)
        self._buffer = b""
        self._number = 0
        self._session: str | None = None
        self.messages: list[str] = []
        self.requests: list[str] = []
        self._loaded = False
        target = next(
            each["targetId"]
            for each in self.call("Target.getTargets")["targetInfos"]
            if each["type"] == "page"
        )
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(self, path: Path, *, width: int = 1200, dark: bool = False) -> None:
        """Open a file in a window of a width, and wait until it is loaded."""
        scheme = "dark" if dark else "light"
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        self.messages, self.requests, self._loaded = [], [], False
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        while not self._loaded:
            self._heed(self._read())

    def run(self, code: str):
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def photograph(self, path: Path, *, whole: bool = True) -> None:
        """Write a picture of the page."""
        made = self.call("Page.captureScreenshot", captureBeyondViewport=whole)
        if whole:
            size = self.call("Page.getLayoutMetrics")["cssContentSize"]
            made = self.call(
                "Page.captureScreenshot", captureBeyondViewport=True, clip={**size, "scale": 1}
            )
        Path(path).write_bytes(base64.b64decode(made["data"]))

    def print(self, path: Path) -> None:
        """Write the page as a PDF."""
        made = self.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)
        Path(path).write_bytes(base64.b64decode(made["data"]))

    def call(self, method: str, **parameters):
        """Send a command and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]
            self._heed(answer)

    def close(self) -> None:
        """End the browser."""
        self._process.terminate()
        self._process.wait(SECONDS)
        os.close(self._in)
        os.close(self._out)
        time.sleep(0.2)  # its children may still write
        shutil.rmtree(self._home.name, ignore_errors=True)

    def _heed(self, event: dict) -> None:
        """Remember what happened: a message, a request, or that all is loaded."""
        about = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.consoleAPICalled":
                self.messages.append(str(about["args"]))
            case "Runtime.exceptionThrown":
                self.messages.append(str(about["exceptionDetails"]))
            case "Log.entryAdded":
                self.messages.append(about["entry"]["text"])
            case "Network.requestWillBeSent":
                self.requests.append(about["request"]["url"][:100])

    def _read(self) -> dict:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], SECONDS)
            assert ready, f"Chromium did not answer within {SECONDS} s"
            data = os.read(self._in, 1 << 20)
            assert data, "Chromium has ended"
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)
