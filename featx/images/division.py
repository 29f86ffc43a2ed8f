"""The division of images into parts, to learn from and to be measured on, as their source has it.

Folders that are called train, val and test divide them, or such cells in a column `split` of a
table.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from featx.images.folder import ImageFolder
from featx.images.layout import class_folder, role_of
from featx.paths import plain_path
from featx.text import count, listed

SPLIT_COLUMN = "split"

#: What a note says of a division.
PARTS = " has parts of a data set: "


@dataclass(frozen=True)
class Division:
    """Images to learn from, and images to be measured on.

    Attributes
    ----------
    images : ImageFolder
        All of them.
    training : ImageFolder
        Those of the part called train; all images, where nothing divides them.
    test : ImageFolder or None
        Those of the part called test, or else of that called val, if they have labels.
    where : str
        What divides them, such as the folder; empty where nothing does.
    parts : tuple of str
        The parts by name with their numbers of images: that to learn from, that to be measured on
        if there is one, then the others.
    """

    images: ImageFolder
    training: ImageFolder
    test: ImageFolder | None = None
    where: str = ""
    parts: tuple[str, ...] = ()

    @classmethod
    def of(cls, images: ImageFolder, classes_from: str = "first") -> Division:
        """Divide images as their folders or their table say."""
        if images.parts is not None:
            return cls._of_folders(images, classes_from)
        cells = None if images.table is None else images.table.column(SPLIT_COLUMN)
        if cells is None or images.table is None:
            return cls(images, images)
        names = ["" if cell != cell or cell is None else str(cell).strip() for cell in cells]
        spelled = {role_of(name): name for name in reversed(names) if name}
        if "train" not in spelled or None in spelled or len(spelled) < 2:  # folds, say
            return cls(images, images)
        names = [spelled.get(role_of(name), "") for name in names]
        return cls._of_parts(images, names, f"the column `{SPLIT_COLUMN}` of {images.table.name}")

    @classmethod
    def _of_folders(cls, images: ImageFolder, classes_from: str) -> Division:
        """Divide images by the first of their folders; the classes are folders below that."""
        root = images.root or os.curdir
        inner = [
            os.path.relpath(plain_path(path), root).replace(os.sep, "/") for path in images.paths
        ]
        names = [path.partition("/")[0] if "/" in path else "" for path in inner]
        divided = replace(
            images, parts=None, notes=tuple(each for each in images.notes if each != images.parts)
        )
        if images.table is None:  # which has labels, else
            below = [path.partition("/")[2] for path in inner]
            divided = divided.with_labels([class_folder(path, classes_from) for path in below])
        made = cls._of_parts(divided, names, repr(images.root))
        labelled = made.where and any(label is not None for label in made.training.labels)
        return replace(made, images=images) if labelled else cls(images, images)

    @classmethod
    def _of_parts(cls, images: ImageFolder, names: Sequence[str], where: str) -> Division:
        def part(role: str) -> tuple[str, ImageFolder] | None:
            rows = [row for row, name in enumerate(names) if role_of(name) == role]
            return (names[rows[0]], images.select(rows)) if rows else None

        learned, measured = part("train"), part("test") or part("val")
        if learned is None:  # all of it is left out
            return cls(images, images)
        test = measured[1] if measured and None not in measured[1].labels else None
        sizes = Counter(names)
        first = [learned[0], *([measured[0]] if measured and test else [])]
        parts = []
        for name in [*first, *sorted(sizes.keys() - set(first))]:
            bare = measured and name == measured[0] and test is None
            number = f"{count(sizes[name], 'image')}{' without classes' if bare else ''}"
            parts.append(f"{name or 'no part'} ({number})")
        return cls(images, learned[1], test, where, tuple(parts))

    def to_learn(self, *, measuring: bool = True) -> ImageFolder:
        """Return the images to learn from; their notes say what becomes of each part."""
        if not self.where:
            return self.training
        n = 2 if self.test is not None and measuring else 1
        uses = [
            f"learned from {self.parts[0]}",
            *(f"measured on {each}" for each in self.parts[1:n]),
        ]
        return self._noted(self.training, uses, self.parts[n:])

    def to_measure(self) -> ImageFolder:
        """Return the images to be measured on; all of them where none are there for it."""
        if self.test is None:
            return self.images
        learned, measured, *others = self.parts
        return self._noted(self.test, [f"measured on {measured}"], [learned, *others])

    def _noted(
        self, images: ImageFolder, uses: Sequence[str], others: Sequence[str]
    ) -> ImageFolder:
        if not self.where:
            return images
        rest = [f"left alone: {listed(others)}"] if others else []
        note = f"{self.where}{PARTS}{', '.join([*uses, *rest])}"
        return replace(images, notes=(note, *images.notes))
