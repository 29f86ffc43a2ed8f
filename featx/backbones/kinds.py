"""Kinds of networks: where the network that a name stands for comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

PIXELS = "pixels"


@dataclass(frozen=True)
class Kind:
    """A kind of network."""

    name: str
    claims: Callable[[str], bool]  # whether it knows a backbone of this name
    loader: str  # "module:callable": from name, weights and layer to a `Backbone`


#: The first that claims a name loads it.
KINDS = (
    Kind(PIXELS, lambda name: name == PIXELS, "featx.backbones.pixels:load"),
    Kind("keras", lambda name: True, "featx.backbones.applications:load"),
)
