"""Duplicates: pictures that are copies of one another, found from their vectors alone.

The rule, on vectors that are centred, scaled by column and brought to length 1, exact copies
counted once: two pictures are copies if they are nearer than 0.45 of the distance from each to
its sixth neighbour (Lowe's ratio test, beyond five other copies) and than 0.4 of the median
distance of the set; or nearer than 0.15 of that median. Copies found are put aside, all but one,
and the rest is asked again, twice, for larger groups. No two members of a group are further
apart than 0.4 of the median, so that a chain of pictures cannot join a class.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from featx.backbones.kinds import PIXELS
from featx.features.blocks import row_blocks
from featx.features.matrix import Features
from featx.features.neighbours import NearPairs, Space, near_pairs, nearest
from featx.paths import shortener
from featx.text import count, listed

# Chosen on five sets x four backbones x two poolings, with one copy each of a third (50 %, 70 %,
# JPEG 60, 10 % brighter, PNG, 3 % cropped). Found: fruit_pair 1.00, grocery20 0.89-1.00, drawn
# fruit 0.71-1.00; cifar10 0.29-0.45, mnist 0.17-0.21 (so small a picture changes with any of this).
# Strangers grouped: 0-1 % without copies; in grocery20 0-7 %, by eye the same shelf twice but for
# 0-2 %. A ratio of 0.5 finds 1 % more copies and groups twice as much of grocery20; with the 10th
# neighbour up to 35 % of fruit_pair (two tight classes of ten) is grouped; the 4th misses fives.
_NEIGHBOUR = 6
_RATIO = 0.45
_LIMIT = 0.4
_SURE = 0.15
_ROUNDS = 3  # one finds half of groups of seven in grocery20, three 0.72-1.00
_MIN_COLUMNS = 16  # below, strangers are near by chance: only exact copies count
_MIN_VECTORS = 4  # below, nothing says how far apart strangers are
_SAMPLE = 1000  # vectors that the median distance is taken of
LINKAGE = 2000  # members of a group that are compared all with all
FEW = 1000  # vectors that are compared all with all
Pairs = dict[tuple[int, int], float]
Contradiction = tuple[tuple[str, str], ...]  # copies, each with its class

_FOUND: WeakKeyDictionary[Features, Duplicates] = WeakKeyDictionary()  # they are asked for often


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Groups of pictures that are copies of one another, exact or nearly.

    Attributes
    ----------
    groups : ndarray of shape (n,), int64
        The group of each row, from 0 in order of first appearance; a picture without a copy has
        one of its own. What scikit-learn's splitters take as `groups`.
    pairs : tuple of (int, int, float)
        What joined the groups: two rows, the lower first, and the cosine of their vectors,
        centred and scaled: 1 for exact copies.
    """

    groups: np.ndarray
    pairs: tuple[tuple[int, int, float], ...]

    @property
    def n_groups(self) -> int:
        """The number of groups, single pictures counted too."""
        return len(np.unique(self.groups))

    @property
    def twins(self) -> list[tuple[int, ...]]:
        """The rows of each group of two or more."""
        return [tuple(rows.tolist()) for rows in _members(self.groups)]


def find_duplicates(features: Features) -> Duplicates:
    """Find the pictures that are copies: copied, resized, recompressed, a little brighter.

    No file is opened. Shots of one scene from nearly one place count as copies too.

    Parameters
    ----------
    features : Features
        A memory map is read in pieces. Rows that are not finite, or beyond 1e18, have no copies.

    Returns
    -------
    Duplicates
        Of exact copies only, for fewer than 16 columns or 4 different vectors.
    """
    if features not in _FOUND:
        _FOUND[features] = duplicates_in(features.matrix)
    return _FOUND[features]


def narrowest(several: Sequence[Features]) -> Features:
    """Return the features of the same images in which to look for copies, whatever their order.

    Those with the fewest columns, but for pixels: networks find copies alike, and small vectors
    sooner.
    """

    def rank(features: Features) -> tuple[bool, int, str, str]:
        recipe = features.recipe
        name = recipe.backbone if recipe else ""
        mark = recipe.fingerprint if recipe else ""
        return name == PIXELS, features.matrix.shape[1], name, mark

    return min(several, key=rank)


def find_leaks(training: Features, test: Features) -> dict[str, str]:
    """Find the test pictures that are copies of training pictures.

    Parameters
    ----------
    training, test : Features
        Features of one recipe.

    Returns
    -------
    dict of str to str
        The path of a training picture for each such test picture.
    """
    n = len(training)
    groups = duplicates_in(np.concatenate([training.matrix, test.matrix])).groups
    first = {group: row for row, group in reversed(list(enumerate(groups[:n].tolist())))}
    return {
        path: training.paths[first[group]]
        for path, group in zip(test.paths, groups[n:].tolist(), strict=True)
        if group in first
    }


def duplicates_in(table: np.ndarray) -> Duplicates:
    """Find the rows of a table that are copies, as `find_duplicates` does those of features."""
    pairs, distinct = _exact_copies(table)
    if len(distinct) >= _MIN_VECTORS and table.shape[1] >= _MIN_COLUMNS:
        pairs |= _near_copies(Space(table, distinct), distinct, len(table))
    joined = tuple((*rows, pairs[rows]) for rows in sorted(pairs))
    return Duplicates(groups_of(pairs, len(table)), joined)


def find_contradictions(
    features: Features, groups: np.ndarray | None = None
) -> tuple[Contradiction, ...]:
    """Find the pictures that lie in several classes.

    Parameters
    ----------
    features : Features
        Labelled features.
    groups : ndarray of shape (n,), optional
        Which rows are copies, as `Duplicates.groups` says; by default exact copies are.

    Returns
    -------
    tuple of tuple of (str, str)
        For each such picture its copies: path and class.
    """
    if groups is None:
        groups = exact_copies(features)
    paths, labels = features.paths, features.labels
    return tuple(
        tuple((str(paths[row]), str(labels[row])) for row in rows)
        for rows in _members(groups)
        if len({labels[row] for row in rows}) > 1
    )


def leaked_contradictions(
    leaks: Mapping[str, str], features: Features, training: Features | None
) -> tuple[Contradiction, ...]:
    """Find the images that are copies of training images of another class.

    `leaks` is what `find_leaks` found.
    """
    if training is None:
        return ()
    learned = dict(zip(training.paths, training.labels, strict=True))
    return tuple(
        ((path, str(label)), (leaks[path], str(learned[leaks[path]])))
        for path, label in zip(features.paths, features.labels, strict=True)
        if path in leaks and str(learned[leaks[path]]) != str(label)
    )


def notes_on(contradictions: Sequence[Contradiction]) -> list[str]:
    """Say which pictures lie in several classes, in a line or none."""
    if not contradictions:
        return []
    short = shortener([path for each in contradictions for path, _ in each])
    named = [
        " = ".join(f"{short(path)} ({label})" for path, label in each) for each in contradictions
    ]
    pictures = count(len(named), "picture")
    return [
        f"a contradiction, {pictures} in several classes, as copies or nearly so: "
        f"{listed(named, 6)}; leave each in the right one"
    ]


def exact_copies(features: Features) -> np.ndarray:
    """Number the groups of exact copies, as `Duplicates.groups` does; read block by block."""
    return groups_of(_exact_copies(features.X)[0], len(features))


def exact_leaks(training: Features, test: Features) -> dict[str, str]:
    """Find the test pictures that are exact copies of training pictures, as `find_leaks` does."""
    known: dict[bytes, int] = {}
    for row, key in _keys(training.X):
        known.setdefault(key, row)
    found = ((row, known.get(key)) for row, key in _keys(test.X))
    return {test.paths[row]: training.paths[first] for row, first in found if first is not None}


def _exact_copies(table: Any) -> tuple[Pairs, np.ndarray]:
    """Return the pairs of equal rows, and the first of each kind of row."""
    pairs, firsts = Pairs(), dict[bytes, int]()
    for row, key in _keys(table):
        first = firsts.setdefault(key, row)
        if first != row:
            pairs[first, row] = 1.0
    return pairs, np.array(list(firsts.values()), dtype=np.int64)


def _keys(table: Any) -> Iterator[tuple[int, bytes]]:
    """Give each row that is finite with a digest of its values."""
    for rows, vectors in row_blocks(table):
        for row, vector in zip(rows.tolist(), vectors, strict=True):
            if np.isfinite(np.vdot(vector, vector)):
                whole = (vector + 0).tobytes()  # + 0 makes -0.0 the same as 0.0
                yield row, hashlib.sha256(whole).digest()


def _near_copies(space: Space, distinct: np.ndarray, n: int) -> Pairs:
    """Return the pairs of near copies; those that a chain alone has joined are left out."""
    sample = distinct[:: -(-len(distinct) // _SAMPLE)]
    median = float(np.median(space.distances(sample, sample)[np.triu_indices(len(sample), 1)]))
    limit = _LIMIT * median
    near = near_pairs(space, distinct, limit) if len(distinct) > FEW else None
    pairs, rows = Pairs(), distinct
    for _ in range(_ROUNDS):
        found = _links(space, rows, median, near)
        pairs |= found
        rows = distinct[np.unique(groups_of(pairs, n)[distinct], return_index=True)[1]]
        if not found or len(rows) < _MIN_VECTORS:
            break
    groups = np.arange(n)
    for members in _members(groups_of(pairs, n)):
        _split(space, members, limit, groups)
    return {(i, j): pairs[i, j] for i, j in pairs if groups[i] == groups[j]}


def _links(space: Space, rows: np.ndarray, median: float, near: NearPairs | None) -> Pairs:
    """Return the pairs of some rows that pass the test of distances.

    Without the pairs that are near, all of them are looked at.
    """
    k = min(_NEIGHBOUR, len(rows) - 1)
    if near is None:
        i, j, away, beyond = nearest(space, rows, k, _LIMIT * median)
    else:
        i, j, away = near.among(rows)
        # A row of which no pair is in doubt needs no more than that the others are further.
        beyond = near.beyond(space, rows, k, doubt=_RATIO * near.limit)
    reach = np.minimum(_RATIO * beyond, _LIMIT * median)
    within = np.minimum(np.maximum(reach, _SURE * median), beyond)
    passed = (away <= within[i]) | (away <= within[j])
    passed &= (away <= _SURE * median) | (away <= np.minimum(reach[i], reach[j]))
    i, j, away = i[passed], j[passed], away[passed]
    ends = np.sort(np.stack([rows[i], rows[j]], axis=1))
    return dict(zip(map(tuple, ends.tolist()), (1 - away**2 / 2).tolist(), strict=True))


def _split(space: Space, members: np.ndarray, limit: float, groups: np.ndarray) -> None:
    """Write numbers into `groups` so that no two members of one are further apart than limit."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    while len(members) > LINKAGE:  # whatever is within half of the limit of one member is safe
        far = space.distances(members[:1], members)[0] > limit / 2
        far[0] = False
        groups[members[~far]], members = members[0], members[far]
    if len(members) > 1:
        away = space.distances(members, members)
        tree = linkage(squareform(np.maximum(away, away.T), checks=False), "complete")
        clusters = fcluster(tree, limit, "distance")  # from 1 up
        groups[members] = members[np.unique(clusters, return_index=True)[1]][clusters - 1]


def groups_of(pairs: Iterable[tuple[int, int]], n: int) -> np.ndarray:
    """Number the connected groups of n rows in order of first appearance."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array(list(pairs), dtype=np.int64).reshape(-1, 2)
    links = coo_array((np.ones(len(ends), np.int8), (ends[:, 0], ends[:, 1])), shape=(n, n))
    labels = connected_components(links, directed=False)[1]
    _, firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(firsts))[inverse]


def _members(groups: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group of two or more, in order of the groups."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order])) + 1
    return [rows for rows in np.split(order, starts) if len(rows) > 1]
