"""The recipe: everything that changes the value of a feature, and nothing else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from featx.backbones.engine import POOLINGS, PRECISIONS
from featx.errors import OptionError, RecipeMismatchError, check_choice
from featx.images.decode import DECODE_VERSION
from featx.images.fit import DECODES, INTERPOLATIONS, RESIZES, Fit


@dataclass(frozen=True)
class Recipe:
    """How a picture becomes a vector.

    Two vectors may be compared, stacked or fed to the same classifier only if their recipes are
    equal. What does not change a value (batch size, threads, device, engine) is not in here.

    Attributes
    ----------
    backbone : str
        Name of the network.
    weights : str
        Digest of its weights: SHA-256 of the file, in hexadecimal.
    input_size : int
        Side of the square picture that the network sees, in pixels.
    layer : str or None
        The layer whose output is taken; None for the last one before the classifier.
    pooling : {"avg", "max", "flatten", "none"}
        How a map of shape (height, width, channels) becomes a vector.
    resize : {"squash", "crop", "pad"}
        How a picture becomes square.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}
        The filter of the resizing.
    preprocessing : str
        Name and version of the scaling of pixels, such as "caffe/1".
    orientation, color : str
        The policies for EXIF orientation and colour. They have one value today and are here so
        that another value never meets an old vector.
    decode : str
        "full" or "scaled" and the version of the decoder, such as "full/1".
    precision : {"float32", "bfloat16"}
        The number format that the network computes in.
    """

    backbone: str
    weights: str
    input_size: int
    layer: str | None = None
    pooling: str = "avg"
    resize: str = "squash"
    interpolation: str = "bilinear"
    preprocessing: str = "none/1"
    orientation: str = "exif"
    color: str = "rgb"
    decode: str = f"full/{DECODE_VERSION}"
    precision: str = "float32"

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("resize", self.resize, RESIZES)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("decode", self.decode, tuple(f"{each}/{DECODE_VERSION}" for each in DECODES))
        check_choice("precision", self.precision, PRECISIONS)

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that differ wherever the recipe does."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def fit(self) -> Fit:
        """The square of pixels that the network sees."""
        decode = self.decode.partition("/")[0]
        return Fit(self.input_size, self.resize, self.interpolation, decode)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from `to_dict`.

        Raises
        ------
        OptionError
            A setting is missing, unknown or has a value that this version does not know.
        """
        expected = {field.name for field in fields(cls)}
        if set(settings) != expected:
            odd = sorted(set(settings) ^ expected)
            raise OptionError(
                f"not a recipe of this version of featx: {', '.join(odd)} missing or unknown; "
                "update featx or make the file again"
            )
        return cls(**settings)

    def require(self, other: Recipe | None, what: str) -> None:
        """Check that `what`, made by the recipe `other`, may be used where this one is expected.

        The precision may differ: features in bfloat16 are those in float32, rounded, and a
        processor without bfloat16 has to use a model that was trained on such features.

        Raises
        ------
        RecipeMismatchError
            The recipes differ; the message names each setting with both values.
        """
        if other is not None and replace(other, precision=self.precision) == self:
            return
        if other is None:
            raise RecipeMismatchError(
                f"{what} carry no recipe, expected {self}; embed the images again"
            )
        mine, theirs = asdict(self), asdict(other)
        differences = [
            f"{name} {_short(theirs[name])}, expected {_short(mine[name])}"
            for name in mine
            if mine[name] != theirs[name] and name != "precision"
        ]
        raise RecipeMismatchError(
            f"{what} were made by another recipe ({'; '.join(differences)}); "
            "use the same settings for both"
        )

    def __str__(self) -> str:
        layer = f" at {self.layer}" if self.layer else ""
        scaled = " scaled" if self.decode.startswith("scaled") else ""
        precision = f", {self.precision}" if self.precision != "float32" else ""
        return (
            f"{self.backbone}{layer}, {self.pooling} pooling, {self.input_size} px "
            f"{self.resize} {self.interpolation}{scaled}{precision}, "
            f"weights {_short(self.weights)}"
        )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
