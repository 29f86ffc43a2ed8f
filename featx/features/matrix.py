"""The feature matrix: vectors with their paths, labels, outcomes and recipe."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.calibration import Calibration
from featx.errors import OptionError, StorageError, one_line, warn_of_images
from featx.features import formats
from featx.features.columns import (
    as_labels,
    as_paths,
    corrected,
    feature_names,
    labels_from_texts,
)
from featx.features.recipe import Recipe
from featx.features.whereabouts import Whereabouts, common_folder
from featx.images.decode import Outcome
from featx.images.labels import Label, classes_of, labels_of
from featx.text import count, duration, listed, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_NOTHING_KNOWN: dict[str, Any] = {  # about a table that was made elsewhere
    "recipe": None,
    "outcomes": [],
    "n_other": 0,
    "weights": "imagenet",
}


@dataclass(frozen=True, eq=False)
class Features:
    """A feature matrix and where every row comes from.

    Attributes
    ----------
    X : ndarray of shape (n, width) or (n, height, width, channels), float32
        Row i is the feature of paths[i]. A matrix too big for memory is a memory map.
    y : ndarray of shape (n,), str, int64, bool or object, or None
        The class of each row, of the type that the labels were given in; None where no image has
        one. In a folder that mixes images in class folders with others, the others have the label
        None.
    paths : ndarray of shape (n,), object
        The file of each row, or the picture itself where it was in memory (`MemoryImage`). Saved
        features know the names of such pictures, but not what they hold.
    outcomes : tuple of Outcome
        One per input file, in order, failed ones too.
    recipe : Recipe or None
        What made the vectors; None for a table that was made elsewhere.
    n_other : int
        Files that were left alone because they are no images by name, and folders that other
        programs left behind.
    weights : str
        What to ask for to get the weights of the recipe again: "imagenet", "random" or a path.
    seconds : float
        Time from the first image opened to the last vector, start-up apart.
    elapsed : float
        Time in all.
    images_per_second : float
        How fast the network was on the machine that made the vectors; NaN if unknown.
    views : tuple of ndarray of the shape of X, float32
        Vectors of augmented views of the same pictures: row i of each belongs to paths[i].
        Classifiers learn from them as from further pictures, and are judged without them. In a
        file they are further rows of the same paths, after all others.
    notes : tuple of str
        What a reader should know of the images, a line each: classes that are gone since they have
        no picture, names that are one class or look alike, links that were not followed twice.
    name : str or None
        What comparisons call them; None for the network of the recipe.
    calibrations : tuple of Calibration
        Of the networks that computed in int8; a file holds them, so that a model that learns from
        it can embed new pictures.
    """

    X: np.ndarray
    y: np.ndarray | None
    paths: np.ndarray
    outcomes: tuple[Outcome, ...] = ()
    recipe: Recipe | None = None
    n_other: int = 0
    weights: str = "imagenet"
    seconds: float = 0.0
    elapsed: float = 0.0
    images_per_second: float = math.nan
    views: tuple[np.ndarray, ...] = ()
    notes: tuple[str, ...] = ()
    name: str | None = None
    calibrations: tuple[Calibration, ...] = ()

    def __post_init__(self) -> None:
        for field, value in _as_arrays(self.X, self.y, self.paths).items():
            object.__setattr__(self, field, value)
        rows = {"X": len(self.X), "paths": len(self.paths)}
        rows |= {f"view {number}": len(each) for number, each in enumerate(self.views, 1)}
        rows |= {} if self.y is None else {"y": len(self.y)}
        if len(set(rows.values())) > 1:
            text = ", ".join(f"{name} has {n}" for name, n in rows.items())
            raise OptionError(f"features need as many rows everywhere: {text}")

    def __len__(self) -> int:
        return len(self.X)

    def __repr__(self) -> str:
        classes = "no labels" if self.y is None else f"{len(self.classes)} classes"
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"Features({' x '.join(map(str, self.X.shape))}, {classes}{failed}; {self.recipe})"

    def _repr_html_(self) -> str:
        counts = Counter("no label" if label is None else label for label in self.labels)
        rows = {"images": f"{len(self):,}", "features": " x ".join(map(str, self.X.shape[1:]))}
        if self.y is not None:
            names = [*self.classes, *(["no label"] if None in self.labels else [])]
            named = [f"{printable(name)} ({counts[name]})" for name in names]
            rows["classes"] = ", ".join(named[:20]) + (", …" if len(named) > 20 else "")
        if self.failed:
            failed = [f"{each.path}: {each.reason}" for each in self.failed]
            rows["failed"] = listed(failed, 5)
        rows["recipe"] = str(self.recipe) if self.recipe else "none: made elsewhere"
        rows |= {"name": printable(self.name)} if self.name else {}
        cells = [f"<tr><th>{key}</th><td>{escape(text)}</td></tr>" for key, text in rows.items()]
        return f"<table>{''.join(cells)}</table>"

    @property
    def classes(self) -> tuple[Label, ...]:
        """The distinct labels, sorted."""
        return classes_of(self.labels)

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of the files that could not be read."""
        return tuple(outcome for outcome in self.outcomes if not outcome.ok)

    @property
    def losses(self) -> tuple[str, ...]:
        """What is worth a warning, a line each: how many files are left out, and the notes."""
        failed = self.failed
        if not failed:
            return self.notes
        first, share = failed[0], f"{len(failed):,} of {count(len(self.outcomes), 'image')}"
        return (
            f"{share} cannot be read and {'is' if len(failed) == 1 else 'are'} left out, such as "
            f"{printable(f'{first.path}: {first.reason}')}; `failed` of the result lists them",
            *self.notes,
        )

    @property
    def matrix(self) -> np.ndarray:
        """X as a table of shape (n, columns), which scikit-learn takes."""
        return formats.flat(self.X)

    @property
    def view_matrices(self) -> tuple[np.ndarray, ...]:
        """The views as tables, as `matrix` is that of X."""
        return tuple(view.reshape(self.matrix.shape) for view in self.views)

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of `matrix`."""
        return feature_names(self.recipe, self.matrix.shape[1])

    @property
    def root(self) -> str | None:
        """The folder that all pictures are in; None if there is none."""
        folder = common_folder(self.paths.tolist())
        return None if folder is None else folder or os.curdir

    @property
    def labels(self) -> list[Label | None]:
        """The label of each row, None where there is none."""
        return [None] * len(self) if self.y is None else self.y.tolist()

    def to_dict(self) -> dict[str, Any]:
        """Return what became of the images as plain values."""
        statuses = Counter(outcome.status for outcome in self.outcomes)
        embedded = statuses["embedded"]
        took = self.seconds if embedded else self.elapsed
        return {
            "n_images": len(self),
            "n_features": self.matrix.shape[1],
            "n_embedded": embedded,
            "n_cached": statuses["cached"],
            "n_failed": statuses["failed"],
            "failed": [{"path": each.path, "reason": each.reason} for each in self.failed],
            "n_other": self.n_other,
            "notes": list(self.notes),
            "n_views": len(self.views),
            "shape": list(self.X.shape),
            "seconds": round(self.elapsed, 3),
            "startup_seconds": round(self.elapsed - self.seconds, 3) if embedded else 0.0,
            "images_per_second": round((embedded or len(self)) / took, 1) if took else None,
            "fingerprint": self.recipe.fingerprint if self.recipe else None,
        }

    @property
    def summary(self) -> str:
        """What became of the images, with every file that failed, a line each."""
        run = self.to_dict()
        words = {"n_embedded": "embedded", "n_cached": "from the cache", "n_failed": "failed"}
        parts = [f"{run[key]:,} {word}" for key, word in words.items() if run[key]]
        if self.elapsed:  # features of a file do not know how long it took
            parts.append(self._time())
        images = count(len(self) + run["n_failed"], "image")
        views = f", {count(run['n_views'], 'view')} of each" if self.views else ""
        lines = [
            ": ".join(filter(None, [images, ", ".join(parts)])),
            f"features {' x '.join(map(str, self.X.shape))}{views} ({self.recipe})",
        ]
        if self.n_other:
            lines.append(f"left alone, no images by name: {count(self.n_other, 'file')}")
        return "\n".join([*lines, *self.notes, *(outcome.failure for outcome in self.failed)])

    def _time(self) -> str:
        """Say how long it took, start-up apart, which more pictures would not make longer."""
        run = self.to_dict()
        if not run["n_embedded"]:
            return f"in {duration(self.elapsed)}"
        speed, start = run["images_per_second"], run["startup_seconds"]
        after = f" after {duration(start)} of start-up" if start >= 0.05 else ""
        return f"in {duration(self.seconds)} ({speed:.1f} images/s){after}"

    def select(self, rows: Sequence[int] | np.ndarray) -> Features:
        """Return some of the rows.

        The outcomes of the selected rows go along; those of files without a row do not.

        Parameters
        ----------
        rows : sequence of int, or array
            Their positions, or a mask of booleans.

        Returns
        -------
        Features
        """
        rows = np.asarray(rows)
        positions = np.arange(len(self))[rows if rows.size else rows.astype(int)]
        chosen = self._rows(positions, {outcome.path: outcome for outcome in self.outcomes})
        return replace(chosen, y=None if chosen.y is None else as_labels(chosen.y.tolist()))

    def batches(
        self, size: int = 8192, columns: Sequence[int] | slice | np.ndarray | None = None
    ) -> Iterator[Features]:
        """Give the rows in order, so many at a time, without reading the others.

        Labels of a batch are of the type that those of the whole have. What is a memory map, or
        features of a folder (`photos.features`), is read a batch at a time.

        Parameters
        ----------
        size : int, default=8192
            Rows of a batch; the last one may have fewer.
        columns : sequence of int, slice or array, optional
            Positions, or a mask, of the columns of `matrix` that are wanted; by default all of
            them. Such vectors are of no recipe.

        Yields
        ------
        Features

        Raises
        ------
        OptionError
            A size below 1, or columns that there are not.
        """
        if size < 1:
            raise OptionError(f"batches of {size} rows: expected 1 or more")
        if columns is not None:
            columns = _columns(columns, int(np.prod(self.X.shape[1:])))
        by_path = {outcome.path: outcome for outcome in self.outcomes}
        return (
            self._rows(slice(start, start + size), by_path, columns)
            for start in range(0, len(self), size)
        )

    def _rows(
        self,
        rows: np.ndarray | slice,
        by_path: Mapping[str, Outcome],
        columns: np.ndarray | slice | None = None,
    ) -> Features:
        """Return rows with their outcomes, of all columns of the matrix or of some."""
        paths = self.paths[rows]
        X, *views = (each[rows] for each in (self.X, *self.views))
        if columns is not None:
            X, *views = (formats.flat(each)[:, columns] for each in (X, *views))
        return Features(
            X=X,
            y=None if self.y is None else self.y[rows],
            paths=paths,
            outcomes=tuple(by_path[path] for path in paths if path in by_path),
            recipe=self.recipe if columns is None else None,
            weights=self.weights,
            images_per_second=self.images_per_second,
            views=tuple(views),
            notes=self.notes,
            name=self.name,
            calibrations=self.calibrations if columns is None else (),
        )

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per image.

        Returns
        -------
        pandas.DataFrame
            Indexed by path: one column per feature (a map is flattened), and a column `label`
            where there are labels.
        """
        import pandas as pd

        frame = pd.DataFrame(
            self.matrix, index=pd.Index(self.paths, name="path"), columns=self.feature_names
        )
        if self.y is not None:
            label = pd.Series(self.y, index=frame.index, name="label", dtype=object)
            frame = pd.concat([frame, label], axis=1)
        return frame

    def plot(
        self,
        ax: Axes | None = None,
        *,
        method: str = "pca",
        thumbnails: bool = False,
        width: float = 6.6,
    ) -> Axes:
        """Draw the pictures in two dimensions, coloured by their classes; see `featx.plot_map`."""
        from featx.charts.map import plot_map

        return plot_map(self, ax, method=method, thumbnails=thumbnails, width=width)

    def save(self, path: str | PathLike[str]) -> None:
        """Save to a file: .npz, .npy (and a sidecar), .parquet or .csv (and a sidecar).

        Parameters
        ----------
        path : str or path
            The suffix chooses the format. The sidecar is named like the file with ".json" added
            and holds the recipe, the outcomes and, for .npy, the paths and labels.

        Raises
        ------
        OptionError
            Another suffix.
        StorageError
            The file cannot be written; an older one at `path` is left as it was.
        """
        about: dict[str, Any] = {
            "recipe": self.recipe.to_dict() if self.recipe else None,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "n_other": self.n_other,
            "weights": self.weights,
        }
        if self.notes:
            about["notes"] = list(self.notes)
        if self.name:
            about["name"] = self.name
        if self.calibrations:
            about |= formats.about_calibrations(self.calibrations)
        place = Whereabouts.of(self.paths.tolist(), Path(path))
        about["pictures"] = None if place is None else asdict(place)
        if not math.isnan(self.images_per_second):
            about["images_per_second"] = self.images_per_second
        labels = None
        if self.y is not None:
            labels = [None if label is None else str(label) for label in self.labels]
            kinds = {type(label).__name__ for label in self.labels if label is not None}
            if kinds in ({"int"}, {"bool"}):  # which a text does not tell
                about["labels_are"] = kinds.pop()
        X, paths = np.asanyarray(self.X, dtype=np.float32), self.paths.tolist()
        if self.views:
            about["views"] = len(self.views)
            X = np.concatenate([X, *self.views])
            paths *= 1 + len(self.views)
            labels = labels and labels * (1 + len(self.views))
        stored = formats.Stored(X, paths, labels, about)
        formats.save(Path(path), stored, self.feature_names)

    @classmethod
    def load(
        cls, path: str | PathLike[str], *, root: str | PathLike[str] | None = None
    ) -> Features:
        """Load what `save` wrote, or a .csv or .parquet table with a column `path`.

        A matrix in .npy comes back as a memory map. A table that was made elsewhere has no recipe,
        and is called like its file. Paths lead to the pictures where these are there, also from
        another current folder, or where they and the file have moved together.

        Parameters
        ----------
        path : str or path
            The file; its suffix names the format.
        root : str or path, optional
            The folder in which the pictures are now, if they have moved without the file.

        Returns
        -------
        Features

        Raises
        ------
        StorageError
            The file is missing, damaged, or not one of features.
        OptionError
            No picture is in `root`.
        """
        file = Path(path)
        stored = formats.load(file)
        about = stored.about or _NOTHING_KNOWN
        try:
            n_views = int(about.get("views", 0))
            n = len(stored.X) // (1 + n_views)
            notes = tuple(map(str, about.get("notes", ())))
            labels: Sequence[Any] | None = stored.labels and stored.labels[:n]
            renamed = list[str]()
            if labels and file.suffix.lower() in (".csv", ".parquet"):
                labels, renamed = corrected(labels)
                warn_of_images(renamed)
            name = about.get("name") or (None if about["recipe"] else file.stem)
            loaded = cls(
                X=stored.X[:n],
                y=labels_from_texts(labels, about.get("labels_are")),
                paths=as_paths(stored.paths[:n]),
                views=tuple(np.split(stored.X[n:], n_views)) if n_views else (),
                outcomes=tuple(
                    Outcome(**{**outcome, "notes": tuple(outcome["notes"])})
                    for outcome in about["outcomes"]
                ),
                recipe=None if about["recipe"] is None else Recipe.from_dict(about["recipe"]),
                n_other=about["n_other"],
                weights=about["weights"],
                notes=(*notes, *renamed),
                images_per_second=float(about.get("images_per_second", math.nan)),
                name=None if name is None else str(name),
                calibrations=formats.calibrations_of(about),
            )
            place = Whereabouts.from_dict(about.get("pictures"), stored.paths[:n])
        except (OptionError, ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise StorageError(f"{path} cannot be used: {error}") from error
        find = None if place is None else place.finder(stored.paths[:n], file, root)
        return loaded if find is None else loaded._moved(find)

    def _moved(self, find: Callable[[str], str]) -> Features:
        """Return the features with the paths that a function gives."""
        return replace(
            self,
            paths=as_paths([find(path) for path in self.paths]),
            outcomes=tuple(replace(each, path=find(each.path)) for each in self.outcomes),
        )


def _as_arrays(X: Any, y: Any, paths: Any) -> dict[str, Any]:
    """Return what is no array yet, such as lists of one's own, as the arrays of features."""
    made: dict[str, Any] = {}
    if not isinstance(X, np.ndarray) or X.dtype.kind != "f" or X.dtype.itemsize < 4:
        try:
            made["X"] = X = np.asarray(X, dtype=np.float32)
        except (TypeError, ValueError) as error:
            raise OptionError(
                f"X is no array of numbers ({one_line(error)}): expected a row an image"
            ) from error
    if X.ndim < 2:
        raise OptionError(f"X has the shape {X.shape}: expected a row an image, (n, width)")
    if y is not None and not isinstance(y, np.ndarray):
        given = list(y)
        made["y"] = as_labels(labels_of(given, len(given)))
    if not isinstance(paths, np.ndarray):
        made["paths"] = as_paths([os.fspath(path) for path in paths])
    return made


def _columns(columns: Sequence[int] | slice | np.ndarray, width: int) -> np.ndarray | slice:
    """Return columns as what selects them, or raise an `OptionError`."""
    chosen = columns if isinstance(columns, slice) else np.asarray(columns)
    try:
        np.arange(width)[chosen]
    except IndexError as error:
        raise OptionError(f"columns of {width:,}: {one_line(error)}") from error
    return chosen
