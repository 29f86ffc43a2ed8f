"""Query: the features of the pictures that similar ones are looked for, made as the others were."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.backbones.backbone import Backbone
from featx.backbones.weights import sources_of
from featx.errors import ImageSourceError, OptionError, RecipeMismatchError
from featx.features.matrix import Features
from featx.features.options import SourceOptions, options_in, settle
from featx.features.request import Request
from featx.features.run import run
from featx.features.saved import is_saved, saved_features
from featx.images.folder import ImageFolder
from featx.images.memory import MemoryImage
from featx.images.source import ImageSource
from featx.models.networks import Maker, find_network, trained_network
from featx.similarity.search import NONE
from featx.text import count, printable

_MAKER = Maker(
    "the features were made by",
    own="embed the query with it in Python, and give its features in place of pictures",
    again="give weights= (--weights) the file that they were made with",
    beside="the features",
)


@dataclass(frozen=True, eq=False)
class Query:
    """What similar pictures are looked for.

    Parameters
    ----------
    features : Features
        A row for each picture that could be read, comparable to those to search.
    own : ndarray of shape (n,), int64
        The row that each is among these, or -1.
    """

    features: Features
    own: np.ndarray

    @classmethod
    def of(
        cls,
        source: ImageSource | Features,
        among: Features,
        weights: str | os.PathLike[str] | None,
        options: Mapping[str, Any],
    ) -> Query:
        """Take the features of rows, those that are given, or embed pictures.

        Raises
        ------
        RecipeMismatchError
            The features of the query are of another recipe, or those to search have none.
        ImageSourceError
            No picture of the query can be read.
        """
        rows = _Rows(among)
        if isinstance(source, Features) or is_saved(source):
            features = _comparable(saved_features(source, options.get("root")), among)
            return cls(features, rows.of(features.paths.tolist()))
        if (own := rows.named(source)) is not None:
            return cls(among.select(own), own)
        if among.recipe is None:
            raise RecipeMismatchError(
                f"the features among which to look have no recipe, so that {_named(source)} cannot "
                "be embedded like them: give the path of one of their rows, or features"
            )
        settled = settle(options)
        images = ImageFolder.of(source, **options_in(SourceOptions, settled))
        own = rows.of(images.paths)
        if (own != NONE).all():
            return cls(among.select(own), own)
        request = Request.again(_networks(among, weights), among.recipe, 0, settled["engine"])
        features = run(images, [request], settled, sparing=True)[0]
        return cls(features, rows.of(features.paths.tolist()))


def _plain(path: str) -> str:
    """Return a path of the disk without what it does not need, as "./" of pictures in "."."""
    is_elsewhere = isinstance(path, MemoryImage) or "://" in path
    return path if is_elsewhere else os.path.normpath(path)


class _Rows:
    """The rows of features by the paths of their pictures."""

    def __init__(self, features: Features) -> None:
        self._paths = features.paths
        self._rows = {path: row for row, path in enumerate(features.paths.tolist())}
        plain = {_plain(path): row for path, row in self._rows.items() if "./" in path}
        self._rows = plain | self._rows

    def of(self, paths: Any) -> np.ndarray:
        """Return the row of each path, -1 where there is none."""
        return np.array([self._row(path) for path in paths], np.int64)

    def named(self, source: Any) -> np.ndarray | None:
        """Return the rows that a path, or several, are of; None if one is of no row."""
        paths = source if isinstance(source, list | tuple) else [source]
        if not paths or not all(isinstance(each, str | os.PathLike) for each in paths):
            return None
        rows = self.of([each if isinstance(each, str) else os.fspath(each) for each in paths])
        return rows if (rows != NONE).all() else None

    def _row(self, path: str) -> int:
        for each in self._forms(path):
            row = self._rows.get(each, NONE)
            # What a file of features knows of a picture in memory is its name, which others have.
            if row != NONE and isinstance(path, MemoryImage) == isinstance(
                self._paths[row], MemoryImage
            ):
                return row
        return NONE

    def _forms(self, path: str) -> list[str]:
        """List the ways to write a path that features may have."""
        if isinstance(path, MemoryImage):
            return [path]
        expanded = os.path.expanduser(path)
        absolute = os.path.abspath(expanded)
        return [path, absolute, os.path.relpath(absolute), os.path.normpath(expanded)]


def _comparable(features: Features, among: Features) -> Features:
    """Check that the features of a query can be compared with others."""
    if among.recipe is not None:
        among.recipe.require(features.recipe, "the features of the query")
    elif features.recipe is not None:
        features.recipe.require(None, "the features among which to look")
    mine, theirs = (int(np.prod(each.X.shape[1:])) for each in (features, among))
    if mine != theirs:
        raise RecipeMismatchError(
            f"the features of the query have {count(mine, 'column')}, those among which to look "
            f"have {theirs:,}: expected features of the same network"
        )
    return features


def _networks(features: Features, weights: str | os.PathLike[str] | None) -> tuple[Backbone, ...]:
    """Find the networks that made features, with the same weights and calibrations."""
    assert features.recipe is not None
    parts = features.recipe.parts
    known = features.weights if weights is None else os.fspath(weights)
    return tuple(
        trained_network(
            part, find_network(part, source, None, _MAKER), features.calibrations, _MAKER
        )
        for part, source in zip(parts, sources_of(known, len(parts)), strict=True)
    )


def features_to_search(among: Any, root: str | os.PathLike[str] | None) -> Features:
    """Load the features among which similar ones are looked for; at least one row."""
    if not isinstance(among, Features):
        if not is_saved(among):
            gone = isinstance(among, str | os.PathLike) and not os.path.exists(among)
            raise ImageSourceError(
                f"{_named(among)} {'does not exist' if gone else 'holds no features'}: expected "
                "features, or a file of them, as `featx embed photos/ --out photos.npz` writes it"
            )
        among = saved_features(among, root)
    if not len(among):
        raise OptionError("there are no features to search: expected at least one row")
    found: Features = among
    return found


def _named(source: Any) -> str:
    named = isinstance(source, str | os.PathLike)
    return repr(printable(os.fspath(source))) if named else "what was given"
