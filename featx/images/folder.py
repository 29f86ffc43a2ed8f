"""Images to work on, in a stable order, with their labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from featx.errors import ImageSourceError, OptionError
from featx.images.arrays import array_image, array_images
from featx.images.labels import Label, Labels, classes_of, labels_of
from featx.images.memory import MemoryImage, picture_in_memory
from featx.text import count

#: What names images: a folder, a picture (a path, bytes, an open file, an image of Pillow), a
#: sequence or table of these, or an array of pictures; where a function says so, features of them.
#: Any object, since tables and arrays of several libraries are known by what they can do.
ImageSource: TypeAlias = Any

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".gif", ".webp", ".avif"),
        *(".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k"),
        *(".ico", ".tga", ".heic", ".heif"),
    )
)

_EXPECTED = (
    "a folder of images, an image (a path, bytes, an open file, a Pillow image), a list of images, "
    "a pandas DataFrame with a column `path`, or an array of pictures"
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
        Files left alone because they are no images by their name.
    root : str or None
        The folder that was scanned, if it was one folder.
    """

    paths: tuple[str, ...]
    labels: tuple[Label | None, ...]
    n_other: int = 0
    root: str | None = None

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
        is the first folder below `root`, or None directly in `root`. Links are followed. Files
        and folders with a leading dot are left alone.

        Parameters
        ----------
        root : str or PathLike
            A folder.

        Returns
        -------
        ImageFolder
            Sorted by the path relative to `root`, by code points, whatever the file system says.

        Raises
        ------
        ImageSourceError
            The folder is missing, unreadable or without images.
        """
        root = os.fspath(root)
        if not os.path.isdir(root):
            found = "is no folder" if os.path.exists(root) else "does not exist"
            raise ImageSourceError(f"{root!r} {found}: expected a folder of images")
        files = sorted(_walk(root))
        images = [relative for relative, is_image in files if is_image]
        n_other = len(files) - len(images)
        if not images:
            raise ImageSourceError(
                f"no images in {root!r}, which has {count(n_other, 'other file')}: expected names "
                "that end in .jpg, .png, .webp or another suffix of an image"
            )
        return cls(
            paths=tuple(os.path.join(root, relative.replace("/", os.sep)) for relative in images),
            labels=tuple(
                relative.partition("/")[0] if "/" in relative else None for relative in images
            ),
            n_other=n_other,
            root=root,
        )

    @classmethod
    def of(cls, source: ImageSource, labels: Labels = None) -> ImageFolder:
        """Take images from whatever names them.

        Parameters
        ----------
        source : ImageFolder, str, PathLike, picture, iterable, DataFrame, or array of pictures
            A folder (see `scan`), one image, images in a list, tuple, iterator, Index or Series,
            or a pandas DataFrame with a column `path` and possibly a column `label`. An image is a
            path or a picture in memory: the bytes of a file, a file that is open in binary mode
            (which is read from its beginning), an image of Pillow, or an array of pixels; they may
            be mixed. A folder within a list is replaced by its images. A file that is missing, or
            bytes that are damaged, are none the less an image to work on: that it cannot be read
            is its outcome. Pictures of one array (see `featx.images.arrays.array_images`) are
            called "array[0]", "array[1]" and so on, others in memory "image[3]" by their position.
        labels : sequence or array, optional
            The class of each image, where `source` has none: numbers, names or one-hot rows (see
            `featx.images.labels.labels_of`).

        Returns
        -------
        ImageFolder
            In the order given.

        Raises
        ------
        ImageSourceError
            There is no image in `source`, or it is something else.
        OptionError
            The labels do not fit the images, or the images have labels already.
        """
        images = cls._of(source)
        if labels is None:
            return images
        if any(label is not None for label in images.labels):
            raise OptionError("the images have labels already: leave out labels=")
        return replace(images, labels=labels_of(labels, len(images)))

    @classmethod
    def _of(cls, source: ImageSource) -> ImageFolder:
        if isinstance(source, ImageFolder):
            return source
        if isinstance(source, str | os.PathLike) and not isinstance(source, MemoryImage):
            return cls._of_path(_as_image(source, "images", ""))
        if hasattr(source, "columns") and hasattr(source, "iloc"):
            return cls._of_frame(source)
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
        return cls._of_items(source)

    @classmethod
    def _of_path(cls, path: str) -> ImageFolder:
        if os.path.isdir(path):
            return cls.scan(path)
        if not os.path.exists(path):
            raise ImageSourceError(f"{path!r} does not exist: expected {_EXPECTED}")
        if not _named_as_image(path):
            raise ImageSourceError(f"{path!r} is no image by its name: expected {_EXPECTED}")
        return cls(paths=(path,), labels=(None,))

    @classmethod
    def of_rows(cls, items: Iterable[Any], what: str) -> ImageFolder:
        """Take one image from each item, whatever it is: a path or a picture in memory.

        Unlike those of a list in `of`, a folder is no more than a path that is no image. An error
        begins with `what`, in which {} is the position of the item.
        """
        paths = tuple(
            _as_image(item, what.format(position), f"image[{position}]")
            for position, item in enumerate(items)
        )
        if not paths:
            raise ImageSourceError(f"the list of images is empty: expected {_EXPECTED}")
        return cls(paths=paths, labels=(None,) * len(paths))

    @classmethod
    def _of_items(cls, source: Iterable[Any]) -> ImageFolder:
        paths: list[str] = []
        labels: list[Label | None] = []
        n_other = 0
        for path in cls.of_rows(source, "item {} of the images").paths:
            if not isinstance(path, MemoryImage) and os.path.isdir(path):
                folder = cls.scan(path)
                paths.extend(folder.paths)
                labels.extend(folder.labels)
                n_other += folder.n_other
            else:
                paths.append(path)
                labels.append(None)
        return cls(paths=tuple(paths), labels=tuple(labels), n_other=n_other)

    @classmethod
    def _of_frame(cls, frame: Any) -> ImageFolder:
        columns = list(frame.columns)
        if "path" not in columns:
            raise ImageSourceError(
                f"the DataFrame of images has the columns {columns}: expected `path`, and `label` "
                "if the images have classes"
            )
        if not len(frame):
            raise ImageSourceError("the DataFrame of images is empty: expected a row an image")
        paths = cls.of_rows(frame["path"].tolist(), "row {} of the column `path`").paths
        n = len(paths)
        labels = labels_of(frame["label"], n) if "label" in columns else (None,) * n
        return cls(paths=paths, labels=labels)


def _named_as_image(name: str) -> bool:
    return os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES


def _is_array(source: Any) -> bool:
    """Whether this is an array of numbers with several axes, of numpy or another library."""
    if isinstance(source, np.ndarray):
        return source.ndim > 1 and source.dtype.kind in "biufc"
    return hasattr(source, "__array__") and getattr(source, "ndim", 1) > 1


def _as_image(item: Any, what: str, name: str) -> str:
    """Take one image: a path, or a picture in memory of this name. An error begins with `what`."""
    path = os.fsdecode(item) if isinstance(item, os.PathLike) else item
    if isinstance(path, str) and not isinstance(path, MemoryImage):
        return str(path)  # of numpy.str_ a plain one
    image = picture_in_memory(item, what, name)
    if image is None and hasattr(item, "__array__"):
        image = array_image(item, what, name)
    if image is None:
        raise ImageSourceError(
            f"{what} is a {type(item).__name__}: expected a path, as str or pathlib.Path, or a "
            "picture in memory: bytes, an open file, a Pillow image or an array"
        )
    return image


def _walk(root: str) -> Iterator[tuple[str, bool]]:
    """Yield the files below a folder: relative path with "/" between names, and whether an image.

    A link to a folder is followed unless it leads to one of the folders that contain it, which is
    what makes a loop; whether it is followed does not depend on the order of listing.
    """
    pending = [(root, "", frozenset[tuple[int, int]]())]
    while pending:
        folder, prefix, above = pending.pop()
        try:
            status = os.stat(folder)
            identity = (status.st_dev, status.st_ino)
            if identity in above:
                continue
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            raise ImageSourceError(
                f"cannot list the folder {folder!r}: {error.strerror or error}; "
                "allow reading it, or leave it out"
            ) from error
        for entry in entries:
            hidden = entry.name.startswith(".")
            if _is_dir(entry):
                if not hidden:
                    pending.append((entry.path, f"{prefix}{entry.name}/", above | {identity}))
            else:
                is_image = not hidden and _named_as_image(entry.name) and _is_file(entry)
                yield prefix + entry.name, is_image


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Tell a file, or a link that leads nowhere: a missing image, not one to pass over in silence.

    Pipes, sockets and devices are none: reading one could wait for ever.
    """
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True
