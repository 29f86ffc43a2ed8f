"""Classes and names of a folder: empty, tiny and unequal classes, names that look alike."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence

from featx.images.folder import ImageFolder
from featx.images.labels import in_terms_of, notes_on_names
from featx.images.memory import MemoryImage
from featx.inspection.findings import Finding
from featx.learning.classes import resemblance
from featx.paths import plain_path
from featx.text import count, listed

_FEW = 5  # pictures of a class
_TIMES = 4  # as many in the largest class as in the smallest


def find_class_sizes(images: ImageFolder, failed: Sequence[str]) -> list[Finding]:
    """Find classes that are empty, tiny, or very unequal, counting what can be read."""
    names = notes_on_names(images.labels)
    found = [note for note in images.notes if note not in names]
    counts = Counter({str(name): 0 for name in images.classes})
    left_out = set(failed)
    for path, label in zip(images.paths, images.labels, strict=True):
        counts[str(label)] += label is not None and path not in left_out
    if not images.classes:
        return [Finding("class", note) for note in found]
    if unlabelled := images.labels.count(None):
        del counts["None"]
        found.append(f"{count(unlabelled, 'picture')} in no class")
    tiny = [f"{name} ({number})" for name, number in counts.items() if number < _FEW]
    if tiny:
        found.append(f"fewer than {_FEW} pictures that can be read: {listed(tiny)}")
    (largest, most), (smallest, least) = counts.most_common()[0], counts.most_common()[-1]
    if most >= _TIMES * max(least, 1):
        found.append(
            f"unequal: {count(most, 'picture')} of {largest}, and {least:,} of {smallest}; see the "
            "recall of each class, too"
        )
    return [Finding("class", text) for text in found]


def find_unknown_classes(images: ImageFolder, test: ImageFolder) -> list[Finding]:
    """Find classes that are in one of two folders alone."""
    classes = images.classes
    tested = {label for label in in_terms_of(classes, test.labels) if label is not None}
    unknown = sorted(str(name) for name in tested - set(classes))
    untested = [str(name) for name in classes if name not in tested]
    found = []
    if unknown:
        alike = resemblance(unknown, [str(name) for name in classes])
        found.append(f"in the test alone: {listed(unknown)}{alike}")
    if untested:
        found.append(f"not in the test: {listed(untested)}")
    return [Finding("class", text) for text in found]


def find_names(images: ImageFolder) -> list[Finding]:
    """Find names of classes, and of files of one folder, that look alike."""
    found = [Finding("name", note) for note in notes_on_names(images.labels)]
    alike: dict[str, list[int]] = defaultdict(list)
    for row, path in enumerate(images.paths):
        if not isinstance(path, MemoryImage):
            folder, name = os.path.split(plain_path(path))
            alike[os.path.join(folder, _looks(name))].append(row)
    for rows in alike.values():
        first = images.paths[rows[0]]
        for row in rows[1:]:
            if images.paths[row] != first:
                name = os.path.basename(plain_path(first))
                text = f"looks like {name!a}; some file systems keep one only"
                found.append(Finding("name", text, images.paths[row], images.labels[row]))
    return found


def _looks(name: str) -> str:
    """Return a name without what a file system, or the eye, may not tell apart."""
    stem, suffix = os.path.splitext(unicodedata.normalize("NFC", name).casefold())
    return " ".join(stem.split()) + suffix
