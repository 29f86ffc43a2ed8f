"""The recipe of a feature: everything that changes its value, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np

from featx.backbones.network import Cut
from featx.errors import OptionError, RecipeMismatchError
from featx.images.decode import DECODE_VERSION
from featx.images.square import Square
from featx.images.views import VIEWS_VERSION
from featx.text import printable, shortened

# In the order of a file. These are always written; a setting that came later only where it is not
# the default, so that older vectors and models are known by what they were.
_ALWAYS = (
    *("backbone", "weights", "input_size", "layer", "pooling", "resize", "interpolation"),
    *("preprocessing", "orientation", "color", "decode", "precision"),
)
# Policies that have one value today, written down so that another never meets an old vector.
_POLICIES = {"orientation": "exif", "color": "rgb"}
_VERSIONS = {"decode": DECODE_VERSION, "view": VIEWS_VERSION}  # written behind the value: "full/1"
_SQUARE = {field.name: field.default for field in fields(Square) if field.name != "size"}
_USUAL = _SQUARE | {field.name: field.default for field in fields(Cut)}
# What JSON may hold where there is no list of choices to check it by.
_KINDS: dict[str, type | tuple[type, ...]] = {
    "backbone": str,
    "weights": str,
    "input_size": int,
    "layer": (str, type(None)),
    "preprocessing": str,
    "calibration": (str, type(None)),
}
_LONGEST = 1000  # characters of a name
_LARGEST = 1 << 14  # pixels of a side: of more, one picture takes some gigabytes
_MOST_PARTS = 64


@dataclass(frozen=True)
class RecipePart:
    """How a picture becomes the vector of one network.

    Attributes
    ----------
    backbone : str
        Name of the network.
    weights : str
        Digest of its weights: SHA-256 of the file, in hexadecimal.
    preprocessing : str
        Name and version of the scaling of pixels, such as "caffe/1".
    square : Square
        The square of pixels that the network sees.
    cut : Cut
        The layer that is read, its pooling, and the precision with its calibration.
    """

    backbone: str
    weights: str
    preprocessing: str
    square: Square
    cut: Cut

    @classmethod
    def of(
        cls,
        backbone: str,
        weights: str,
        input_size: int,
        preprocessing: str = "none/1",
        **settings: Any,
    ) -> RecipePart:
        """Put a part together from settings by name, those of `Square` and of `Cut`."""
        square = Square(input_size, **{name: settings[name] for name in _SQUARE.keys() & settings})
        cut = Cut(**{name: settings[name] for name in settings if name not in _SQUARE})
        return cls(backbone, weights, preprocessing, square, cut)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by name."""
        return {
            "backbone": self.backbone,
            "weights": self.weights,
            **asdict(self.cut),
            "input_size": self.square.size,
            **{name: getattr(self.square, name) for name in _SQUARE},
            "preprocessing": self.preprocessing,
            **_POLICIES,
        }

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that differ wherever the part does."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def of_view(self, number: int) -> RecipePart:
        """Return that of an augmented view, or with 0 of the picture as it is."""
        return replace(self, square=replace(self.square, view=number))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        settings = self.settings
        names = [*_ALWAYS, *(name for name in _USUAL if settings[name] != _USUAL[name])]
        return {
            name: f"{settings[name]}/{_VERSIONS[name]}" if name in _VERSIONS else settings[name]
            for name in dict.fromkeys(names)
        }

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> RecipePart:
        """Rebuild a part from `to_dict`.

        Raises
        ------
        OptionError
            A setting is missing, unknown or has a value that this version does not know.
        """
        if not isinstance(written, Mapping):
            raise OptionError(f"{written!r} is no recipe: expected its settings by name")
        odd = (set(_ALWAYS) - set(written)) | (set(written) - {*_ALWAYS, *_USUAL})
        if odd:
            raise OptionError(
                f"not a recipe of this version of featx: {', '.join(sorted(odd))} missing or "
                "unknown; update featx or make the file again"
            )
        settings = dict(written)
        for name, value in _POLICIES.items():
            if settings.pop(name) != value:
                raise OptionError(f"{name} {written[name]!r} of a recipe: expected {value!r}")
        for name, kind in _KINDS.items():
            if name in settings and not _is_kind(settings[name], kind):
                wanted = f"a whole number up to {_LARGEST}" if kind is int else "a name"
                value = shortened(repr(settings[name]), 40)
                raise OptionError(f"{name} {value} of a recipe: expected {wanted}")
        for name in _VERSIONS.keys() & settings.keys():
            settings[name] = _unversioned(name, settings[name], type(_USUAL[name]))
        return cls.of(**settings)

    def __str__(self) -> str:
        square, cut = self.square, self.cut
        layer = f" at {cut.layer}" if cut.layer else ""
        scaled = " scaled" if square.decode == "scaled" else ""
        precision = f", {cut.precision}" if cut.precision != "float32" else ""
        written = self.to_dict()
        later = "".join(
            f", {name} {_short(written[name])}" for name in written if name not in _ALWAYS
        )
        return printable(
            f"{self.backbone}{layer}, {cut.pooling} pooling, {square.size} px "
            f"{square.resize} {square.interpolation}{scaled}{precision}{later}, "
            f"weights {_short(self.weights)}"
        )


@dataclass(frozen=True)
class Recipe:
    """How a picture becomes a vector: by one network, or by several whose vectors are joined.

    Two vectors may be compared, stacked or fed to the same classifier only if their recipes are
    equal. What does not change a value (batch size, threads, device, engine) is not in here.

    Attributes
    ----------
    parts : tuple of RecipePart
        One, or in the order of the columns several different ones, whose vectors are each brought
        to length 1, so that all count alike.
    """

    parts: tuple[RecipePart, ...]

    def __post_init__(self) -> None:
        if not self.parts or len(set(self.parts)) < len(self.parts):
            names = "+".join(part.backbone for part in self.parts)
            raise OptionError(f"cannot join {names}: expected different networks or layers")

    @property
    def backbone(self) -> str:
        """Names of the networks: "resnet50+xception"; of one network with its layers, its name."""
        return "+".join(dict.fromkeys(part.backbone for part in self.parts))

    @property
    def layer(self) -> str | None:
        """Names of the layers with "+" between; None where each part has the last one."""
        names = [part.cut.layer for part in self.parts]
        return None if names == [None] * len(names) else "+".join(name or "last" for name in names)

    @property
    def pooling(self) -> str:
        """The pooling, which the parts share."""
        return self.parts[0].cut.pooling

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting by name: one value where the parts agree, else all with "+" between."""
        every = [part.settings for part in self.parts]
        settings = {}
        for name in every[0]:
            values = list(dict.fromkeys(each[name] for each in every))
            settings[name] = values[0] if len(values) == 1 else "+".join(map(str, values))
        return settings | {"backbone": self.backbone, "layer": self.layer}

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that differ wherever a part does."""
        if len(self.parts) == 1:
            return self.parts[0].fingerprint
        text = "+".join(part.fingerprint for part in self.parts)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        if len(self.parts) == 1:
            return self.parts[0].to_dict()
        return {"parts": [part.to_dict() for part in self.parts]}

    @classmethod
    def from_dict(cls, written: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from `to_dict`.

        Raises
        ------
        OptionError
            The settings are not those of a recipe that this version knows.
        """
        if not isinstance(written, Mapping) or set(written) != {"parts"}:
            return cls((RecipePart.from_dict(written),))
        parts = written["parts"]
        if not isinstance(parts, list) or len(parts) > _MOST_PARTS:
            raise OptionError(
                f"parts of a recipe are {shortened(repr(parts), 40)}: expected a list of at most "
                f"{_MOST_PARTS}"
            )
        return cls(tuple(RecipePart.from_dict(part) for part in parts))

    def require(self, other: Recipe | None, what: str) -> None:
        """Check that `what`, made by the recipe `other`, may be used where this one is expected.

        float32 and bfloat16 may stand for each other: features in bfloat16 are those in float32,
        rounded, and a processor without bfloat16 has to use a model that was trained on such
        features. Those in int8 need its very calibration, and every processor can have them.

        Raises
        ------
        RecipeMismatchError
            The recipes differ; the message names each setting with both values.
        """
        if other is None:
            raise RecipeMismatchError(
                f"{what} carry no recipe, expected {self}; embed the images again"
            )
        if len(other.parts) != len(self.parts):
            raise RecipeMismatchError(
                f"{what} were made by {other}, expected {self}; embed the images with the same "
                "networks"
            )
        differences = [
            f"{name} {_short(theirs)}, expected {_short(mine)}"
            for part, another in zip(self.parts, other.parts, strict=True)
            for name, theirs, mine in _differences(another, part)
        ]
        if not differences:
            return
        advice = "use the same settings for both"
        if all(each.startswith("calibration ") for each in differences):
            advice = (
                "int8 was calibrated on other pictures: embed both with one cache, or give the "
                "pictures in place of features"
            )
        raise RecipeMismatchError(
            f"{what} were made by another recipe ({'; '.join(differences)}); {advice}"
        )

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))


def join(blocks: list[np.ndarray]) -> np.ndarray:
    """Join vectors row by row, each brought to length 1; a vector of zeros stays one.

    The blocks are of shape (n, any), float32; row i of each belongs to one picture.
    """
    units = []
    for block in blocks:
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        units.append(block / np.where(lengths > 0, lengths, 1))
    return np.concatenate(units, axis=1)


def _differences(one: RecipePart, other: RecipePart) -> list[tuple[str, Any, Any]]:
    """List the settings in which two parts give other vectors, with both values."""
    both = one.settings, other.settings
    alike = set()
    if "int8" not in (one.cut.precision, other.cut.precision):
        alike = {"precision"}
    elif one.cut.precision != other.cut.precision:
        alike = {"calibration"}  # which only one of them has
    return [
        (name, both[0][name], both[1][name])
        for name in both[0]
        if both[0][name] != both[1][name] and name not in alike
    ]


def _is_kind(value: object, kind: type | tuple[type, ...]) -> bool:
    """Whether a value of a file is a name or a size as recipes have them."""
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    if isinstance(value, int):
        return 0 < value <= _LARGEST
    return not isinstance(value, str) or len(value) <= _LONGEST


def _unversioned(name: str, written: object, kind: type) -> Any:
    """Return a value that is written with its version behind it."""
    value, _, version = str(written).rpartition("/")
    if version != str(_VERSIONS[name]) or (kind is int and not value.isdecimal()):
        raise OptionError(
            f"{name} {shortened(repr(written), 40)} of a recipe: expected version "
            f"{_VERSIONS[name]}, such as '{'1' if kind is int else 'full'}/{_VERSIONS[name]}'; "
            "update featx"
        )
    return kind(value)


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
