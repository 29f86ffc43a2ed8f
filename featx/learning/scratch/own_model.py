"""An own model: a compiled Keras model that a user gave, copied for every fit."""

from __future__ import annotations

import sys
from typing import Any

from featx.backbones.framework import import_keras
from featx.errors import OptionError, one_line


def is_keras_model(value: Any) -> bool:
    """Whether a value is a Keras model; Keras is not imported to find out."""
    return "keras" in sys.modules and isinstance(value, sys.modules["keras"].Model)


class OwnModel:
    """A compiled Keras model, with its weights as they were when it was given.

    It is never trained itself: `copy` makes what is. Raises an `OptionError` if the model is not
    compiled, or does not take one square picture and give one row of outputs.
    """

    def __init__(self, model: Any) -> None:
        self._model = model
        if not model.compiled or model.optimizer is None or model.loss is None:
            raise self._refused("is not compiled: call its compile(optimizer, loss) first")
        if isinstance(model.loss, list | tuple | dict) and len(model.loss) != 1:
            raise self._refused(f"has {len(model.loss)} losses: expected one")
        shape = getattr(model, "input_shape", None)
        if (
            not isinstance(shape, tuple)
            or isinstance(getattr(model, "input", None), dict)
            or len(shape) != 4
            or shape[1] != shape[2]
            or shape[3] not in (1, 3)
        ):
            raise self._refused(
                f"has input shape {shape}: expected that of one square picture, "
                "(None, size, size, 3), or with one channel for grey"
            )
        outputs = model.output_shape
        named = isinstance(getattr(model, "output", None), dict)
        if named or not isinstance(outputs, tuple) or len(outputs) != 2 or not outputs[1]:
            raise self._refused(f"has output shape {outputs}: expected (None, n_classes)")
        self._weights = model.get_weights()

    def _refused(self, reason: str) -> OptionError:
        return OptionError(f"the Keras model {self.name!r} {reason}")

    @property
    def name(self) -> str:
        """The name of the model."""
        return str(self._model.name)

    @property
    def size(self) -> int | None:
        """Side of the pictures that it takes, in pixels; None for any."""
        size: int | None = self._model.input_shape[1]
        return size

    @property
    def _loss(self) -> Any:
        """Its loss, as a name, a function or an object of Keras."""
        loss = self._model.loss
        if isinstance(loss, dict):
            loss = list(loss.values())
        return loss[0] if isinstance(loss, list | tuple) else loss

    @property
    def one_hot(self) -> bool:
        """Whether its loss takes a row of zeros and a one for each picture, not a number."""
        function = getattr(self._loss, "fn", self._loss)
        names = (str(self._loss), type(self._loss).__name__, getattr(function, "__name__", ""))
        return not any("sparse" in name.lower() for name in names)

    @property
    def logits(self) -> bool:
        """Whether its outputs are logits, not probabilities."""
        return bool(getattr(self._loss, "from_logits", False))

    def require(self, classes: int) -> None:
        """Raise an `OptionError` unless it has as many outputs as there are classes."""
        units = self._model.output_shape[1]
        if units != classes:
            raise self._refused(
                f"has {units} outputs: expected {classes}, one for each class, with a softmax; "
                "change its last layer"
            )

    def copy(self, size: int, classes: int, seed: int) -> Any:
        """Copy the model, compiled in the same way, its weights as they were at first.

        `size` is the side of the pictures to come, in pixels, `classes` how many outputs are
        needed, `seed` that of dropout and the like, where it has none. The one metric of the copy
        is the accuracy. Raises an `OptionError` if the model takes another size or fewer classes,
        or Keras cannot copy it.
        """
        if self.size not in (None, size):
            raise self._refused(
                f"takes pictures of {self.size} px: got {size}; embed with input_size={self.size}"
            )
        if classes > self._model.output_shape[1]:
            self.require(classes)
        keras = import_keras()
        seeds = iter(range(seed, seed + 1_000_000))

        def seeded(layer: Any) -> Any:
            if type(layer) is keras.layers.Lambda:  # Keras makes none from a configuration
                return keras.layers.Lambda(
                    layer.function,
                    output_shape=layer._output_shape,
                    mask=layer.mask,
                    arguments=layer.arguments,
                    dtype=layer.dtype_policy,
                    name=layer.name,
                )
            config = layer.get_config()
            if "seed" in config and config["seed"] is None:
                config["seed"] = next(seeds)
            return type(layer).from_config(config)

        model = self._model
        try:
            model.compiled = False  # else Keras would look for a loss of one's own by its name
            try:
                copy = keras.models.clone_model(model, clone_function=seeded, recursive=True)
            finally:
                model.compiled = True
            copy.set_weights(self._weights)
            copy.compile(
                type(model.optimizer).from_config(model.optimizer.get_config()),
                self._loss,
                metrics=["accuracy"],
                run_eagerly=model.run_eagerly,
                jit_compile=model.jit_compile,
            )
        except (ValueError, TypeError, NotImplementedError) as error:
            raise self._refused(
                f"cannot be copied ({one_line(error)}); make it sequential or functional, of "
                "layers with a get_config"
            ) from error
        return copy

    def __deepcopy__(self, memo: dict[int, object]) -> OwnModel:
        """Return itself, as it never changes: scikit-learn copies the parameters that it clones."""
        return self

    def __repr__(self) -> str:
        return f"OwnModel({self.name})"
