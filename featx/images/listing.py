"""The listing of a folder: every file of it once, without what other programs leave behind."""

from __future__ import annotations

import heapq
import os
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from featx.errors import ImageSourceError
from featx.text import listed

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".avif"),
        *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"),
        *(".ico", ".tga", ".heic", ".heif"),
    )
)

#: How the names of tables end, of paths and labels.
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet", ".xlsx", ".xlsm")

#: Folders of thumbnails, deleted files and settings, in lower case. Most others have a leading dot.
LEFT_BEHIND = frozenset(
    (
        *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),  # Synology
        *("@recycle", "@recently-snapshot", "@__thumb", "~snapshot"),  # QNAP, NetApp
        *("$recycle.bin", "system volume information", "found.000"),  # Windows
        *("__macosx", "network trash folder"),  # macOS
        *("temporary items", "thevolumesettingsfolder"),
        *("ipod photo cache", "lost+found", "lost.dir", "__pycache__"),
    )
)
HIDDEN = (".", ":2e")  # netatalk writes a leading dot as :2e


@dataclass
class Listing:
    """What is in a folder and its sub-folders.

    Attributes
    ----------
    images, others : list of str
        Files by whether they are images by name: paths relative to the folder, with "/" between
        names, sorted by code points.
    folders : list of str
        The folders directly below, but for those that are hidden or left behind, sorted.
    again : list of str
        Folders that were not entered, since a link has led to the same folder before, sorted.
    n_left_behind : int
        Folders that were not entered, since other programs have left them behind.
    """

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)
    n_left_behind: int = 0


def list_folder(root: str) -> Listing:
    """List the files in a folder and its sub-folders, each real folder once.

    Links to folders are followed. What several of them lead to counts under the name that is no
    link, else under that of the link least deep, then first by code points. A folder that cannot
    be listed is an `ImageSourceError`.
    """
    listing, seen = Listing(), set[Hashable]()
    links = [(0, "")]  # a heap: how deep, and the path relative to the root
    while links:
        _, start = heapq.heappop(links)
        pending = [start]
        while pending:
            relative = pending.pop()
            folder = os.path.join(root, relative.replace("/", os.sep)) if relative else root
            for entry in _entries(folder, seen, listing, relative):
                name = f"{relative}/{entry.name}" if relative else entry.name
                if not _is_dir(entry):
                    (listing.images if _is_image(entry) else listing.others).append(name)
                elif entry.name.casefold() in LEFT_BEHIND:
                    listing.n_left_behind += 1
                elif not entry.name.startswith(HIDDEN):
                    if not relative:
                        listing.folders.append(name)
                    if entry.is_symlink():
                        heapq.heappush(links, (name.count("/"), name))
                    else:
                        pending.append(name)
    for names in (listing.images, listing.others, listing.folders, listing.again):
        names.sort()
    return listing


def named_as_image(name: str) -> bool:
    """Tell whether a file is an image by the suffix of its name."""
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def notes_on_folders(listing: Listing) -> list[str]:
    """Say which folders are no class or add nothing, and which were met again."""
    full = {name.partition("/")[0] for name in listing.images if "/" in name}
    suffixes: dict[str, Counter[str]] = {each: Counter() for each in listing.folders}
    for name in listing.others:
        folder, _, rest = name.partition("/")
        if folder not in full and rest:
            suffixes[folder][suffix_of(rest)] += 1
    empty = {folder: found for folder, found in suffixes.items() if folder not in full}
    notes = notes_on_empty(empty, bool(full), listing.again)
    again = [each for each in listing.again if each not in suffixes]
    if again:
        notes.append(
            f"counted once, since it is a link to a folder listed already: {listed(again)}"
        )
    return notes


def notes_on_empty(
    empty: Mapping[str, Counter[str]], some: bool, again: Sequence[str] = ()
) -> list[str]:
    """Say which folders are no class, by the suffixes of the files in them.

    `some` others have images, and `again` are links to folders that are listed already.
    """
    if not empty:
        return []
    told = [f"{folder} ({_instead(found, folder in again)})" for folder, found in empty.items()]
    said = "no class, since no picture is in the folder" if some else "no picture in the folder"
    return [f"{said}: {listed(told)}"]


def suffix_of(name: str) -> str:
    """Return the suffix of a name as notes have it."""
    return os.path.splitext(name)[1].lower() or "without a suffix"


def _entries(
    folder: str, seen: set[Hashable], listing: Listing, relative: str
) -> list[os.DirEntry[str]]:
    """Return what is in a folder; nothing if it was seen before."""
    try:
        status = os.stat(folder)
        # Some network file systems number no files.
        identity = (status.st_dev, status.st_ino) if status.st_ino else os.path.realpath(folder)
        if identity in seen:
            listing.again.append(relative)
            return []
        seen.add(identity)
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise ImageSourceError(
            f"cannot list the folder {folder!r}: {error.strerror or error}; "
            "allow reading it, or leave it out"
        ) from error


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_image(entry: os.DirEntry[str]) -> bool:
    """Tell an image by name: a file, or a link that leads nowhere.

    The latter is a missing image, not one to pass over in silence. Pipes, sockets and devices are
    none: reading one could wait for ever.
    """
    if entry.name.startswith(HIDDEN) or not named_as_image(entry.name):
        return False
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _instead(suffixes: Counter[str], is_again: bool) -> str:
    """Say what a folder has in place of images, by the suffixes of its files."""
    if is_again:
        return "a link to a folder listed already"
    if not suffixes:
        return "it is empty"
    kinds = [f"{number} {suffix}" for suffix, number in suffixes.most_common()]
    return f"{listed(kinds, 3)}: convert them to .jpg, .png or .tif if they are pictures"
