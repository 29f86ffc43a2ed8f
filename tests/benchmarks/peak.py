"""The peak of the memory of a process, for benchmarks and tests."""

from __future__ import annotations

import re
from pathlib import Path

STATUS = Path("/proc/self/status")  # of Linux


def peak_bytes() -> int:
    """Return the most memory that this process ever had.

    `resource` says it, too, but counts for a child what its parent had when it was started.
    """
    (found,) = re.findall(r"VmHWM:\s*([0-9]+) kB", STATUS.read_text())
    return int(found) * 1024
