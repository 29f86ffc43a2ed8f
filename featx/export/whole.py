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
from featx.features.recipe import RecipePart
from featx.images.square import Square

if TYPE_CHECKING:
    import keras

#: A network, and how a picture becomes its vector.
Part: TypeAlias = tuple[Backbone, RecipePart]


def pixel_inputs(parts: Sequence[Part]) -> dict[str, Square]:
    """Return the inputs of an exported model by name: the square that a picture is made into.

    There is one, "pixels", unless joined networks take pictures of several sizes: then each is
    named with its size, "pixels_224" and "pixels_299". Each takes uint8 of shape (n, size, size,
    3): red, green and blue.
    """
    squares = list(dict.fromkeys(part.square for _, part in parts))
    if len(squares) == 1:
        return {"pixels": squares[0]}
    return {f"pixels_{square.size}": square for square in squares}


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
    joined = features[0] if len(features) == 1 else keras.layers.Concatenate()(features)
    shares = keras_head(pipeline, joined.shape[-1], temperature)(joined)
    shares = keras.layers.Identity(name="probabilities")(shares)
    return keras.Model(list(entries.values()), shares, name="model")


def _features(pixels: Any, backbone: Backbone, part: RecipePart) -> Any:
    """Return the vectors of a network, in which a map that is not pooled has one row."""
    keras = import_keras()
    if backbone.is_pixels:
        features = keras.ops.cast(pixels, "float32")
    else:
        cut = as_float(part.cut)
        features = cut_network(backbone, cut, (cut.pooling,), part.square.size)(pixels)
    return features if len(features.shape) == 2 else keras.layers.Flatten()(features)
