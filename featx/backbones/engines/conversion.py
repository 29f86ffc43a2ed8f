"""Conversion of networks for OpenVINO, kept on disk so that TensorFlow is needed only once.

On disk, below the cache folder::

    engines/<key>/
        engine.json             what shaped it, for a person to read, and checksums
        network.xml, .bin       the network with its preprocessing, in OpenVINO's format
        compiled-<key>.blob     what a processor makes of it, at one precision and batch size

The key of a folder covers everything that shapes the network. A folder is written beside and
renamed into place; one whose checksums do not hold is made anew.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.engines.engine import EngineRequest
from featx.backbones.framework import import_openvino, keras_backend
from featx.backbones.keras_settings import usual_settings
from featx.backbones.kinds import OPENVINO
from featx.backbones.network import Cut, cut_network
from featx.backbones.network_child import cut_file
from featx.backbones.network_file import NetworkFile
from featx.backbones.network_store import key_of, read_network, write_network
from featx.backbones.openvino_network import cut_openvino_network
from featx.backbones.openvino_trial import computed, tried
from featx.errors import ConversionError, StorageError, get_logger, one_line
from featx.progress import waiting

if TYPE_CHECKING:
    import keras
    import openvino

CONVERSION_VERSION = 1  # raise it where a change below changes a converted network
DESCRIPTION = "engine.json"
_MAKERS = {"keras": ("keras", "openvino"), OPENVINO: ("openvino",)}  # packages, by kind
TOLERANCE = 1e-3  # of the scale of the features, between Keras and the converted network

log = get_logger(__name__)


def converted(request: EngineRequest) -> tuple[openvino.Model, Path | None]:
    """Return a network in OpenVINO's form, from the cache or converted now, and its folder there.

    It takes what the model of `featx.backbones.network.cut_network` takes, any number at once; its
    precision plays no part yet. The folder is None where the cache cannot be written, which is
    logged. A network with an operation that OpenVINO does not know, or that gives other features
    there, raises `ConversionError`.
    """
    return kept(request.cache, settings_of(request), lambda: float_network(request))


def float_network(request: EngineRequest) -> openvino.Model:
    """Convert a network now, in float32; see `converted`."""
    backbone, cut = request.backbone, _float(request.cut)
    reason = f"converting {backbone.name} for this processor, once: that may take a minute"
    shape = request.poolings, request.input_size
    with waiting(reason, shown=request.progress):
        if backbone.kind == OPENVINO:
            if isinstance(backbone.source, NetworkFile):
                return cut_file(backbone, cut, *shape)
            return tried(cut_openvino_network(backbone, cut, *shape), backbone.name)
        return _convert(cut_network(backbone, cut, *shape), backbone.name)


def settings_of(request: EngineRequest) -> dict[str, Any]:
    """Return all that shapes a converted network, as plain values."""
    backbone, cut = request.backbone, _float(request.cut)
    # Settings that came later are named where they are used, so that older networks stay known.
    changed = {name: each for name, each in asdict(cut).items() if each != getattr(Cut(), name)}
    return {
        "backbone": backbone.name,
        "weights": backbone.digest,
        "preprocessing": backbone.preprocessing,
        **changed,
        "layer": cut.layer,
        "pooling": "+".join(request.poolings),
        "input_size": request.input_size,
        "conversion": CONVERSION_VERSION,
        **{name: metadata.version(name) for name in _MAKERS[backbone.kind]},
    }


def kept(
    cache: Path, settings: Mapping[str, Any], make: Callable[[], openvino.Model]
) -> tuple[openvino.Model, Path | None]:
    """Return the network of these settings, from the cache or made now, and its folder there.

    The folder is None where the cache cannot be written, which is logged.
    """
    folder = engines_folder(cache) / key_of(settings)
    if (network := read_network(folder, DESCRIPTION)) is not None:
        return network, folder
    network = make()
    try:
        write_network(folder, DESCRIPTION, network, settings)
    except StorageError as error:
        log.warning("%s; the network is not kept, and converted again next time", error)
        return network, None
    again = read_network(folder, DESCRIPTION)
    return (network, None) if again is None else (again, folder)


def engines_folder(cache: Path) -> Path:
    """Return the folder of a cache below which each converted network has its own."""
    return cache / "engines"


def _float(cut: Cut) -> Cut:
    """Return a cut as every precision begins."""
    return replace(cut, precision="float32", calibration=None)


@usual_settings()
def keras_converted(model: keras.Model, name: str) -> openvino.Model:
    """Convert a Keras model as it is; `name` is what an error calls it.

    Raises a `ConversionError` if Keras does not run on TensorFlow, or OpenVINO does not know an
    operation.
    """
    if keras_backend() != "tensorflow":
        raise ConversionError(
            f"networks are converted for OpenVINO with TensorFlow: Keras runs on "
            f"{keras_backend()} here; unset KERAS_BACKEND once, or use the engine keras"
        )
    try:
        with warnings.catch_warnings():  # about a list of one input
            warnings.simplefilter("ignore")
            network: openvino.Model = import_openvino().convert_model(model)
    except Exception as error:  # whatever the converter meets in a network of the user's own
        raise ConversionError(f"{name} cannot be converted: {one_line(error)}") from error
    return network


@usual_settings()
def _convert(model: keras.Model, name: str) -> openvino.Model:
    """Convert a Keras model, and check that it still gives the same features."""
    network = keras_converted(model, name)
    entry = model.inputs[0]
    pixels = np.random.default_rng(0).integers(0, 256, (2, *entry.shape[1:]), dtype=np.uint8)
    pixels = pixels.astype(entry.dtype)
    expected = np.asarray(model(pixels, training=False))
    actual = computed(network, pixels)
    difference = np.abs(actual - expected).max() / (np.abs(expected).max() or 1)
    if not difference < TOLERANCE:
        raise ConversionError(
            f"{name} gives other features once converted (by {difference:.1e} of their scale)"
        )
    return network
