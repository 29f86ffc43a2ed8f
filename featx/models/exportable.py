"""The export of a model: what it is made of, and the file that comes of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from os import PathLike
from typing import TYPE_CHECKING, Any

from featx.backbones.backbone import Backbone
from featx.features.recipe import Recipe
from featx.features.request import Request
from featx.images.source import ImageSource
from featx.models.card import Card
from featx.models.inference import infer
from featx.models.rejection import Rejection

if TYPE_CHECKING:
    from featx.export.export import Export


class Exportable(ABC):
    """A model that can be exported."""

    pipeline: Any
    recipe: Recipe
    views: int
    rejection: Rejection | None

    @property
    @abstractmethod
    def backbones(self) -> tuple[Backbone, ...]:
        """The networks."""

    @property
    @abstractmethod
    def card(self) -> Card:
        """What is known of the training."""

    def export(
        self,
        path: str | PathLike[str],
        *,
        format: str | None = None,
        quantize: bool = False,
        calibrate: ImageSource | None = None,
        cache: str | PathLike[str] | bool | None = None,
        progress: bool = True,
    ) -> Export:
        """Export the model to a file that another runtime runs, without featx.

        It takes pictures as pixels, uint8 RGB of shape (n, size, size, 3), and gives the
        probabilities of the classes: networks and pipeline in one, in float32. It is run in its
        runtime, and held against featx, before it takes its place.

        Parameters
        ----------
        path : str or path
            The file: .onnx, .xml (OpenVINO, with a .bin beside it), .tflite (LiteRT) or .keras.
        format : {"onnx", "openvino", "litert", "keras"}, optional
            By default that of the name.
        quantize : bool, default=False
            Let the networks compute in int8: a quarter of the size, and probabilities that differ
            more. Keras has no int8.
        calibrate : str, path or other source, optional
            What `embed` takes: pictures to check the file with, and with `quantize`, where it is
            needed, to calibrate on. Some are held out and tell how good int8 is; the more so if
            they have labels.
        cache : str, path or bool, optional
            As for `embed`.
        progress : bool, default=True
            Say what takes long.

        Returns
        -------
        Export

        Raises
        ------
        OptionError
            A step of the pipeline is no matrix arithmetic, or the network has no such format; the
            message says what can be exported. What writes or runs the format is not installed; or
            there are too few pictures.
        ConversionError
            The file would give other probabilities than featx.
        StorageError
            The file cannot be written.
        """
        from featx.export.export import check_export, export
        from featx.export.original import Original

        check_export(path, format, quantize=quantize, source=calibrate)
        original = Original(
            self.pipeline,
            Request.again(self.backbones, self.recipe, self.views, "auto"),
            lambda features: infer(self.pipeline, features, self.rejection).probabilities,
            temperature=self.rejection.temperature if self.rejection else None,
            threshold=self.rejection.threshold if self.rejection else None,
            weights=[
                {name: text for name, text in each.to_dict().items() if text}
                for each in self.card.weights
            ],
            cache=cache,
        )
        return export(
            original, path, format, quantize=quantize, source=calibrate, progress=progress
        )
