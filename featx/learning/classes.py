"""Classes that a classifier can learn and be judged by, checked before any work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from featx.errors import FeatxError, ImageSourceError
from featx.features.blocks import row_blocks
from featx.features.matrix import Features
from featx.images.division import Division
from featx.images.folder import ImageFolder
from featx.images.labels import Label, Labels, classes_of, in_terms_of, look_alike
from featx.images.layout import parts_as_labels
from featx.images.packed.container import SUFFIXES
from featx.images.source import ImageSource, is_folder, looked_in
from featx.images.table import is_table
from featx.text import count, listed

_MOST = 12  # classes that a message names
_EXPECTED = "expected at least two of each class; add images or remove the class"


def labels_to_learn(features: Features) -> np.ndarray:
    """Return the labels of features, after `require_learnable`."""
    require_learnable(features.paths.tolist(), features.labels, notes=features.notes)
    assert features.y is not None
    return features.y


def rows_by_class(y: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each class, in the order of the classes."""
    _, of_class = np.unique(y, return_inverse=True)
    order = np.argsort(of_class, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(of_class[order])) + 1)


@contextmanager
def told_of_numbers(features: Features) -> Iterator[None]:
    """Say of which image values are no finite numbers, where a fit in the block fails by them.

    Raises an `ImageSourceError` then.
    """
    try:
        yield
    except FeatxError:
        raise
    except ValueError as error:
        for X in (features.X, *features.views):
            for rows, values in row_blocks(X):
                wrong = rows[~np.isfinite(values).all(axis=1)]
                if len(wrong):
                    raise ImageSourceError(
                        f"row {wrong[0]} of the features ({features.paths[wrong[0]]}) has values "
                        "that are no finite numbers (NaN or infinite), which nothing can be "
                        "learned from: embed the image again, or leave it out"
                    ) from error
        raise


def labelled_images(source: ImageSource, labels: Labels = None, **options: Any) -> ImageFolder:
    """Take images to learn from: `images_and_test` where nothing is measured on a test."""
    return _learnable(divided_images(source, labels, **options).to_learn(measuring=False))


def images_and_test(
    source: ImageSource, labels: Labels, test: ImageSource, **options: Any
) -> tuple[ImageFolder, ImageSource]:
    """Take images to learn from and, where no test is given, those that their source has for it.

    They are taken by `ImageFolder.of`, after `require_classes` and `require_learnable`.
    """
    division = divided_images(source, labels, **options)
    images = _learnable(division.to_learn(measuring=test is None))
    return images, division.test if test is None else test


def divided_images(source: ImageSource, labels: Labels = None, **options: Any) -> Division:
    """Take images by `ImageFolder.of`, divided as their source has it."""
    images = ImageFolder.of(source, labels, **options)
    return Division.of(images, options.get("classes_from", "first"))


def options_of_test(test: ImageSource, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those options of the images to learn from that hold for a test, too.

    Columns are those of a table, and where paths begin does not matter to a folder.
    """
    others = {"root"} if is_folder(test) else set()
    others |= set() if is_table(test) else {"path_column", "label_column"}
    return {name: each for name, each in options.items() if name not in others}


def _learnable(images: ImageFolder) -> ImageFolder:
    require_classes(images)
    require_label_column(images)
    require_learnable(images.paths, images.labels, images.root, images.notes)
    return images


def require_classes(images: ImageFolder) -> None:
    """Raise an `ImageSourceError` if sub-folders are parts of a data set, not classes."""
    if images.parts is not None:
        raise ImageSourceError(images.parts)


def require_label_column(images: ImageFolder) -> None:
    """Raise an `ImageSourceError` for images of a table without a column of labels."""
    if images.table is not None and not any(label is not None for label in images.labels):
        images.table.require("label", "classes", "label_column")
        raise ImageSourceError(
            f"{images.table.name} gives no picture a label: fill its column of labels, or name "
            "another one by --label-column (in Python label_column=)"
        )


def require_learnable(
    paths: Sequence[str],
    labels: Sequence[Label | None],
    root: str | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Check that a classifier can learn these labels, which may be done before embedding.

    `root` is the folder whose sub-folders are the classes, if that is where they come from, and
    `notes` say what else is known of them. Raises an `ImageSourceError` if there are no labels,
    some are missing, there is one class only, a class has one image, or the classes are parts of a
    data set.
    """
    more = "".join(f"; {note}" for note in notes)
    unlabelled = [path for path, label in zip(paths, labels, strict=True) if label is None]
    if len(unlabelled) == len(labels):
        raise ImageSourceError(
            "the images have no classes: expected a sub-folder for each class, such as "
            f"photos/cat and photos/dog, a table with a column `label`, or labels={more}"
        )
    if unlabelled and root is not None:
        raise ImageSourceError(
            f"{len(unlabelled)} of {len(labels)} images are in no class folder, such as "
            f"{unlabelled[0]}; move them into one, or out of the folder"
        )
    for archive in unlabelled:
        if archive.lower().endswith((*SUFFIXES, ".parquet")):  # one that is there has pictures
            raise ImageSourceError(
                f"there is no {archive}{looked_in(archive)}: expected an archive, or leave it out"
            )
    if unlabelled:
        row = list(labels).index(None)
        others = f", one of {len(unlabelled)}" if len(unlabelled) > 1 else ""
        raise ImageSourceError(
            f"row {row} has no label ({paths[row]}){others}: expected a class for each of "
            f"{len(labels)} images; name it, or leave the row out"
        )
    counts = Counter(map(str, labels))
    if len(counts) < 2:
        raise ImageSourceError(
            f"all images are of one class, {next(iter(counts))!r}: expected at least two classes"
            f"{more}"
        )
    if parts := parts_as_labels(paths, labels):
        raise ImageSourceError(parts)
    single = [label for label, count in sorted(counts.items()) if count == 1]
    if single:
        raise ImageSourceError(f"{_have(single)} only one readable image: {_EXPECTED}{more}")


def require_every_class(images: ImageFolder, features: Features) -> None:
    """Raise an `ImageSourceError` for a class of which the features have no image left."""
    lost = [str(name) for name in images.classes if name not in features.classes]
    if lost:
        first = features.outcomes[[str(label) for label in images.labels].index(lost[0])]
        raise ImageSourceError(
            f"{_have(lost)} no readable image ({first.path}: {first.reason}): {_EXPECTED}"
        )


def _have(classes: Sequence[str]) -> str:
    """Begin a sentence about classes."""
    names = listed(classes, _MOST)
    return f"class {names} has" if len(classes) == 1 else f"classes {names} have"


def require_known(
    paths: Sequence[str], labels: Sequence[Label | None], classes: Sequence[Label]
) -> None:
    """Raise an `ImageSourceError` if a label is missing, or none is one of the classes."""
    names = [str(name) for name in classes]
    if None in labels:
        missing = [path for path, label in zip(paths, labels, strict=True) if label is None]
        raise ImageSourceError(
            f"no class for {len(missing):,} of {count(len(labels), 'image')}, such as "
            f"{missing[0]}: expected a sub-folder for each class, named as in training "
            f"({listed(names, _MOST)}), or a table with the columns `path` and `label` (in Python "
            "labels=, too)"
        )
    if not set(in_terms_of(classes, labels)) & set(classes):
        found = [str(label) for label in classes_of(labels)]
        raise ImageSourceError(
            f"the model knows none of the classes {listed(found, _MOST)}: expected "
            f"{listed(names, _MOST)}{resemblance(found, names)}"
        )


def resemblance(unknown: Sequence[str], classes: Sequence[str]) -> str:
    """Say of classes that a model does not know which of its own they look like."""
    alike = {name: group for group in look_alike([*unknown, *classes]) for name in group}
    told = [
        f"{name} looks like {other}"
        for name in unknown
        for other in alike.get(name, ())
        if other in classes
    ]
    return f"; {listed(told)}" if told else ""


def per_file(features: Features, values: np.ndarray, missing: Any) -> np.ndarray:
    """Spread the rows of readable images over all input files, in order."""
    values = np.asarray(values)
    if not features.failed:
        return values
    dtype = object if missing is None else values.dtype
    out = np.full((len(features.outcomes), *values.shape[1:]), missing, dtype=dtype)
    out[[outcome.ok for outcome in features.outcomes]] = values
    return out
