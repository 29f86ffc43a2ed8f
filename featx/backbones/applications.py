"""Applications: the networks of the table, built by Keras, with weights from a file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from featx.backbones import table
from featx.backbones.backbone import Backbone
from featx.backbones.graph import shapes_of
from featx.backbones.keras_settings import usual_settings
from featx.backbones.keras_weights import load_weights
from featx.backbones.network import CLASSIFIER_LAYERS, named_layers
from featx.backbones.preprocessing import PREPROCESSING_VERSION, PREPROCESSINGS
from featx.backbones.table import BackboneSpec
from featx.backbones.weights import Weights, describe, locate
from featx.errors import OptionError, WeightsError

if TYPE_CHECKING:
    import keras


def load(name: str, weights: str | Path, layer: str | None) -> Backbone:
    """Take a network of the table; see `Backbone.load`."""
    spec = table.find(name)
    found = locate(spec, weights, top=layer in CLASSIFIER_LAYERS)
    return Backbone(
        name=spec.name,
        digest=found.digest,
        input_size=spec.input_size,
        min_size=spec.min_size,
        preprocessing=f"{spec.preprocessing}/{PREPROCESSING_VERSION}",
        layer=layer,
        preprocess=PREPROCESSINGS[spec.preprocessing],
        source=Application(spec, found),
        weights=found,
    )


@dataclass(frozen=True)
class Application:
    """A network of the table with its weights, as `featx.backbones.backbone.Source` says.

    All are equal: the name and the digest of the backbone tell them apart.
    """

    spec: BackboneSpec = field(compare=False)
    weights: Weights = field(compare=False)
    prefix_tokens: int | None = field(default=None, compare=False)

    @property
    def pools_freely(self) -> bool:
        """Whether the network normalises nothing after a pooling of its own."""
        return not self.spec.normalizes_pooled

    def network(
        self, layer: str | None, pooling: str | None, input_size: int
    ) -> tuple[keras.Model, dict[str, keras.layers.Layer]]:
        """Build the network and load its weights; see `featx.backbones.backbone.Source`."""
        network = build(self.spec, input_size, top=layer in CLASSIFIER_LAYERS, pooling=pooling)
        load_weights(network, self.spec, self.weights)
        self._require_same_file()
        layers = named_layers(network)
        if layer == "predictions":  # which some networks call by another name
            layers.setdefault(layer, network.layers[-1])
        return network, layers

    def digests(self) -> tuple[str, ...]:
        """Return the digest of the weights; see `featx.backbones.backbone.Source`."""
        return (self.weights.digest,)

    def _require_same_file(self) -> None:
        """Check that the file just read is that of the digest, not one put in its place since."""
        weights = self.weights
        if weights.path and describe(self.spec, weights.source, weights.path) != weights:
            raise WeightsError(
                f"{weights.path} was replaced by another file after {self.spec.name} was loaded: "
                "load the backbone again"
            )


def build(spec: BackboneSpec, input_size: int, *, top: bool, pooling: str | None) -> keras.Model:
    """Build a network of the table for pictures of a size in pixels, without weights.

    With the classifier (`top`) it takes its own size only. `pooling` ("avg", "max" or None) is
    that of the network itself: some, such as ConvNeXt, normalise after it.
    """
    if top and input_size != spec.input_size:
        raise OptionError(
            f"the classifier of {spec.name} takes {spec.input_size} px: got {input_size}; "
            "leave the input size out"
        )
    shape = (input_size, input_size, 3)
    return spec.build(include_top=top, input_shape=shape, pooling=pooling)


@usual_settings()
def layer_shapes(spec: BackboneSpec) -> dict[str, tuple[int, ...]]:
    """Return what `featx.backbones.layers.layer_shapes` does, without any weights."""
    network = build(spec, spec.input_size, top=False, pooling=None)
    return shapes_of(network, named_layers(network))
