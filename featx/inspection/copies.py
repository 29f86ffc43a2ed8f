"""Copies among pictures: of one class, of several, and of training and test pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from featx.features.duplicates import Duplicates, duplicates_in, groups_of
from featx.features.matrix import Features
from featx.images.labels import Label
from featx.images.measures import MINIATURE, Measures
from featx.inspection.findings import Finding, is_same_file

# Shots of one scene have like features, too, but only copies have like pixels, at 14 x 14: on two
# sets of photographs those of copies correlate by 0.99 and more, others by 0.91 and less.
_ALIKE = 0.9  # where features say that it is a copy, perhaps with its edges cut off
_SAME = 0.993  # where they do not
_ODD = 3  # copies that only pixels tell; more, and more than features tell, are digits or icons
_FLAT = 2.0  # brightness; a miniature that varies less looks like any other


def find_copies(
    features: Features, test: Features | None, measures: Mapping[str, Measures]
) -> tuple[list[Finding], np.ndarray]:
    """Find copies among pictures, and between them and those of a test.

    Returns the findings, and the group of each row of `features`, in which copies and shots of
    one scene are together.
    """
    several = [features] if test is None else [features, test]
    matrix = np.concatenate([each.matrix for each in several]) if test else features.matrix
    paths = [path for each in several for path in each.paths]
    labels = [label for each in several for label in each.labels]
    known = [measures.get(path) for path in paths]
    copies, alike = _pairs(matrix, known)
    findings = []
    for rows in Duplicates(groups_of(copies, len(paths)), ()).twins:
        # The largest of those to train on is the one to keep.
        inside = [row for row in rows if row < len(features)] or list(rows)
        kept = max(inside, key=lambda row: (_pixels(known[row]), -row))
        for row in rows:
            if row != kept:
                equal = bool(np.array_equal(matrix[row], matrix[kept]))
                pair = (paths[row], labels[row]), (paths[kept], labels[kept])
                tested = (row >= len(features), kept >= len(features))
                findings.append(_finding(*pair, equal, tested, measures))
    return findings, groups_of([*copies, *alike], len(paths))[: len(features)]


def _pairs(
    matrix: np.ndarray, known: Sequence[Measures | None]
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return the pairs of rows that are copies, and those that only have like features."""
    miniatures = _miniatures(known)
    found = [pair[:2] for pair in duplicates_in(matrix).pairs]
    likeness = np.array([miniatures[i] @ miniatures[j] for i, j in found])
    equal = np.array([np.array_equal(matrix[i], matrix[j]) for i, j in found], dtype=bool)
    # What is flat or was not measured is as the features say.
    sure = equal | ~(likeness < _ALIKE)
    copies = [pair for pair, is_copy in zip(found, sure, strict=True) if is_copy]
    alike = [pair for pair, is_copy in zip(found, sure, strict=True) if not is_copy]
    small = [(i, j) for i, j, _ in duplicates_in(miniatures).pairs]
    more = {pair for pair in small if miniatures[pair[0]] @ miniatures[pair[1]] >= _SAME}
    more -= set(copies)
    if len(more) <= max(_ODD, len(copies)):
        copies += sorted(more)
    return copies, alike


def _miniatures(known: Sequence[Measures | None]) -> np.ndarray:
    """Return what is bright and dark in each picture, of length 1; NaN where it is flat."""
    table = np.full((len(known), MINIATURE**2), np.nan, np.float32)
    for row, each in enumerate(known):
        if each is not None:
            values = np.frombuffer(each.miniature, np.uint8).astype(np.float32)
            values -= values.mean()
            if values.std() >= _FLAT:
                table[row] = values / np.linalg.norm(values)
    return table


def _finding(
    copy: tuple[str, Label | None],
    original: tuple[str, Label | None],
    equal: bool,
    tested: tuple[bool, bool],
    measures: Mapping[str, Measures],
) -> Finding:
    """Say what a copy is: a contradiction, a leak or a mere copy."""
    kind = "duplicate" if equal else "near-duplicate"
    detail = "a copy of" if equal else "nearly the same as"
    if tested[0] and not tested[1]:  # the training picture is the one to leave out
        copy, original, kind = original, copy, "leak"
    if is_same_file(copy[0], original[0]):
        detail = "the same file as"
    if copy[1] != original[1]:
        kind = "contradiction"
    sizes = [measures.get(path) for path, _ in (copy, original)]
    if sizes[0] and sizes[1] and _size(sizes[0]) != _size(sizes[1]):
        detail = f"{_size(sizes[0])}, {detail} one of {_size(sizes[1])}:"
    return Finding(kind, detail, copy[0], copy[1], original[0], original[1])


def _size(measures: Measures) -> str:
    return f"{measures.width} x {measures.height}"


def _pixels(measures: Measures | None) -> int:
    return measures.width * measures.height if measures else 0
