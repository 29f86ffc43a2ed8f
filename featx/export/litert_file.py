"""A LiteRT file of a model, which telephones and small computers run."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featx.backbones.framework import keras_backend, quiet_stderr
from featx.backbones.keras_settings import usual_settings
from featx.errors import ConversionError, one_line
from featx.text import printable

if TYPE_CHECKING:
    import keras


@usual_settings()
def write_litert(model: keras.Model, path: Path, **settings: Any) -> None:
    """Write a Keras model as a LiteRT file, of operations that every LiteRT has.

    Parameters
    ----------
    model : keras.Model
        From pixels to probabilities.
    path : path
        A name that ends in ".tflite".
    **settings
        Of TensorFlow's converter, such as those that quantize.

    Raises
    ------
    ConversionError
        Keras does not run on TensorFlow, or an operation is none of LiteRT's own.
    """
    if keras_backend() != "tensorflow":
        raise ConversionError(
            f"LiteRT files are written with TensorFlow: Keras runs on {keras_backend()} here; "
            "unset KERAS_BACKEND"
        )
    import tensorflow

    builtins = {"supported_ops": [tensorflow.lite.OpsSet.TFLITE_BUILTINS]}
    settings = {"target_spec": builtins, **settings}
    try:
        with quiet_stderr(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.export(path, format="litert", verbose=False, **settings)
    except OSError:
        raise
    except Exception as error:  # whatever the converter meets in a network of the user's own
        name = printable(model.name)
        raise ConversionError(f"{name} cannot be converted: {one_line(error)}") from error
