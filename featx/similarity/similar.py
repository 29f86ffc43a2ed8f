"""Similar pictures: the rows of features that are nearest to those of a query."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Unpack
from weakref import WeakKeyDictionary

import numpy as np

from featx.errors import OptionError, warn_of_images
from featx.features.matrix import Features
from featx.features.options import RunOptions, takes
from featx.features.store.derived import indices_folder
from featx.files import cache_folder
from featx.images.source import ImageSource
from featx.similarity.index import Index, open_index, require_usearch
from featx.similarity.query import Query, features_to_search
from featx.similarity.result import Similar
from featx.similarity.search import Nearest, nearest
from featx.similarity.space import Space

EXACT_ROWS = 50_000  # of more an index is made, which takes longer than to compare all once
_opened: WeakKeyDictionary[Features, Index] = WeakKeyDictionary()


@takes(RunOptions)
def similar(
    query: ImageSource | Features,
    among: Features | str | PathLike[str],
    n: int = 10,
    *,
    exact: bool = False,
    weights: str | PathLike[str] | None = None,
    **options: Unpack[RunOptions],
) -> Similar:
    """Find the pictures that are most like others.

    Pictures are compared by their features: the cosine of what they differ by from the mean of the
    features that are searched, from -1 to 1; copies have 1. A picture of the query that is among
    the features itself is left out of its own answer.

    Parameters
    ----------
    query : pictures as for `featx.embed`, or Features
        What to look for: a picture or several, a folder, a table, or features, also in a file. The
        path of a row of `among` stands for this row, which needs no network.
    among : Features, str or path
        Where to look: features, or a file of them.
    n : int, default=10
        How many pictures to find for each picture of the query, at least 1.
    exact : bool, default=False
        Compare with every row. Of more than 50,000 rows an index proposes those that may be near;
        it is made on first use, takes usearch (`pip install "featx[similar]"`), and may miss a row.
    weights : str or path, optional
        Where the weights of the features' network are, if they have moved.
    **options : expanded

    Returns
    -------
    Similar

    Raises
    ------
    ImageSourceError
        There is no picture in the query, or none that can be read; `among` holds no features.
    RecipeMismatchError
        The features of the query are of another recipe than those to search, or these have none
        while the query is pictures.
    OptionError
        `n` is no number from 1, there is no row to search, or usearch is not installed.
    WeightsError
        The weights of the features' network are not there.
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
        raise OptionError(f"n {n!r}: expected how many pictures to find, a whole number from 1")
    features = features_to_search(among, options.get("root"))
    asked = Query.of(query, features, weights, options)
    warn_of_images(asked.features.losses)
    exact = exact or len(features) <= EXACT_ROWS
    n = min(int(n), len(features))
    return Similar.of(asked.features, features, _search(features, asked, n, exact, options), exact)


def _search(
    features: Features, query: Query, n: int, exact: bool, options: Mapping[str, Any]
) -> Nearest:
    X = features.X if features.X.ndim == 2 else features.matrix  # the first may be read lazily
    asked = query.features.matrix
    if exact:
        return nearest(X, Space.of(X), asked, query.own, n)
    if features not in _opened:
        require_usearch(len(X))
        cache = options.get("cache")
        folder = None if cache is False else indices_folder(cache_folder(cache))
        _opened[features] = open_index(X, folder, progress=options.get("progress", True))
    return _opened[features].nearest(X, Space.of(X), asked, query.own, n)
