"""Several vectors of one picture, joined: of different networks, or of layers of one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.errors import OptionError, RecipeMismatchError
from featx.features.recipe import Recipe


@dataclass(frozen=True)
class Fusion:
    """Recipes whose vectors are joined, each brought to length 1 first, so that all count alike.

    It stands where a `Recipe` does.

    Attributes
    ----------
    parts : tuple of Recipe
        At least two, in the order of the columns.
    """

    parts: tuple[Recipe, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2 or len(set(self.parts)) < len(self.parts):
            names = "+".join(part.backbone for part in self.parts)
            raise OptionError(f"cannot join {names}: expected different networks or layers")

    @property
    def backbone(self) -> str:
        """Names of the networks: "resnet50+xception"; of one network with its layers, its name."""
        return "+".join(dict.fromkeys(part.backbone for part in self.parts))

    @property
    def layer(self) -> str | None:
        """Names of the layers with "+" between; None where each part has the last one."""
        names = [part.layer for part in self.parts]
        return None if names == [None] * len(names) else "+".join(name or "last" for name in names)

    @property
    def pooling(self) -> str:
        """The pooling, which the parts share."""
        return self.parts[0].pooling

    @property
    def fingerprint(self) -> str:
        """32 hexadecimal characters that differ wherever a part does."""
        text = "+".join(part.fingerprint for part in self.parts)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def __getattr__(self, name: str) -> Any:
        """Return a setting of a recipe: one value where the parts agree, else all of them."""
        if name not in Recipe.__dataclass_fields__:
            raise AttributeError(name)
        values = list(dict.fromkeys(getattr(part, name) for part in self.parts))
        return values[0] if len(values) == 1 else "+".join(map(str, values))

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values, ready for JSON."""
        return {"parts": [part.to_dict() for part in self.parts]}

    def require(self, other: Recipe | Fusion | None, what: str) -> None:
        """Check that `what` was made by the same parts; see `Recipe.require`."""
        if not isinstance(other, Fusion) or len(other.parts) != len(self.parts):
            raise RecipeMismatchError(
                f"{what} were made by {other or 'no known recipe'}, expected {self}; "
                "embed the images with the same networks"
            )
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine.require(theirs, what)

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))


def read_recipe(settings: Mapping[str, Any]) -> Recipe | Fusion:
    """Rebuild what `to_dict` of a recipe or of a fusion gave.

    Raises
    ------
    OptionError
        The settings are not those of a recipe.
    """
    if set(settings) != {"parts"}:
        return Recipe.from_dict(settings)
    if not isinstance(settings["parts"], list):
        raise OptionError(f"parts of a recipe are {settings['parts']!r}: expected a list")
    return Fusion(tuple(Recipe.from_dict(part) for part in settings["parts"]))


def join(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Join vectors row by row, each brought to length 1; a vector of zeros stays one.

    Parameters
    ----------
    blocks : sequence of ndarray of shape (n, any), float32
        Row i of each belongs to one picture.

    Returns
    -------
    ndarray of shape (n, columns of all), float32
    """
    lengths = [np.linalg.norm(block, axis=1, keepdims=True) for block in blocks]
    return np.concatenate(
        [
            block / np.where(length > 0, length, 1)
            for block, length in zip(blocks, lengths, strict=True)
        ],
        axis=1,
    )
