"""The layout of a data set: sub-folders that are parts of it, not classes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence

from featx.paths import plain_path
from featx.storage.address import common_folder
from featx.text import listed, printable

# How folders are called that hold a part of a data set.
_TRAINING = ("train", "training")
_MEASURING = ("test", "testing", "val", "valid", "validation")


def role_of(name: str) -> str | None:
    """Return what a part of this name is for: "train", "test" or "val"; None for another name."""
    folded = name.casefold()
    if folded in _TRAINING:
        return "train"
    if folded in _MEASURING:
        return "test" if folded.startswith("test") else "val"
    return None


def class_folder(relative: str, classes_from: str) -> str | None:
    """Return the folder that is the class of an image, by its path below the root."""
    folders = relative.split("/")[:-1]
    return folders[0 if classes_from == "first" else -1] if folders else None


def parts_of(root: str, images: Iterable[str]) -> str | None:
    """Say what to do about a folder whose sub-folders are train, val, test or alike.

    `images` are relative to `root`, with "/" between names. These are parts of a data set if no
    other sub-folder has images, or if two of them hold folders of the same names. None where the
    sub-folders are classes.
    """
    within: dict[str, set[str]] = defaultdict(set)
    for image in images:
        first, *more = image.split("/")
        if more:
            within[first].update(more[:-1][:1])
    parts = {name.casefold(): name for name in within}
    training = next((parts[name] for name in _TRAINING if name in parts), None)
    measuring = [parts[name] for name in _MEASURING if name in parts]
    if training is None or not measuring:
        return None
    alone = len(parts) == 1 + len(measuring)
    if not alone and not any(within[training] & within[name] for name in measuring):
        return None
    root = printable(root)
    found = f"{root!r} has parts of a data set, not classes: {listed([training, *measuring])}"
    if not within[training]:
        return (
            f"{found}; give a folder with a sub-folder for each class, or a table with the columns "
            "`path` and `label`"
        )
    classes = listed(sorted(within[training]))
    tests = [os.path.join(root, printable(name)) for name in measuring if within[name]]
    measure = f", and measure on {' or '.join(tests)}" if tests else ""
    how = ", by evaluate or while training (--test, in Python test=)" if tests else ""
    return f"{found}; learn from {os.path.join(root, training)} (classes {classes}){measure}{how}"


def parts_as_labels(paths: Sequence[str], labels: Sequence[object]) -> str | None:
    """Say what `parts_of` does of images whose labels are the names of such sub-folders.

    So it is with features, lists and tables that were made of the whole folder. None where the
    labels are others than the folders: then they were given.
    """
    names = {str(label).casefold() for label in labels}
    if names.isdisjoint(_TRAINING) or names.isdisjoint(_MEASURING):
        return None
    plain = [plain_path(path) for path in paths]
    try:
        root = common_folder(plain)
    except ValueError:  # some are absolute and some are not
        return None
    images = [os.path.relpath(path, root or os.curdir).replace(os.sep, "/") for path in plain]
    folders = [image.partition("/")[0] if "/" in image else "" for image in images]
    same = all(
        folder == label
        for folder, label in zip(folders, labels, strict=True)
        if str(label).casefold() in (*_TRAINING, *_MEASURING)
    )
    return parts_of(root or os.curdir, images) if same else None
