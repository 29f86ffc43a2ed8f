"""Saved features as a source, in place of pictures: a file, a folder of parts, or several."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from featx.errors import ImageSourceError, OptionError
from featx.features.columns import as_labels
from featx.features.formats import SUFFIXES, holds_features
from featx.features.matrix import Features
from featx.features.options import refuse_options
from featx.features.parts.folder import is_folder
from featx.features.transfer import is_file_of_features_at
from featx.images.folder import ImageFolder
from featx.images.labels import Labels
from featx.images.listing import named_as_image
from featx.images.table import is_table
from featx.storage.address import is_address
from featx.text import listed

_OF_TABLES = ("root", "path_column", "label_column", "exclude")


def is_saved(source: object) -> bool:
    """Tell whether a path is a file or folder of features, or a folder of such alone.

    Of several paths one has to be.
    """
    sources = source if isinstance(source, list | tuple) else [source]
    return any(_files(each) for each in sources)


def saved_features(source: Any, root: str | os.PathLike[str] | None = None) -> Any:
    """Load the features that a path names; whatever else a source is, it stays as it is.

    `root` is where their pictures are, if that is told. Several files, of a folder or a list, are
    an `ImageSourceError`.
    """
    sources = source if isinstance(source, list | tuple) else [source]
    files = [path for each in sources for path in _files(each)]
    if len(files) > 1 or (len(sources) > 1 and files):
        raise ImageSourceError(
            f"features alone and of one file are expected here: got {listed(files, 4)}"
            f"{' among others' if len(sources) > len(files) else ''}; name one, or compare them"
        )
    return Features.load(files[0], root=root) if files else source


def root_of_pictures(
    source: object, labels: Labels, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Return where the pictures of saved features are, if `root` says it, and the other options.

    Beside a table of labels `root` is where the paths of that begin.
    """
    rest = dict(options)
    return (rest.pop("root", None) if labels is None and is_saved(source) else None), rest


def features_given(
    features: Features, labels: Labels, **options: Any
) -> tuple[Features, ImageFolder | Features]:
    """Give features the labels of a table, and leave rows out, as `ImageFolder.of` does of images.

    `options` are those of a command or function; one that changes no features is an `OptionError`,
    and so are labels that are no table. Returns the features, and what knows the table.
    """
    if labels is not None and not is_table(labels):
        raise OptionError(
            "features carry their labels: give labels= to embed, which makes them, or a table of "
            "paths and labels"
        )
    known = _OF_TABLES if labels is not None else ("exclude",)
    refuse_options({name: each for name, each in options.items() if name not in known})
    if labels is None and options.get("exclude") is None:
        return features, features
    paths = tuple(features.paths.tolist())
    images = ImageFolder(paths, tuple(features.labels), root=features.root)
    chosen = ImageFolder.of(images, labels, **options)
    rows = {path: row for row, path in enumerate(paths)}
    kept = features.select([rows[path] for path in chosen.paths])
    notes = (*kept.notes, *chosen.notes)
    return replace(kept, y=as_labels(chosen.labels), notes=notes), chosen


def several_saved(source: Any, root: str | os.PathLike[str] | None = None) -> Any:
    """Load the features that a path names, or several paths; other sources stay as they are.

    Returns a list where there are several, such as those of a folder.
    """
    sources = source if isinstance(source, list | tuple) else [source]
    found = [_files(each) for each in sources]
    if not any(found):
        return source
    for each, files in zip(sources, found, strict=True):
        if not files and not isinstance(each, Features):
            raise ImageSourceError(
                f"{each!r} holds no features, and others do: expected features of the same "
                "pictures, or pictures alone"
            )
    loaded = [
        each
        for given, files in zip(sources, found, strict=True)
        for each in ([Features.load(path, root=root) for path in files] or [given])
    ]
    return loaded if len(loaded) > 1 else loaded[0]


def _files(source: object) -> list[Path | str]:
    """List the files of features that a path or address names, sorted by name."""
    if type(source) is not str and not isinstance(source, os.PathLike):
        return []  # a picture in memory is a str, too
    if is_address(address := os.fsdecode(source)):
        found = is_folder(address) or is_file_of_features_at(address)
        return [address] if found else []
    path = Path(os.path.expanduser(os.fsdecode(source)))
    if named_as_image(path.name):
        return []
    if is_folder(path):
        return [path]
    if os.path.isfile(path):  # unlike that of a Path, no error for a name that cannot be one
        return [path] if _is_file_of_features(path) else []
    return _inside(path) if os.path.isdir(path) else []


def _inside(folder: Path) -> list[Path | str]:
    """List the files of features in a folder, unless it has pictures or other folders."""
    found: list[Path | str] = []
    try:
        with os.scandir(folder) as entries:
            for each in entries:
                if named_as_image(each.name):
                    return []
                if each.name[0] == ".":
                    continue
                if each.is_dir() and not is_folder(each.path):
                    return []
                if each.is_dir() or _is_file_of_features(Path(each.path)):
                    found.append(Path(each.path))
    except OSError:  # whoever lists its pictures says so
        return []
    return sorted(found, key=str)


def _is_file_of_features(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and holds_features(path)
