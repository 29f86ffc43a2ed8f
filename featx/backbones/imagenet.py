"""The thousand classes that the ImageNet classifiers tell apart."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources


@dataclass(frozen=True)
class ImagenetClass:
    """A class of ImageNet (ILSVRC 2012)."""

    index: int  # column of the classifier's output
    wnid: str  # WordNet identifier, "n" and eight digits
    name: str  # as Keras spells it: great_white_shark


@lru_cache(maxsize=1)
def classes() -> tuple[ImagenetClass, ...]:
    """List the classes, each at its index."""
    text = (resources.files(__package__) / "imagenet_classes.csv").read_text(encoding="utf-8")
    return tuple(
        ImagenetClass(int(row["index"]), row["wnid"], row["name"])
        for row in csv.DictReader(text.splitlines())
    )
