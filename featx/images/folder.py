"""Images to work on, in a stable order, with their labels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from featx.errors import ImageSourceError, NoImagesError, OptionError, check_choice
from featx.images.arrays import array_images
from featx.images.bucket import is_folder_at, is_there, list_address, names_folder
from featx.images.exclusion import Exclusion
from featx.images.item import as_image, is_array
from featx.images.labels import (
    Label,
    Labels,
    class_names,
    classes_of,
    labels_of,
    notes_on_names,
)
from featx.images.layout import class_folder, parts_of
from featx.images.listing import TABLE_SUFFIXES, list_folder, named_as_image, notes_on_folders
from featx.images.memory import MemoryImage, picture_in_memory
from featx.images.metadata import FILE_COLUMN, metadata_of, table_of_shards
from featx.images.packed.container import UnreadableError, container_in, contents_of
from featx.images.packed.shards import shards_at, shards_in
from featx.images.pattern import is_pattern, matching
from featx.images.rows import notes_on_others, rows_of
from featx.images.source import (
    ImageSource,
    folders_in,
    is_folder,
    is_several,
    lists_a_table,
    looked_in,
)
from featx.images.table import Table, is_table, refuse_columns, table_of_labels
from featx.paths import file_of, member_of, plain_path
from featx.storage.address import below, is_address, local_path, text_of
from featx.text import count, printable

CLASSES_FROM = ("first", "last")  # folder below the root that is the class

_SHOWN = 3  # sources without an image, in an error
_EXPECTED_PATH = (
    f"a folder of images, an archive (.zip, .tar) or a table ({', '.join(TABLE_SUFFIXES)}) of "
    "them, or an image whose name ends in .jpg, .png, .webp or another suffix of one"
)
_EXPECTED = (
    "a folder of images, an image (a path, bytes, an open file, a Pillow image), a list of images, "
    "a table (a file of one or a pandas DataFrame) with a column `path`, or an array of pictures"
)


@dataclass(frozen=True)
class _Reading:
    """How a source is read: the options of `ImageFolder.of`."""

    root: str | None = None
    path_column: str = "path"
    label_column: str = "label"
    classes_from: str = "first"
    metadata: bool = True  # a table in a folder says the labels, where none are given


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
        is in them, names that are one class or look alike, links that were not followed twice,
        rows of a table without a picture.
    table : Table or None
        The table that the images or their labels come from, if any: a row an image, in order.
    """

    paths: tuple[str, ...]
    labels: tuple[Label | None, ...]
    n_other: int = 0
    root: str | None = None
    parts: str | None = None
    notes: tuple[str, ...] = ()
    table: Table | None = field(default=None, compare=False)

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
    def scan(cls, root: str | os.PathLike[str], *, classes_from: str = "first") -> ImageFolder:
        """Find the images in a folder and its sub-folders.

        An image is a file with one of `IMAGE_SUFFIXES`; what is in it is not looked at. Its label
        is the first folder below `root`, or the last, or None directly in `root`, as
        `class_names` writes it.
        Links are followed, each folder once. Files and folders with a leading dot are left alone,
        and so is what file managers, network drives and notebooks leave behind.

        Parameters
        ----------
        root : str or PathLike
            A folder, or its address in a bucket, such as "s3://bucket/photos"; "~" is the home
            folder.
        classes_from : {"first", "last"}, default="first"
            The folder below `root` that is the class: photos/cat/2024/1.jpg is of class "cat", or
            of class "2024".

        Returns
        -------
        ImageFolder
            Sorted by the path relative to `root`, by code points, whatever the file system says.

        Raises
        ------
        ImageSourceError
            The folder is missing, unreadable or without images.
        """
        root = os.path.expanduser(local_path(text_of(root)))
        if not is_address(root) and not os.path.isdir(root):
            found = "is no folder" if os.path.exists(root) else f"does not exist{looked_in(root)}"
            raise ImageSourceError(f"{root!r} {found}: expected a folder of images")
        listing = list_address(root) if is_address(root) else list_folder(root)
        n_other = len(listing.others) + listing.n_left_behind
        if not listing.images:
            holds = f"has {count(n_other, 'other file')}" if n_other else "holds no file"
            raise NoImagesError(
                f"no images in {root!r}, which {holds}: expected names "
                "that end in .jpg, .png, .webp or another suffix of an image"
            )
        return cls._of_relative(
            root, listing.images, n_other, classes_from, notes_on_folders(listing)
        )

    @classmethod
    def of(
        cls,
        source: ImageSource,
        labels: Labels = None,
        root: str | os.PathLike[str] | None = None,
        *,
        path_column: str = "path",
        label_column: str = "label",
        classes_from: str = "first",
        exclude: str | os.PathLike[str] | Sequence[str] | None = None,
    ) -> ImageFolder:
        """Take images from whatever names them.

        Parameters
        ----------
        source : ImageFolder, str, PathLike, picture, iterable, DataFrame, or array of pictures
            A folder (see `scan`), an archive (.zip, .tar), which is taken as one, or several of
            them ("shards-{0000..0099}.tar"), one image, images in a list, tuple, iterator, Index or
            Series, or a table with a column `path` and possibly a column `label`: a pandas
            DataFrame, or a file of one (.csv, .tsv, .parquet, .xlsx). An image is a path, in which
            "~" is the home folder, or a picture in memory: the bytes of a file, a file that is open
            in binary mode (which is read from its beginning), an image of Pillow, or an array of
            pixels; they may be mixed. A folder, an archive or a file of a table within a list is
            replaced by its images, with their labels. Wherever there is a path, the address of an
            object will do: "s3://", "gs://", "az://", "https://". A file that is missing, or bytes
            that are damaged, are none the less an image to work on: that it cannot be read is its
            outcome. Pictures of one array (see `featx.images.arrays.array_images`) are called
            "array[0]", "array[1]" and so on, others in memory "image[3]" by their position.
        labels : sequence, array, DataFrame or path of a table, optional
            The class of each image, where `source` has none: numbers, names or one-hot rows (see
            `featx.images.labels.labels_of`); or a table with a column `path` and a column `label`,
            whose labels take the place of the folders' names. Pictures without a row are left
            out.
        root : str or PathLike, optional
            The folder in which relative paths of a list or a table begin; by default the folder
            of a table's file, else the current one.
        path_column, label_column : str
            The columns of a table that hold the paths and the labels.
        classes_from : {"first", "last"}, default="first"
            As for `scan`.
        exclude : str, PathLike or sequence of str, optional
            Images to leave out: a file that lists their paths (see `featx.images.exclusion`), or
            the paths, absolute or relative to the folder, to `root` or to the current folder.

        Returns
        -------
        ImageFolder
            In the order given.

        Raises
        ------
        ImageSourceError
            There is no image in `source`, or it is something else; a table lacks a column, or no
            row of it names an image.
        OptionError
            The labels do not fit the images, the images have labels already, there are no
            relative paths that could begin in `root`, or `exclude` cannot be read.
        """
        check_choice("classes_from", classes_from, CLASSES_FROM)
        exclusion = None if exclude is None else Exclusion.of(exclude)
        start = None if root is None else os.path.expanduser(local_path(text_of(root)))
        images = cls._with_labels(
            source, labels, _Reading(start, path_column, label_column, classes_from, labels is None)
        )
        named = isinstance(source, ImageFolder) or is_table(labels) or lists_a_table(source)
        named = named or any(path.startswith("tar://") for path in images.paths[:1])
        if images.table is None and not named:
            refuse_columns(path_column, label_column)
        if exclusion is None:
            return images
        folders = [start or "", images.root or "", *folders_in(source)]
        folders += [images.table.folder] if images.table and images.table.folder else []
        return images._without(exclusion, folders, tell=not isinstance(source, ImageFolder))

    @classmethod
    def _with_labels(cls, source: ImageSource, labels: Labels, reading: _Reading) -> ImageFolder:
        table = table_of_labels(labels)
        if table is None or table.column(reading.path_column) is None:
            images = cls._of(source, reading)
            if labels is None:
                return images
            if any(label is not None for label in images.labels):
                raise OptionError("the images have labels already: leave out labels=")
            one_each = None if table is None else table.column(reading.label_column)
            given = labels if one_each is None else one_each
            return images.with_labels(labels_of(given, len(images)))
        images = cls._of(source, replace(reading, root=None) if is_folder(source) else reading)
        if images.root is None and any(label is not None for label in images.labels):
            raise OptionError("the images have labels already: leave out labels=")
        return images._labelled_by(table, reading)

    def select(self, rows: Sequence[int]) -> ImageFolder:
        """Return some of the images, in this order."""
        return replace(
            self,
            paths=tuple(self.paths[row] for row in rows),
            labels=tuple(self.labels[row] for row in rows),
            table=self.table and self.table.select(rows),
        )

    def _without(self, exclusion: Exclusion, folders: Sequence[str], tell: bool) -> ImageFolder:
        """Leave images out; `tell` where nothing is, too."""
        left_out = exclusion.leaves_out(self.paths, folders)
        n = sum(left_out)
        if n == len(self):
            raise ImageSourceError(f"all of {count(n, 'image')} are left out by {exclusion.name}")
        kept = self.select([row for row, out in enumerate(left_out) if not out])
        if not n and not (tell and exclusion.paths):
            return self
        return replace(kept, notes=(*self.notes, exclusion.note(n, len(self))))

    def _with_metadata(self, reading: _Reading) -> ImageFolder:
        """Give the images of a folder the labels of a table of metadata in it, if it has one."""
        table = metadata_of(self.root or "", self.paths) if reading.metadata else None
        if table is None or table.column(reading.label_column) is None:
            return self
        images = self._labelled_by(table, replace(reading, path_column=FILE_COLUMN))
        return replace(images, notes=(f"classes are those of {table.name}", *images.notes))

    def _labelled_by(self, table: Table, reading: _Reading) -> ImageFolder:
        """Give the images the labels of a table that names them; leave out those it does not."""
        paths = table.require(reading.path_column, "paths", "path_column").tolist()
        column = table.require(reading.label_column, "classes", "label_column")
        labels = labels_of(column, len(table))
        starts = [table.folder, self.root, ""] if reading.root is None else [reading.root]
        folders = [each for each in starts if each is not None]
        rows, notes = rows_of(self.paths, table, paths, labels, folders)
        kept = [place for place, row in enumerate(rows) if row is not None]
        named = [row for row in rows if row is not None]
        bare = replace(self, notes=tuple(notes), table=None).select(kept)
        given = bare.with_labels([labels[row] for row in named])
        return replace(given, table=table.select(named))

    def with_labels(self, labels: Sequence[Label | None]) -> ImageFolder:
        """Give the images these labels, as `class_names` writes them."""
        notes = (*self.notes, *notes_on_names(labels))
        return replace(self, labels=class_names(labels), notes=notes)

    @classmethod
    def _of(cls, source: ImageSource, reading: _Reading) -> ImageFolder:
        if isinstance(source, ImageFolder):
            return source
        table = Table.of(source)
        if table is not None:
            return cls._of_table(table, reading)
        if isinstance(source, str | os.PathLike) and not isinstance(source, MemoryImage):
            text_of(source)
            return cls._of_path(as_image(source, "images", ""), reading)
        image = picture_in_memory(source, "the image", "image[0]")
        if image is not None:
            return cls(paths=(image,), labels=(None,))
        if is_array(source):
            pictures = array_images(source)
            return cls(paths=pictures, labels=(None,) * len(pictures))
        if hasattr(source, "tolist"):  # array, Series, Index
            source = list(source) if getattr(source, "ndim", 1) > 1 else source.tolist()
        if not isinstance(source, Iterable) or isinstance(source, Mapping | Set):  # has no order
            raise ImageSourceError(f"images are a {type(source).__name__}: expected {_EXPECTED}")
        return cls._of_items(source, reading)

    @classmethod
    def _of_path(cls, path: str, reading: _Reading) -> ImageFolder:
        if reading.root is not None:
            raise OptionError(
                f"root {reading.root!r} goes with a list or a table of paths, and {path!r} is "
                "neither: leave it out"
            )
        if shards := shards_in(path):
            return cls._of_items(shards, reading)
        if (archive := container_in(path)) is not None:
            return cls._of_archive(*archive, reading)
        if is_pattern(path):
            return cls._of_pattern(path, reading)
        if is_address(path):
            return cls._of_address(path, reading)
        if os.path.isdir(path):
            return cls.scan(path, classes_from=reading.classes_from)._with_metadata(reading)
        if not os.path.exists(file_of(path)):
            raise ImageSourceError(
                f"{path!r} does not exist{looked_in(path)}: expected {_EXPECTED_PATH}"
            )
        if not named_as_image(plain_path(path)) and member_of(path) is None:
            raise ImageSourceError(f"{path!r} is no image by its name: expected {_EXPECTED_PATH}")
        return cls(paths=(path,), labels=(None,))

    @classmethod
    def _of_address(cls, address: str, reading: _Reading) -> ImageFolder:
        """Take a picture at an address, or those of a folder there."""
        if names_folder(address):
            try:
                return cls.scan(address, classes_from=reading.classes_from)
            except NoImagesError:
                if shards := shards_at(address):
                    return cls._of_items(shards, reading)
                raise
        if not is_there(address):
            raise ImageSourceError(f"there is no {address}: expected {_EXPECTED_PATH}")
        return cls(paths=(address,), labels=(None,))

    @classmethod
    def of_rows(cls, items: Iterable[Any], what: str, root: str | None = None) -> ImageFolder:
        """Take one image from each item, whatever it is: a path or a picture in memory.

        Unlike those of a list in `of`, a folder is no more than a path that is no image. An error
        begins with `what`, in which {} is the position of the item; relative paths begin in `root`.
        """
        paths = tuple(
            as_image(item, what.format(position), f"image[{position}]", root)
            for position, item in enumerate(items)
        )
        if not paths:
            raise NoImagesError(f"the list of images is empty: expected {_EXPECTED}")
        return cls(paths=paths, labels=(None,) * len(paths))

    @classmethod
    def _of_pattern(cls, pattern: str, reading: _Reading) -> ImageFolder:
        """Take what a pattern matches, with the labels of the folder before its wild cards."""
        root, images, n_other = matching(pattern)
        if not images:
            raise NoImagesError(
                f"{pattern!r} matches no picture{looked_in(pattern)}: expected names that end in "
                '.jpg, .png, .webp or another suffix of an image; "**" is for folders in folders'
            )
        return cls._of_relative(root, images, n_other, reading.classes_from)

    @classmethod
    def _of_relative(
        cls,
        root: str,
        images: Sequence[str],
        n_other: int,
        classes_from: str,
        notes: Sequence[str] = (),
        path_of: Callable[[str], str] | None = None,
    ) -> ImageFolder:
        """Take images below a root, with their labels and what is said of it.

        `path_of` gives their paths, where they are not joined to that of the root.
        """
        path_of = path_of or partial(below, root)
        names = [class_folder(relative, classes_from) for relative in images]
        parts = parts_of(root, images)
        return cls(
            paths=tuple(map(path_of, images)),
            labels=class_names(names),
            n_other=n_other,
            root=root,
            parts=parts,
            notes=(*([parts] if parts else []), *notes, *notes_on_names(names)),
        )

    @classmethod
    def _of_archive(cls, archive: str, folder: str, reading: _Reading) -> ImageFolder:
        """Take the pictures of an archive as those of a folder, or with the labels in it."""
        held = contents_of(archive, folder, reading.path_column, reading.label_column)
        if held.frame is not None:
            table = Table(held.frame, printable(os.path.basename(archive)))
            images = cls(tuple(map(held.path_of, held.names)), (None,) * len(table), table=table)
            return images._labelled_as(table, reading)
        images = cls._of_relative(
            held.root, held.names, held.n_other, reading.classes_from, held.notes, held.path_of
        )
        if held.labels is None:
            return images
        return replace(images, parts=None, notes=held.notes).with_labels(held.labels)

    @classmethod
    def _of_items(cls, source: Iterable[Any], reading: _Reading) -> ImageFolder:
        paths: list[str] = []
        labels: list[Label | None] = []
        n_other, notes, tables = 0, dict[str, None](), list[Table | None]()
        unreadable = False
        for path in cls.of_rows(source, "item {} of the images", reading.root).paths:
            try:
                several = cls._of_item(path, reading)
            except (NoImagesError, UnreadableError) as error:
                notes[str(error)] = None
                unreadable |= isinstance(error, UnreadableError)
                continue
            if several is None:
                paths.append(path)
                labels.append(None)
                continue
            paths.extend(several.paths)
            labels.extend(several.labels)
            n_other += several.n_other
            tables.append(several.table)
            notes |= dict.fromkeys(several.notes)
        if not paths:
            kind = UnreadableError if unreadable else NoImagesError
            raise kind("; ".join([*notes][:_SHOWN]))
        images = cls(tuple(paths), class_names(labels), n_other, notes=tuple(notes))
        return replace(images, table=table_of_shards(paths, tables))

    @classmethod
    def _of_item(cls, path: str, reading: _Reading) -> ImageFolder | None:
        """Take what a folder, a pattern or a table in a list stands for; None for an image."""
        table = Table.of(path)
        if table is not None:
            return cls._of_table(table, reading)
        if isinstance(path, MemoryImage):
            return None
        if is_address(path) and not is_several(path) and container_in(path) is None:
            is_one = not path.endswith("/") and not (names_folder(path) and is_folder_at(path))
            return None if is_one else cls._of_path(path, replace(reading, root=None))
        if is_folder(path) or is_several(path):
            return cls._of_path(path, replace(reading, root=None))
        return None

    @classmethod
    def _of_table(cls, table: Table, reading: _Reading) -> ImageFolder:
        column = table.require(reading.path_column, "paths", "path_column")
        if not len(table):
            raise NoImagesError(f"{table.name} is empty: expected a row an image")
        texts, start, notes = column.tolist(), reading.root, list[str]()
        row = f"row {{}} of the column `{str(column.name).replace('{', '{{').replace('}', '}}')}`"
        if table.folder is not None:
            starts = [table.folder, ""] if start is None else [start]
            found = table.begin(texts, starts, is_there)
            start, texts = found or (starts[0], texts)
            if start != starts[0]:
                notes.append(f"paths of {table.name} begin in the current folder, not in its own")
        images = cls.of_rows(texts, row, start)
        if table.folder is not None:
            notes += notes_on_others(images.paths, table)
        return replace(images, table=table, notes=tuple(notes))._labelled_as(table, reading)

    def _labelled_as(self, table: Table, reading: _Reading) -> ImageFolder:
        """Give the images the labels of a table that has a row for each, in order, if any."""
        labels = table.column(reading.label_column)
        if labels is None:
            if reading.label_column != "label":
                table.require(reading.label_column, "classes", "label_column")
            return self
        return self.with_labels(labels_of(labels, len(self)))
