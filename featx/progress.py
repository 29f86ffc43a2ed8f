"""Progress bars on stderr, for work of more than a second."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from featx.text import printable

if TYPE_CHECKING:
    from tqdm import tqdm


def progress_bar(name: str, total: int, unit: str, *, shown: bool) -> tqdm[Any]:
    """Return a bar that appears after a second and is seldom drawn where nobody watches.

    It stands beside `name` and counts to `total` in steps called `unit`, such as "images".
    """
    from tqdm import tqdm

    watched = sys.stderr is not None and sys.stderr.isatty()
    return tqdm(
        total=total,
        desc=printable(name),
        unit=f" {unit}",
        delay=1,
        mininterval=0.1 if watched else 10,
        dynamic_ncols=watched,
        disable=not shown,
    )
