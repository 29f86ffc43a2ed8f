"""Images to work on, in a stable order, with their labels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from featx.errors import ImageSourceError, OptionError, one_line
from featx.images.arrays import array_image, array_images
from featx.images.labels import (
    Label,
    Labels,
    class_names,
    classes_of,
    labels_of,
    notes_on_names,
)
from featx.images.layout import parts_of
from featx.images.listing import Listing, list_folder, named_as_image
from featx.images.memory import MemoryImage, picture_in_memory
from featx.text import count, listed, text_of_cell

#: What names images: a folder, a picture (a path, bytes, an open file, an image of Pillow), a
#: sequence or table of these, or an array of pictures; where a function says so, features of them.
#: Any object, since tables and arrays of several libraries are known by what they can do.
ImageSource: TypeAlias = Any

_EXPECTED_PATH = (
    "a folder of images, a table of them (.csv), or an image whose name ends in .jpg, .png, .webp "
    "or another suffix of one"
)
_EXPECTED = (
    "a folder of images, an image (a path, bytes, an open file, a Pillow image), a list of images, "
    "a table (.csv or pandas DataFrame) with a column `path`, or an array of pictures"
)


@dataclass(frozen=True)
class ImageFolder:
    """Images to work on, in order, with their labels.

    Parameters
    ----------
    paths : tuple of str
        Can be opened from the current directory, or pictures in memory (`MemoryImage`).
    labels : tuple of (str, int, bool or None)
        Class of each image, or None.
    n_other : int
        Files left alone because they are no images by their name, and folders that other programs
        left behind.
    root : str or None
        The folder that was scanned, if it was one folder.
    parts : str or None
        What to do where the sub-folders are parts of a data set, such as train and test, and no
        classes.
    notes : tuple of str
        What a reader should know of it, a line each: folders that are no class because no image
        is in them, names that are one class or look alike, links that were not followed twice.
    """

    paths: tuple[str, ...]
    labels: tuple[Label | None, ...]
    n_other: int = 0
    root: str | None = None
    parts: str | None = None
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def classes(self) -> tuple[Label, ...]:
        """The distinct labels, sorted."""
        return classes_of(self.labels)

    @property
    def labelled(self) -> bool:
        """Whether there are images and every one has a label."""
        return bool(self.labels) and None not in self.labels

    @classmethod
    def scan(cls, root: str | os.PathLike[str]) -> ImageFolder:
        """Find the images in a folder and its sub-folders.

        An image is a file with one of `IMAGE_SUFFIXES`; what is in it is not looked at. Its label
        is the first folder below `root`, or None directly in `root`, as `class_names` writes it.
        Links are followed, each folder once. Files and folders with a leading dot are left alone,
        and so is what file managers, network drives and notebooks leave behind.

        Parameters
        ----------
        root : str or PathLike
            A folder; "~" is the home folder.

        Returns
        -------
        ImageFolder
            Sorted by the path relative to `root`, by code points, whatever the file system says.

        Raises
        ------
        ImageSourceError
            The folder is missing, unreadable or without images.
        """
        root = os.path.expanduser(os.fspath(root))
        if not os.path.isdir(root):
            found = "is no folder" if os.path.exists(root) else f"does not exist{_looked_in(root)}"
            raise ImageSourceError(f"{root!r} {found}: expected a folder of images")
        listing = list_folder(root)
        images = [relative for relative, is_image in listing.files if is_image]
        n_other = len(listing.files) - len(images) + listing.n_left_behind
        if not images:
            holds = f"has {count(n_other, 'other file')}" if n_other else "holds no file"
            raise ImageSourceError(
                f"no images in {root!r}, which {holds}: expected names "
                "that end in .jpg, .png, .webp or another suffix of an image"
            )
        names = [relative.partition("/")[0] if "/" in relative else None for relative in images]
        parts = parts_of(root, images)
        notes = [*_notes_on(listing, images), *notes_on_names(names)]
        return cls(
            paths=tuple(os.path.join(root, relative.replace("/", os.sep)) for relative in images),
            labels=class_names(names),
            n_other=n_other,
            root=root,
            parts=parts,
            notes=tuple(notes if parts is None else [parts, *notes]),
        )

    @classmethod
    def of(
        cls,
        source: ImageSource,
        labels: Labels = None,
        root: str | os.PathLike[str] | None = None,
    ) -> ImageFolder:
        """Take images from whatever names them.

        Parameters
        ----------
        source : ImageFolder, str, PathLike, picture, iterable, DataFrame, or array of pictures
            A folder (see `scan`), one image, images in a list, tuple, iterator, Index or Series,
            or a table with a column `path` and possibly a column `label`: a pandas DataFrame, or a
            file whose name ends in .csv. An image is a path, in which "~" is the home folder, or a
            picture in memory: the bytes of a file, a file that is open in binary mode
            (which is read from its beginning), an image of Pillow, or an array of pixels; they may
            be mixed. A folder within a list is replaced by its images. A file that is missing, or
            bytes that are damaged, are none the less an image to work on: that it cannot be read
            is its outcome. Pictures of one array (see `featx.images.arrays.array_images`) are
            called "array[0]", "array[1]" and so on, others in memory "image[3]" by their position.
        labels : sequence or array, optional
            The class of each image, where `source` has none: numbers, names or one-hot rows (see
            `featx.images.labels.labels_of`).
        root : str or PathLike, optional
            The folder in which relative paths of a list or a table begin; by default the current
            one.

        Returns
        -------
        ImageFolder
            In the order given.

        Raises
        ------
        ImageSourceError
            There is no image in `source`, or it is something else.
        OptionError
            The labels do not fit the images, the images have labels already, or there are no
            relative paths that could begin in `root`.
        """
        images = cls._of(source, None if root is None else os.path.expanduser(os.fspath(root)))
        if labels is None:
            return images
        if any(label is not None for label in images.labels):
            raise OptionError("the images have labels already: leave out labels=")
        return images._labelled(labels_of(labels, len(images)))

    def _labelled(self, labels: Sequence[Label | None]) -> ImageFolder:
        """Give the images these labels, as `class_names` writes them."""
        notes = (*self.notes, *notes_on_names(labels))
        return replace(self, labels=class_names(labels), notes=notes)

    @classmethod
    def _of(cls, source: ImageSource, root: str | None) -> ImageFolder:
        if isinstance(source, ImageFolder):
            return source
        if isinstance(source, str | os.PathLike) and not isinstance(source, MemoryImage):
            return cls._of_path(_as_image(source, "images", ""), root)
        if hasattr(source, "columns") and hasattr(source, "iloc"):
            return cls._of_frame(source, root)
        image = picture_in_memory(source, "the image", "image[0]")
        if image is not None:
            return cls(paths=(image,), labels=(None,))
        if _is_array(source):
            pictures = array_images(source)
            return cls(paths=pictures, labels=(None,) * len(pictures))
        if hasattr(source, "tolist"):  # array, Series, Index
            source = list(source) if getattr(source, "ndim", 1) > 1 else source.tolist()
        if not isinstance(source, Iterable) or isinstance(source, Mapping | Set):  # has no order
            raise ImageSourceError(f"images are a {type(source).__name__}: expected {_EXPECTED}")
        return cls._of_items(source, root)

    @classmethod
    def _of_path(cls, path: str, root: str | None) -> ImageFolder:
        if path.lower().endswith(".csv") and os.path.isfile(path):
            return cls._of_frame(_read_table(path), root)
        if root is not None:
            raise OptionError(
                f"root {root!r} goes with a list or a table of paths, and {path!r} is neither: "
                "leave it out"
            )
        if os.path.isdir(path):
            return cls.scan(path)
        if not os.path.exists(path):
            raise ImageSourceError(
                f"{path!r} does not exist{_looked_in(path)}: expected {_EXPECTED_PATH}"
            )
        if not named_as_image(path):
            raise ImageSourceError(f"{path!r} is no image by its name: expected {_EXPECTED_PATH}")
        return cls(paths=(path,), labels=(None,))

    @classmethod
    def of_rows(cls, items: Iterable[Any], what: str, root: str | None = None) -> ImageFolder:
        """Take one image from each item, whatever it is: a path or a picture in memory.

        Unlike those of a list in `of`, a folder is no more than a path that is no image. An error
        begins with `what`, in which {} is the position of the item; relative paths begin in `root`.
        """
        paths = tuple(
            _as_image(item, what.format(position), f"image[{position}]", root)
            for position, item in enumerate(items)
        )
        if not paths:
            raise ImageSourceError(f"the list of images is empty: expected {_EXPECTED}")
        return cls(paths=paths, labels=(None,) * len(paths))

    @classmethod
    def _of_items(cls, source: Iterable[Any], root: str | None) -> ImageFolder:
        paths: list[str] = []
        labels: list[Label | None] = []
        n_other, notes = 0, dict[str, None]()
        for path in cls.of_rows(source, "item {} of the images", root).paths:
            if not isinstance(path, MemoryImage) and os.path.isdir(path):
                folder = cls.scan(path)
                paths.extend(folder.paths)
                labels.extend(folder.labels)
                n_other += folder.n_other
                notes |= dict.fromkeys(folder.notes)
            else:
                paths.append(path)
                labels.append(None)
        return cls(tuple(paths), tuple(labels), n_other, notes=tuple(notes))

    @classmethod
    def _of_frame(cls, frame: Any, root: str | None) -> ImageFolder:
        columns = list(frame.columns)
        if "path" not in columns:
            raise ImageSourceError(
                f"the table of images has the columns {columns}: expected `path`, and `label` "
                "if the images have classes"
            )
        if not len(frame):
            raise ImageSourceError("the table of images is empty: expected a row an image")
        paths = frame["path"].tolist()
        images = cls.of_rows(paths, "row {} of the column `path`", root)
        if "label" not in columns:
            return images
        return images._labelled(labels_of(frame["label"], len(images)))


def _looked_in(path: str) -> str:
    """Say in which folder a relative path was looked for."""
    return "" if os.path.isabs(path) else f" in {os.getcwd()}"


def is_folder(source: ImageSource) -> bool:
    """Tell a path of a folder from whatever else names images."""
    return isinstance(source, str | os.PathLike) and os.path.isdir(os.path.expanduser(source))


def _notes_on(listing: Listing, images: Sequence[str]) -> list[str]:
    """Say which folders are no class, since no image is in them, and which were met again."""
    full = {name.partition("/")[0] for name in images if "/" in name}
    suffixes: dict[str, Counter[str]] = {each: Counter() for each in listing.folders}
    for name, _ in listing.files:
        folder, _, rest = name.partition("/")
        if folder not in full and rest:
            suffixes[folder][os.path.splitext(rest)[1].lower() or "without a suffix"] += 1
    empty = [
        f"{folder} ({_instead(found, folder in listing.again)})"
        for folder, found in suffixes.items()
        if folder not in full
    ]
    again = [each for each in listing.again if each not in suffixes]
    notes = []
    if empty:
        notes.append(f"no class, since no picture is in the folder: {listed(empty)}")
    if again:
        notes.append(
            f"counted once, since it is a link to a folder listed already: {listed(again)}"
        )
    return notes


def _instead(suffixes: Counter[str], is_again: bool) -> str:
    """Say what a folder has in place of images, by the suffixes of its files."""
    if is_again:
        return "a link to a folder listed already"
    if not suffixes:
        return "it is empty"
    kinds = [f"{number} {suffix}" for suffix, number in suffixes.most_common()]
    return f"{listed(kinds, 3)}: convert them to .jpg, .png or .tif if they are pictures"


def _read_table(path: str) -> Any:
    """Read a .csv table, every cell as text."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise ImageSourceError(
            f"{path!r} is no table that can be read ({one_line(error)}): expected commas between "
            "the columns, `path` and `label` in the first line"
        ) from error
    return table.map(text_of_cell)


def _is_array(source: Any) -> bool:
    """Whether this is an array of numbers with several axes, of numpy or another library."""
    if isinstance(source, np.ndarray):
        return source.ndim > 1 and source.dtype.kind in "biufc"
    return hasattr(source, "__array__") and getattr(source, "ndim", 1) > 1


def _as_image(item: Any, what: str, name: str, root: str | None = None) -> str:
    """Take one image: a path, or a picture in memory of this name. An error begins with `what`.

    A relative path begins in `root`.
    """
    path = os.fsdecode(item) if isinstance(item, os.PathLike) else item
    if isinstance(path, str) and not isinstance(path, MemoryImage):
        if not path:
            raise ImageSourceError(f"{what} is empty: expected a path")
        path = os.path.expanduser(str(path))  # of numpy.str_ a plain one
        return path if root is None else os.path.join(root, path)
    image = picture_in_memory(item, what, name)
    if image is None and hasattr(item, "__array__"):
        image = array_image(item, what, name)
    if image is None:
        found = "missing" if item is None or item != item else f"a {type(item).__name__}"
        raise ImageSourceError(
            f"{what} is {found}: expected a path, as str or pathlib.Path, or a "
            "picture in memory: bytes, an open file, a Pillow image or an array"
        )
    return image
