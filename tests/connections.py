"""What a process and its children say to other machines, written down by Python itself.

A folder on PYTHONPATH holds a `sitecustomize` that every Python runs when it starts, and stands in
for the package that reports the use of OpenVINO and NNCF to their makers.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_HEARD = """
import os
def heard(*words):
    with open(os.environ["FEATX_HEARD"], "a") as log:
        log.write(" ".join(map(str, words)) + "\\n")
"""

_SITE = """
import sys
from heard import heard
NEAR = ("127.", "localhost", "::1")
def listen(event, arguments):
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        place = arguments[1]
        host = place[0] if isinstance(place, tuple) else None  # else a socket in the file system
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.bind"):
        host = arguments[1 if event == "socket.bind" else 0]
        host = host[0] if isinstance(host, tuple) else host
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if isinstance(host, str) and host and not (event == "socket.bind" and "/" in host):
        if not host.startswith(NEAR):
            heard(event, host)
sys.addaudithook(listen)
"""

_TELEMETRY = """
from heard import heard
heard("openvino_telemetry")
class Telemetry:
    def __init__(self, *arguments, **options):
        heard("Telemetry", options.get("app_name"))
    def start_session(self, *arguments, **options):
        heard("start_session", *arguments)
    def send_event(self, *arguments, **options):
        heard("send_event", *arguments)
    def end_session(self, *arguments, **options):
        heard("end_session", *arguments)
"""


class Listener:
    """What is heard of processes that are started with its `environment`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._log = folder / "heard.txt"
        (folder / "heard.py").write_text(_HEARD)
        (folder / "sitecustomize.py").write_text(_SITE)
        package = folder / "openvino_telemetry"
        (package / "backend").mkdir(parents=True)
        (package / "__init__.py").write_text(_TELEMETRY)
        (package / "backend" / "__init__.py").write_text("")
        (package / "backend" / "backend_ga4.py").write_text("")
        places = [str(folder), os.environ.get("PYTHONPATH", "")]
        self.environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, places)),
            "FEATX_HEARD": str(self._log),
        }

    @property
    def heard(self) -> list[str]:
        """The calls to other machines, and the reports, so far."""
        return self._log.read_text().splitlines() if self._log.exists() else []

    def run(self, *words: object) -> subprocess.CompletedProcess[str]:
        """Run Python with some arguments to its end."""
        return subprocess.run(
            [sys.executable, *map(str, words)],
            capture_output=True,
            text=True,
            env=self.environment,
            timeout=600,
        )
