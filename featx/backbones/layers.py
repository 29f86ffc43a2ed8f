"""Layers of a network that can be read: their names, and the shapes of what they give."""

from __future__ import annotations

from typing import cast

from featx.backbones.backbone import Backbone, Source
from featx.backbones.graph import shapes_of
from featx.backbones.kinds import OPENVINO
from featx.backbones.network_child import layers_of_file
from featx.backbones.network_file import NetworkFile
from featx.backbones.openvino_network import layer_shapes as shapes_in_openvino
from featx.errors import OptionError


def layer_shapes(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """Return the shape of what each layer of a network gives, by name, as the layers follow.

    For pictures of its usual size: (height, width, channels) of a map of a Keras network,
    (channels, height, width) of most others, (tokens, channels), or (columns,) of a vector.
    """
    if backbone.is_pixels:
        raise OptionError("pixels are no network and have no layers")
    if isinstance(backbone.source, NetworkFile):
        return layers_of_file(backbone)
    if backbone.kind == OPENVINO:
        return shapes_in_openvino(backbone)
    source = cast(Source, backbone.source)
    return shapes_of(*source.network(None, None, backbone.input_size))
