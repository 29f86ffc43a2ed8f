"""Half of the tests, beside the other: ``python -m tests.half quick -m "not keras"``.

What it prints comes line by line, each behind its name. The arguments behind the name are pytest's.
"""

from __future__ import annotations

import faulthandler
import io
import sys
from typing import TextIO

import pytest

EXIT_SECONDS = 120


class NamedLines(io.TextIOBase):
    """Whole lines, written as soon as they end, each behind a name."""

    def __init__(self, name: str, stream: TextIO) -> None:
        self._name, self._stream = name, stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Write the lines that end in a text, and keep the rest."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._stream.write(f"{self._name} | {line}\n")
            self._stream.flush()  # each by itself: the other half writes to the same place
        return len(text)


def main(name: str, *options: str, exit_seconds: float = EXIT_SECONDS) -> int:
    """Run tests, and let the interpreter end within some time, whatever is left running."""
    sys.stdout = NamedLines(name, sys.stdout)
    status = pytest.main([*options])
    faulthandler.dump_traceback_later(exit_seconds, exit=True)
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
