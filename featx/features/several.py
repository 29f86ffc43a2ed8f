"""Several features side by side: of the same images, and with names that tell them apart."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from featx.errors import ImageSourceError, warn_of_images
from featx.features.matrix import Features
from featx.images.memory import MemoryImage
from featx.paths import plain_path
from featx.storage.address import absolute
from featx.text import count, printable

_UNTOLD = ("weights", "preprocessing", "orientation", "color", "view")  # in names of features


def same_images(several: Sequence[Features]) -> list[Features]:
    """Reduce features to the images that all of them have, in the same order."""
    keys = [[_key(path) for path in each.paths] for each in several]
    common = set(keys[0]).intersection(*keys[1:])
    if not common:
        raise ImageSourceError(
            "the features are of different images: expected features of the same paths"
        )
    every = {
        key: path
        for own, each in zip(keys, several, strict=True)
        for key, path in zip(own, each.paths, strict=True)
    }
    if len(every) > len(common):
        first = next(path for key, path in every.items() if key not in common)
        warn_of_images(
            [
                f"{len(every) - len(common):,} of {count(len(every), 'image')} are left out, since "
                f"they are not in all of the features, such as {first}"
            ]
        )
    order = [key for key in keys[0] if key in common]
    same = []
    for own, each in zip(keys, several, strict=True):
        if own == order:
            same.append(each)
        else:
            rows = {key: row for row, key in enumerate(own)}
            same.append(each.select([rows[key] for key in order]))
    if any(each.labels != same[0].labels for each in same[1:]):
        raise ImageSourceError("the features give the same images different labels")
    return same


def _key(path: str) -> str:
    """Return what different ways to write the path of an image have in common."""
    return path if isinstance(path, MemoryImage) else absolute(plain_path(path))


def distinct_names(several: Sequence[Features]) -> list[str]:
    """Name features by the backbone and the settings in which those of one backbone differ."""
    settings = [_told_settings(each) for each in several]
    values: dict[str, dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for own in settings:
        for key in (each for each in own if own[each] is not None or each != "calibration"):
            values[key][own["backbone"]].add(own[key])
    told = [key for key in values if any(len(own) > 1 for own in values[key].values())]
    names = []
    for number, (own, each) in enumerate(zip(settings, several, strict=True), 1):
        parts = [own.get("backbone", f"features {number}"), *(own.get(key) for key in told)]
        name = " ".join(printable(part) for part in parts if part is not None)
        names.append(printable(each.name) if each.name else name)
    again = Counter(names)
    return [f"{name} {number}" if again[name] > 1 else name for number, name in enumerate(names, 1)]


def _told_settings(features: Features) -> dict[str, Any]:
    if features.recipe is None:
        return {}
    settings = features.recipe.settings
    told = {
        name: f"{name.replace('_', ' ')} {each}"
        if isinstance(each, int)
        else each  # input size 448
        for name, each in settings.items()
        if name not in _UNTOLD
    }
    if told["calibration"]:  # "1a2b…+None" where one of two networks is in int8
        digests = str(told["calibration"]).split("+")
        told["calibration"] = f"calibration {'+'.join(each[:12] for each in digests)}"
    return told | {"views": f"{len(features.views)} views" if features.views else None}
