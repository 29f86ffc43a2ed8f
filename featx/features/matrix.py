"""The feature matrix: vectors with their paths, labels, outcomes and recipe."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.calibration import Calibration
from featx.errors import OptionError, StorageError, warn_of_images
from featx.features import formats
from featx.features.columns import (
    as_arrays,
    as_labels,
    as_paths,
    chosen_columns,
    corrected,
    feature_names,
    first_rows,
    labels_from_texts,
    texts_of,
)
from featx.features.description import description_of, fields_of
from featx.features.parts.folder import FeatureFolder, check_outside, names_folder
from featx.features.parts.rows import chosen_rows
from featx.features.parts.writing import save_folder
from featx.features.recipe import Recipe
from featx.features.summary import Summarised
from featx.features.transfer import received, sent
from featx.features.whereabouts import Whereabouts, common_folder
from featx.files import MEMORY_MAP_BYTES
from featx.images.decode import Outcome
from featx.text import count

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
class Features(Summarised):
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
    digests : ndarray of shape (n,), S64, or None
        The SHA-256 of the picture's file of each row, in hexadecimal, empty where it is not known.
        Those just embedded have them, and those of a folder of features; other files do not.
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
    digests: np.ndarray | None = None

    def __post_init__(self) -> None:
        for field, value in as_arrays(self.X, self.y, self.paths).items():
            object.__setattr__(self, field, value)
        rows = {"X": len(self.X), "paths": len(self.paths)}
        rows |= {f"view {number}": len(each) for number, each in enumerate(self.views, 1)}
        beside = {"y": self.y, "digests": self.digests}
        rows |= {name: len(each) for name, each in beside.items() if each is not None}
        if len(set(rows.values())) > 1:
            text = ", ".join(f"{name} has {n}" for name, n in rows.items())
            raise OptionError(f"features need as many rows everywhere: {text}")

    def __repr__(self) -> str:
        classes = "no labels" if self.y is None else count(len(self.classes), "class")
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"Features({' x '.join(map(str, self.X.shape))}, {classes}{failed}; {self.recipe})"

    @property
    def matrix(self) -> np.ndarray:
        """X as a table of shape (n, columns), which scikit-learn takes."""
        return formats.flat(np.asanyarray(self.X))

    @property
    def view_matrices(self) -> tuple[np.ndarray, ...]:
        """The views as tables, as `matrix` is that of X."""
        return tuple(view.reshape(len(self), self.width) for view in self.views)

    @property
    def feature_names(self) -> list[str]:
        """Names of the columns of `matrix`."""
        return feature_names(self.recipe, self.width)

    @property
    def root(self) -> str | None:
        """The folder that all pictures are in; None if there is none."""
        folder = common_folder(self.paths.tolist())
        return None if folder is None else folder or os.curdir

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
        chosen = self._rows(positions, self._beside())
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
            columns = chosen_columns(columns, self.width)
        beside, n = self._beside(), len(self)
        return (
            self._rows(slice(start, min(start + size, n)), beside, columns)
            for start in range(0, n, size)
        )

    def find(self, digests: Sequence[str] | np.ndarray) -> np.ndarray:
        """Say in which rows pictures are, by the digests of their files.

        Parameters
        ----------
        digests : sequence of str
            SHA-256 of files, in hexadecimal.

        Returns
        -------
        ndarray of shape (n,), int64
            The first row of each; -1 where there is none.

        Raises
        ------
        OptionError
            These features do not know the digests of their pictures.
        """
        if self.digests is None:
            raise OptionError(
                "these features do not know the digests of their pictures: expected features that "
                "were just embedded, or a folder of features"
            )
        return first_rows(self.digests, np.asarray(digests, dtype="S64"))

    def _beside(self) -> Callable[[Any], dict[str, Any]]:
        """Return what gives all fields of some rows but their vectors."""
        by_path = {outcome.path: outcome for outcome in self.outcomes}

        def of_rows(rows: np.ndarray | slice) -> dict[str, Any]:
            paths = self.paths[rows]
            return {
                "paths": paths,
                "y": None if self.y is None else self.y[rows],
                "outcomes": tuple(by_path[path] for path in paths if path in by_path),
                "digests": None if self.digests is None else self.digests[rows],
            }

        return of_rows

    def _rows(
        self,
        rows: np.ndarray | slice,
        beside: Callable[[Any], dict[str, Any]],
        columns: np.ndarray | slice | None = None,
    ) -> Features:
        """Return rows, of all columns of the matrix or of some."""
        X, *views = (chosen_rows(each, rows) for each in (self.X, *self.views))
        if columns is not None:
            X, *views = (formats.flat(each)[:, columns] for each in (X, *views))
        return Features(
            X=X,
            **beside(rows),
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
        """Save to a file, .npz, .npy, .parquet or .csv, or to a folder, "photos.features".

        A folder holds Parquet files of some thousand pictures each, which are read lazily, and may
        be larger than memory.

        Parameters
        ----------
        path : str or path
            The suffix chooses the format; "/" at the end is a folder, too. A file may be at an
            address, such as s3://bucket/photos.npz, and is put there whole. The sidecar of .npy and
            .csv is named like the file with ".json" added
            and holds the recipe, the outcomes and, for .npy, the paths and labels.

        Raises
        ------
        OptionError
            Another suffix; views in a folder; a place within a folder of features.
        StorageError
            It cannot be written; an older file at `path` is left as it was.
        """
        check_outside(path)
        if names_folder(path):
            save_folder(self, path)
            return
        place = Whereabouts.of(self.paths.tolist(), path)
        about = description_of(vars(self), [asdict(each) for each in self.outcomes], place)
        labels, kind = texts_of(self.labels)
        if kind:
            about["labels_are"] = kind
        X, paths = np.asanyarray(self.X, dtype=np.float32), self.paths.tolist()
        if self.views:
            about["views"] = len(self.views)
            X = np.concatenate([X, *self.views])
            paths *= 1 + len(self.views)
            labels = labels and labels * (1 + len(self.views))
        stored = formats.Stored(X, paths, labels, about)
        with sent(path) as file:
            formats.save(file, stored, self.feature_names)

    @classmethod
    def load(
        cls, path: str | PathLike[str], *, root: str | PathLike[str] | None = None
    ) -> Features:
        """Load what `save` wrote, or a .csv or .parquet table with a column `path`.

        A matrix in .npy comes back as a memory map. Of a folder, "photos.features", that is larger
        than 192 MB, `X` reads the rows that it is asked for, and paths, labels and outcomes are
        read on first use. A table that was made elsewhere has no recipe,
        and is called like its file. Paths lead to the pictures where these are there, also from
        another current folder, or where they and the file have moved together.

        Parameters
        ----------
        path : str or path
            The file; its suffix names the format. Or the folder. A file may be at an address,
            such as s3://bucket/photos.npz.
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
        if names_folder(path):
            return open_folder(path, root)
        with received(path) as file:
            stored = formats.load(file)
        about = stored.about or _NOTHING_KNOWN
        try:
            n_views = int(about.get("views", 0))
            n = len(stored.X) // (1 + n_views)
            known = fields_of(about)
            labels: Sequence[Any] | None = stored.labels and stored.labels[:n]
            if labels and file.suffix.lower() in (".csv", ".parquet"):
                labels, renamed = corrected(labels)
                warn_of_images(renamed)
                known["notes"] += tuple(renamed)
            if known["recipe"] is None and not known["name"]:
                known["name"] = file.stem
            loaded = cls(
                X=stored.X[:n],
                y=labels_from_texts(labels, about.get("labels_are")),
                paths=as_paths(stored.paths[:n]),
                views=tuple(np.split(stored.X[n:], n_views)) if n_views else (),
                outcomes=tuple(
                    Outcome(**{**outcome, "notes": tuple(outcome["notes"])})
                    for outcome in about["outcomes"]
                ),
                **known,
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


class OpenedFeatures(Features):
    """Features of a folder, `photos.features`, of which is read what is asked for.

    Features that are made of them with other values, as `dataclasses.replace` does, are plain ones
    that read their vectors lazily.
    """

    _folder: FeatureFolder

    def __new__(cls, *values: Any, **fields: Any) -> Any:
        return Features(*values, **fields) if values or fields else super().__new__(cls)

    @classmethod
    def of(cls, folder: FeatureFolder, seconds: float, elapsed: float) -> OpenedFeatures:
        """Open a folder, of which only its manifest is read; see `open_folder`."""
        opened: OpenedFeatures = cls.__new__(cls)
        known = {"seconds": seconds, "elapsed": elapsed, "views": (), **folder.fields}
        opened.__dict__.update(X=folder.rows, _folder=folder, **known)
        return opened

    @cached_property
    def paths(self) -> np.ndarray:
        return self._folder.paths

    @cached_property
    def y(self) -> np.ndarray | None:  # type: ignore[override]
        return self._folder.y

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:  # type: ignore[override]
        return tuple(self._folder.outcomes)

    @cached_property
    def digests(self) -> np.ndarray | None:
        return self._folder.digests

    @cached_property
    def failed(self) -> tuple[Outcome, ...]:
        return tuple(self._folder.failed)

    def _statuses(self) -> Counter[str]:
        return Counter(self._folder.counts)

    def _beside(self) -> Callable[[Any], dict[str, Any]]:
        whole = super()._beside

        def of_rows(rows: np.ndarray | slice) -> dict[str, Any]:
            if isinstance(rows, slice):
                return self._folder.columns(rows.start, rows.stop)
            return whole()(rows)

        return of_rows


def open_folder(
    path: str | PathLike[str],
    root: str | PathLike[str] | None = None,
    *,
    kept: Mapping[str, int] | None = None,
    seconds: float = 0.0,
    elapsed: float = 0.0,
) -> Features:
    """Open a folder of features, lazily unless it is small; see `Features.load`.

    `kept` is what the run that wrote it found there, as `FeatureFolder` takes it; `seconds` and
    `elapsed` are what that run took.
    """
    opened = OpenedFeatures.of(FeatureFolder(path, root, kept), seconds, elapsed)
    if opened.X.nbytes > MEMORY_MAP_BYTES:
        return opened
    return replace(opened, X=np.asarray(opened.X))
