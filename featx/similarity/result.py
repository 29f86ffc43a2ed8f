"""Result of a search: the pictures that are most like each of a query, to print or draw."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.features.matrix import Features
from featx.features.summary import failures_of
from featx.images.decode import Outcome
from featx.similarity.search import NONE, Nearest
from featx.text import count, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_HEADER = ("query", "path", "label", "similarity")


@dataclass(frozen=True, eq=False)
class Similar:
    """The pictures that are most like each of a query.

    Attributes
    ----------
    paths : ndarray of shape (queries,), object
        The pictures that were looked for, those that could be read.
    found : ndarray of shape (queries, n), int64
        The rows of the features that are most like each, the most similar first; -1 where there
        are fewer than n.
    similarity : ndarray of shape (queries, n), float32
        How similar they are, from -1 to 1: copies have 1, pictures that have nothing in common
        about 0. NaN where there is none.
    found_paths : ndarray of shape (queries, n), object
        Their pictures, None where there is none.
    found_labels : ndarray of shape (queries, n), object
        Their labels, None where there is none.
    n_searched : int
        How many rows were searched.
    exact : bool
        Whether the query was compared with each of them; False where an index proposed those that
        may be near, which can miss one.
    failed : tuple of Outcome
        The outcomes of files of the query that could not be read.
    """

    paths: np.ndarray
    found: np.ndarray
    similarity: np.ndarray
    found_paths: np.ndarray
    found_labels: np.ndarray
    n_searched: int
    exact: bool = True
    failed: tuple[Outcome, ...] = ()

    @classmethod
    def of(cls, query: Features, among: Features, found: Nearest, exact: bool) -> Similar:
        """Name the rows that were found."""
        missing = found.rows == NONE
        paths = among.paths[found.rows]
        paths[missing] = None
        labels = np.full(found.rows.shape, None, object)
        if among.y is not None:
            labels[~missing] = among.y[found.rows[~missing]].astype(object)
        return cls(
            paths=query.paths,
            found=found.rows,
            similarity=found.similarity,
            found_paths=paths,
            found_labels=labels,
            n_searched=len(among),
            exact=exact,
            failed=query.failed,
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        return f"Similar({self.found.shape[1]} to each of {count(len(self), 'picture')})"

    def _repr_html_(self) -> str:
        table = self.to_frame().map(lambda cell: printable(cell) if isinstance(cell, str) else cell)
        return f"<p>{escape(self.summary)}</p>{table.to_html(index=False)}"

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Each picture that was found, in order: query, path, label and similarity."""
        return [
            {
                "query": str(query),
                "path": str(path),
                "label": label,
                "similarity": round(float(similarity), 6),
            }
            for query, *found in zip(
                self.paths, self.found_paths, self.found_labels, self.similarity, strict=True
            )
            for path, label, similarity in zip(*found, strict=True)
            if path is not None
        ]

    @property
    def header(self) -> list[str]:
        """The names of the columns of `cells`."""
        return list(_HEADER[len(self) == 1 :])

    @property
    def cells(self) -> list[list[str]]:
        """The rows as people read them, without the query where there is one alone."""
        cells = [
            [
                row["query"],
                row["path"],
                "-" if row["label"] is None else str(row["label"]),
                f"{row['similarity']:.3f}",
            ]
            for row in self.rows
        ]
        return [each[len(self) == 1 :] for each in cells]

    @property
    def summary(self) -> str:
        """How many were searched, and which files of the query could not be read, a line each."""
        each = " for each picture of the query" if len(self) > 1 else ""
        n = self.found.shape[1]
        found = (
            f"the {'' if n == 1 else f'{n:,} '}most similar of {count(self.n_searched, 'picture')}"
        )
        way = "exact" if self.exact else "approximate, by an index; --exact compares with all"
        return "\n".join([f"{found}{each} ({way})", *failures_of(self.failed)])

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what was searched, and what was found for each picture asked for."""
        similar: dict[str, list[dict[str, Any]]] = {str(path): [] for path in self.paths}
        for row in self.rows:
            similar[row.pop("query")].append(row)
        return {
            "n_searched": self.n_searched,
            "exact": self.exact,
            "queries": [{"path": path, "similar": found} for path, found in similar.items()],
            "failed": [{"path": each.path, "reason": each.reason} for each in self.failed],
        }

    def to_frame(self) -> pd.DataFrame:
        """Return a table of `rows`.

        Returns
        -------
        pandas.DataFrame
            The columns query, path, label and similarity.
        """
        import pandas as pd

        return pd.DataFrame(self.rows, columns=list(_HEADER))

    def plot(self) -> Figure:
        """Draw each picture of the query, and beside it those that are most like it.

        Returns
        -------
        matplotlib.figure.Figure
            A row for each picture of the query, so many that 100 pictures are drawn at most.
        """
        from featx.charts.gallery import draw_similar

        found = [
            [
                (path, "" if label is None else str(label), round(float(similarity), 6))
                for path, label, similarity in zip(*each, strict=True)
                if path is not None
            ]
            for each in zip(self.found_paths, self.found_labels, self.similarity, strict=True)
        ]
        return draw_similar(self.paths.tolist(), found)
