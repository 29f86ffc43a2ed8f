"""The whole of an exported model as one Keras model: from pixels to probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from featx.backbones.backbone import Backbone
from featx.backbones.framework import import_keras
from featx.backbones.keras_settings import usual_settings
from featx.backbones.kinds import OPENVINO
from featx.backbones.network import Cut, cut_network
from featx.backbones.preprocessing import Preprocessing
from featx.errors import OptionError
from featx.export.head import keras_head
from featx.export.metadata import inputs_of
from featx.features.recipe import RecipePart
from featx.images.square import Square

if TYPE_CHECKING:
    import keras

#: A network, and how a picture becomes its vector.
Part: TypeAlias = tuple[Backbone, RecipePart]

LEAST_LENGTH = 1e-30  # of a vector that is brought to length 1: one of zeros stays so


def pixel_inputs(parts: Sequence[Part]) -> dict[str, Square]:
    """Return the inputs of an exported model by name; see `inputs_of`.

    Each takes uint8 of shape (n, size, size, 3): red, green and blue.
    """
    return inputs_of([part.square for _, part in parts])


def as_float(cut: Cut) -> Cut:
    """Return a cut as it is exported: the network computes in float32."""
    return replace(cut, precision="float32", calibration=None)


def check_parts(parts: Sequence[Part]) -> None:
    """Raise an `OptionError` for a network whose pixels are prepared outside of it."""
    for backbone, _ in parts:
        if not isinstance(backbone.preprocess, Preprocessing) and not backbone.is_pixels:
            raise OptionError(
                f"{backbone.name} prepares pixels with a function in Python, which cannot be "
                "exported: give the network a preprocessing by name, such as 'torch', and train "
                "again"
            )


def are_keras(parts: Sequence[Part]) -> bool:
    """Whether all networks are Keras's own, or none is needed."""
    return all(backbone.kind != OPENVINO for backbone, _ in parts)


@usual_settings()
def keras_whole(
    parts: Sequence[Part], pipeline: Any, temperature: float | None = None
) -> keras.Model:
    """Return networks and the fitted pipeline behind them as one Keras model.

    Parameters
    ----------
    parts : sequence of (Backbone, RecipePart)
        The networks, joined in this order, as `Request.of_view(0)` gives them. They compute in
        float32, whatever precision a part names.
    pipeline : estimator
        A fitted scikit-learn classifier, or a pipeline that ends in one.
    temperature : float, optional
        That of a model that rejects.

    Returns
    -------
    keras.Model
        From `pixel_inputs` to "probabilities" of shape (n, n_classes), float32. A network with
        layers of a library, such as KerasHub, needs that to be loaded again.

    Raises
    ------
    OptionError
        A step of the pipeline, or the preparation of pixels, cannot be exported; or a network is
        not Keras's own.
    """
    keras = import_keras()
    check_parts(parts)
    if not are_keras(parts):
        names = ", ".join(each.name for each, _ in parts if each.kind == OPENVINO)
        raise OptionError(f"{names} is no network of Keras: export to OpenVINO (.xml)")
    entries = {
        square: keras.Input((square.size, square.size, 3), dtype="uint8", name=name)
        for name, square in pixel_inputs(parts).items()
    }
    features = [_features(entries[part.square], backbone, part) for backbone, part in parts]
    joined = features[0]
    if len(features) > 1:
        joined = keras.layers.Concatenate()([_unit_rows(each) for each in features])
    shares = keras_head(pipeline, joined.shape[-1], temperature)(joined)
    shares = keras.layers.Identity(name="probabilities")(shares)
    inputs = list(entries.values())
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], shares, name="model")


def _unit_rows(rows: Any) -> Any:
    """Bring vectors to length 1, as `featx.features.recipe.join` does; zeros stay zeros."""
    ops = import_keras().ops
    squares = ops.sum(ops.square(rows), axis=-1, keepdims=True)
    return rows / ops.maximum(ops.sqrt(squares), LEAST_LENGTH)


def _features(pixels: Any, backbone: Backbone, part: RecipePart) -> Any:
    """Return the vectors of a network, in which a map that is not pooled has one row."""
    keras = import_keras()
    if backbone.is_pixels:
        features = keras.ops.cast(pixels, "float32")
    else:
        cut = as_float(part.cut)
        features = cut_network(backbone, cut, (cut.pooling,), part.square.size)(pixels)
    return features if len(features.shape) == 2 else keras.layers.Flatten()(features)
