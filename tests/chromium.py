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
        self._loaded = self._touch = False
        target = next(
            each["targetId"]
            for each in self.call("Target.getTargets")["targetInfos"]
            if each["type"] == "page"
        )
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def open(
        self,
        address: Path | str,
        *,
        width: int = 1200,
        dark: bool = False,
        language: str = "en-US,en",
        touch: bool = False,
    ) -> None:
        """Open a file, or an address, in a window of a width, and wait until it is loaded.

        `language` is what the browser asks for.
        """
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
        agent = self.call("Browser.getVersion")["userAgent"]
        self.call("Network.setUserAgentOverride", userAgent=agent, acceptLanguage=language)
        self.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.messages, self.requests, self._loaded, self._touch = [], [], False, touch
        url = address if isinstance(address, str) else address.resolve().as_uri()
        self.call("Page.navigate", url=url)
        while not self._loaded:
            self._heed(self._read())

    def run(self, code: str):
        """Return the value of an expression in the page."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, code: str) -> None:
        """Wait until an expression in the page is true."""
        end = time.monotonic() + SECONDS
        while not self.run(f"Boolean({code})"):
            assert time.monotonic() < end, f"never true: {code}; the page says {self.messages}"
            time.sleep(0.02)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, such as "Tab", "Shift+Tab", "Enter" and "a"."""
        for key in keys:
            name = key.removeprefix("Shift+")
            text = {"Enter": "\r", "Space": " "}.get(name, name if len(name) == 1 else "")
            name = " " if name == "Space" else name
            about = {
                "key": name,
                "code": name if len(name) > 1 else "",
                "modifiers": 8 * (key != name and key[:6] == "Shift+"),
            }
            about["windowsVirtualKeyCode"] = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32}.get(
                name, 0
            )
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **about)
            self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def click(self, selector: str) -> None:
        """Click on the middle of an element with the mouse, or tap on it with a finger."""
        place = self.run(
            f"(() => {{ const it = document.querySelector({json.dumps(selector)});"
            "it.scrollIntoView({block: 'center'}); const box = it.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2] })()"
        )
        where = {"x": place[0], "y": place[1]}
        if self._touch:
            self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[where])
            self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
            return
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **where)

    def choose(self, selector: str, *paths: Path) -> None:
        """Choose files in a field for files."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=list(map(str, paths)))

    def drop(self, *paths: Path, x: int = 100, y: int = 300) -> None:
        """Drag files from elsewhere into the page and let them go."""
        data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)

    def paste(self, path: Path, kind: str = "image/png") -> None:
        """Paste a picture, which browsers call image.png."""
        data = base64.b64encode(path.read_bytes()).decode()
        self.run(
            "(() => { const data = new DataTransfer();"
            f"const bytes = Uint8Array.from(atob({data!r}), each => each.charCodeAt(0));"
            f"data.items.add(new File([bytes], 'image.png', {{type: {kind!r}}}));"
            "document.activeElement.dispatchEvent(new ClipboardEvent('paste',"
            "{clipboardData: data, bubbles: true, cancelable: true})) })()"
        )

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
