"""The recipe: everything that changes the value of a feature, and nothing else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from featx.backbones.engine import POOLINGS, PRECISIONS
from featx.errors import OptionError, RecipeMismatchError, check_choice
from featx.images.decode import DECODE_VERSION
from featx.images.fit import DECODES, INTERPOLATIONS, RESIZES, Fit
from featx.images.views import VIEWS_VERSION


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
    view : str or None
        Number and version of an augmented view, such as "2/1"; None for the picture as it is.
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
    view: str | None = None

    def __post_init__(self) -> None:
        check_choice("pooling", self.pooling, POOLINGS)
        check_choice("resize", self.resize, RESIZES)
        check_choice("interpolation", self.interpolation, INTERPOLATIONS)
        check_choice("decode", self.decode, tuple(f"{each}/{DECODE_VERSION}" for each in DECODES))
        check_choice("precision", self.precision, PRECISIONS)
        if self.view is not None and not re.fullmatch(rf"[1-9]\d*/{VIEWS_VERSION}", self.view):
            raise OptionError(f"view {self.view!r}: expected a number, such as '1/{VIEWS_VERSION}'")

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that differ wherever the recipe does."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    @property
    def parts(self) -> tuple[Recipe, ...]:
        """This recipe alone; a `Fusion` has several."""
        return (self,)

    @property
    def fit(self) -> Fit:
        """The square of pixels that the network sees."""
        decode = self.decode.partition("/")[0]
        view = int(self.view.partition("/")[0]) if self.view else 0
        return Fit(self.input_size, self.resize, self.interpolation, decode, view)

    def of_view(self, number: int) -> Recipe:
        """Return the recipe of an augmented view, or with 0 that of the picture as it is."""
        return replace(self, view=f"{number}/{VIEWS_VERSION}" if number else None)

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        settings = asdict(self)
        if self.view is None:  # so that older vectors and models are known by what they were
            del settings["view"]
        return settings

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Recipe:
        """Rebuild a recipe from `to_dict`.

        Raises
        ------
        OptionError
            A setting is missing, unknown or has a value that this version does not know.
        """
        expected = {field.name for field in fields(cls)}
        if set(settings) | {"view"} != expected:
            odd = sorted((set(settings) | {"view"}) ^ expected)
            raise OptionError(
                f"not a recipe of this version of featx: {', '.join(odd)} missing or unknown; "
                "update featx or make the file again"
            )
        return cls(**settings)

    def require(self, other: Any, what: str) -> None:
        """Check that `what`, made by the recipe `other`, may be used where this one is expected.

        The precision may differ: features in bfloat16 are those in float32, rounded, and a
        processor without bfloat16 has to use a model that was trained on such features.

        Raises
        ------
        RecipeMismatchError
            The recipes differ; the message names each setting with both values.
        """
        if isinstance(other, Recipe) and replace(other, precision=self.precision) == self:
            return
        if not isinstance(other, Recipe | None):
            raise RecipeMismatchError(f"{what} were made by {other}, expected {self}")
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
        view = f", view {self.view}" if self.view else ""
        return (
            f"{self.backbone}{layer}, {self.pooling} pooling, {self.input_size} px "
            f"{self.resize} {self.interpolation}{scaled}{precision}{view}, "
            f"weights {_short(self.weights)}"
        )


def _short(value: object) -> str:
    text = str(value)
    return text[:12] if len(text) == 64 else text
