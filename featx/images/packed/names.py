"""Names of members of archives: which of them are pictures, and what they are called."""

from __future__ import annotations

import re
from collections.abc import Sequence

from featx.images.listing import HIDDEN, LEFT_BEHIND, named_as_image
from featx.text import count

_DRIVE = re.compile(r"[A-Za-z]:")


def plain_name(name: str) -> str | None:
    """Write the name of a member with "/" between folders; None where it leads out of the archive.

    Such names are absolute, or have ".." among their folders. Nothing is unpacked, so that they do
    no harm; but whoever made them meant it.
    """
    parts = name.replace("\\", "/").split("/")
    if not parts[0] or _DRIVE.match(parts[0]) or ".." in parts:
        return None
    return "/".join(part for part in parts if part not in ("", "."))


def is_picture(name: str) -> bool:
    """Tell a picture by a plain name, as in a folder: not hidden, not what programs left behind."""
    *folders, file = name.split("/")
    return (
        named_as_image(file)
        and not file.startswith(HIDDEN)
        and not any(each.startswith(HIDDEN) or each.casefold() in LEFT_BEHIND for each in folders)
    )


def common_folder(names: Sequence[str]) -> str:
    """Return the folders around all members, with "/" behind; empty where there are none.

    Archives are often made of one folder, which is no class. The last folder is kept: it may be
    the only class.
    """
    first, last = min(names).split("/"), max(names).split("/")
    least = min(name.count("/") for name in names)
    n = 0
    while n < least - 1 and first[n] == last[n]:
        n += 1
    return "".join(f"{part}/" for part in first[:n])


def notes_on_outside(n: int) -> tuple[str, ...]:
    """Say how many members have names that lead out of the archive."""
    if not n:
        return ()
    which = f"{count(n, 'member')} {'has a name that leads' if n == 1 else 'have names that lead'}"
    return (f"{which} out of the archive, and {'is' if n == 1 else 'are'} left alone",)
