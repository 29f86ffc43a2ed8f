"""The Keras engine, the reference: the network itself, on whatever backend Keras runs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from featx.backbones.engines.engine import BatchEngine, EngineRequest
from featx.backbones.framework import has_gpu, keras_backend
from featx.backbones.keras_settings import usual_settings
from featx.backbones.network import cut_network
from featx.errors import get_logger, one_line

if TYPE_CHECKING:
    import keras
    import torch

    Call = Callable[[np.ndarray], Any]  # from the pixels of a batch to its features

_CPU_BATCH_SIZE = 8  # larger batches gain nothing there, and one picture costs a whole batch
_GPU_BATCH_SIZE = 256

log = get_logger(__name__)


class KerasEngine(BatchEngine):
    """A Keras network that runs as it is.

    Pixels travel to the device as bytes and are scaled there. On a GPU two batches are under way,
    so that one travels while the other is computed; the cores of a CPU share one.
    """

    def __init__(self, request: EngineRequest) -> None:
        self._model = cut_network(
            request.backbone, request.cut, request.poolings, request.input_size
        )
        gpu = has_gpu()
        super().__init__(
            request.backbone,
            shape=tuple(self._model.output_shape[1:]),
            batch_size=request.batch_size or (_GPU_BATCH_SIZE if gpu else _CPU_BATCH_SIZE),
            streams=2 if gpu else 1,
        )
        pixels = self._model.inputs[0]
        blank = np.zeros((self.batch_size, *pixels.shape[1:]), pixels.dtype)
        with usual_settings():
            self._call = _call_of(self._model, blank)

    def _compute(self, pixels: np.ndarray, n: int) -> np.ndarray:
        with usual_settings():
            return np.asarray(self._call(pixels)[:n], dtype=np.float32)


def _call_of(model: keras.Model, blank: np.ndarray) -> Call:
    """Return what computes a batch, for any number of threads.

    `predict_on_batch` is not that on JAX, where it gives the weights away while it runs, and on
    PyTorch it asks Python for every layer, which takes longer than a GPU computes.
    """
    backend = keras_backend()
    if backend == "jax":
        return _jax_call(model, blank)
    if backend == "torch":
        return _torch_call(model, blank)
    return lambda pixels: model.predict_on_batch(pixels)


def _jax_call(model: keras.Model, blank: np.ndarray) -> Call:
    """Compile a model, which keeps its weights: a user may train them on between two calls."""
    import jax

    def forward(trainable: list[Any], fixed: list[Any], pixels: Any) -> Any:
        return model.stateless_call(trainable, fixed, pixels, training=False)[0]

    compiled = jax.jit(forward)

    def call(pixels: np.ndarray) -> np.ndarray:
        trainable = [each.value for each in model.trainable_variables]
        fixed = [each.value for each in model.non_trainable_variables]
        return np.asarray(compiled(trainable, fixed, pixels))

    call(blank)
    return call


def _torch_call(model: keras.Model, blank: np.ndarray) -> Call:
    """Record what a model does on a GPU, and play that; elsewhere call it as it is."""
    import torch

    def call(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(model(pixels, training=False).cpu().float())

    if not has_gpu():
        return call
    try:
        recorded = _recorded(model, torch.from_numpy(blank).to("cuda"))
    except Exception as error:  # whatever a network of a user's own does
        log.info("%s is not recorded: %s", model.name, one_line(error))
        return call

    def play(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return np.asarray(recorded(torch.from_numpy(pixels).to("cuda")).cpu().float())

    return play


def _recorded(model: keras.Model, example: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """Record what a model does with an example, its weights included."""
    import torch

    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about Python values, which do not change here
        traced = torch.jit.trace(model, example, check_trace=False)
        recorded: Callable[[torch.Tensor], torch.Tensor] = torch.jit.freeze(traced.eval())
    return recorded
