"""Weights files read into Keras networks."""

from __future__ import annotations

import math
import re
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from featx.backbones.framework import import_keras, imported
from featx.backbones.table import BackboneSpec
from featx.backbones.weights import Weights, file_names
from featx.errors import WeightsError, get_logger, one_line
from featx.tensors.hdf5_file import check_weights_file, opened

if TYPE_CHECKING:
    import keras

logger = get_logger(__name__)

# He's 2 keeps the scale of a chain of rectified layers; a little less keeps that of residual
# blocks too, which add up: features of all networks of the table are between 1e-6 and 1e8.
RANDOM_GAIN = 1.6


def load_weights(model: keras.Model, spec: BackboneSpec, weights: Weights) -> None:
    """Put weights into a network that `spec.build` gave, with or without the classifier.

    A file that holds the classifier serves a model without it. A file that is damaged or belongs
    to another network raises `WeightsError`; the model is of no use then.
    """
    if weights.path is None:
        draw(model)
        return
    if reader := spec.readers.get(weights.path.suffix):
        imported(reader)(model, weights.path)
        return
    _load_keras_file(model, spec, weights.path)
    _settle_normalization(model, spec.stddev if weights.rescaled else None)


def draw(model: keras.Model, gain: float = RANDOM_GAIN) -> None:
    """Draw every kernel anew, the same on every machine and whatever the layers are called.

    The values are uniform, after He et al. (2015), "Delving deep into rectifiers"; unlike normal
    ones they come from exact arithmetic only. The rest stays as Keras sets it: zeros and ones.
    """
    generator = np.random.Generator(np.random.PCG64(0))
    for variable in model.weights:
        shape = tuple(variable.shape)
        if len(shape) < 2:
            continue
        depthwise = len(shape) == 4 and shape[-1] == 1
        fan_in = math.prod(shape[:2] if depthwise else shape[:-1])
        limit = np.float32(math.sqrt(3 * gain / fan_in))
        values = generator.random(shape, dtype=np.float32)
        variable.assign((2 * values - 1) * limit)


def _load_keras_file(model: keras.Model, spec: BackboneSpec, path: Path) -> None:
    try:
        _read_into(model, path)
        return
    except WeightsError:
        raise
    except (OSError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"{path} is cut off or no weights file ({one_line(error)}): delete it and fetch it "
            "again"
        ) from error
    except Exception as error:
        logger.debug("%s does not fit %s as it is: %s", path, model.name, error)
    # The classifier comes last, so what stands before it in a file is the network without it.
    whole = spec.build(include_top=True)
    try:
        _read_into(whole, path)
        model.set_weights(whole.get_weights()[: len(model.weights)])
    except Exception as error:
        names = file_names(spec, top=len(model.weights) == len(whole.weights))
        raise WeightsError(
            f"{path} does not fit {spec.name} ({one_line(error)}): expected its weights, as in "
            f"the file {names}"
        ) from error


def _read_into(model: keras.Model, path: Path) -> None:
    """Read a file that holds exactly the arrays of a model, in its order."""
    check_weights_file(path)
    if path.suffix == ".keras" or path.name.endswith(".weights.h5"):
        # Keras checks the layers of the model but not those that the file has beyond them.
        found, expected = _count_arrays(path), len(model.weights)
        if found != expected:
            raise ValueError(f"it holds {found} arrays, the network {expected}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what does not fit is an error in the end
        model.load_weights(str(path))


def _count_arrays(path: Path) -> int:
    """Count the weights that a file in Keras 3's own format holds."""
    names: list[str] = []
    with opened(path) as file:
        file.visit(names.append)
    # In layers only: the optimizer, metrics and states of dropout are no weights.
    array = re.compile(r"(layers|_layer_checkpoint_dependencies)/(?!.*seed_generator).*/vars/\d+")
    return sum(array.fullmatch(name) is not None for name in names)


def _settle_normalization(model: keras.Model, stddev: tuple[float, float, float] | None) -> None:
    """Let normalisation layers take up their weights, of which they keep a copy.

    With `stddev` they divide by its square root too, by way of the variance.
    """
    keras = import_keras()
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            mean, variance, *count = layer.get_weights()
            variance = variance * np.asarray(stddev or 1, variance.dtype)
            layer.set_weights([mean, variance, *count])
            layer.finalize_state()
