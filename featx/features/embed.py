"""From images to a feature matrix: composes all below it, and alone writes the store."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, overload

from featx.backbones.backbone import Backbone
from featx.backbones.engine import PRECISIONS, choose_engine, settle_precision
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import OptionError, check_choice
from featx.features.matrix import Features
from featx.features.plan import plan
from featx.features.running import embed_plans
from featx.images.fit import DECODES
from featx.images.folder import ImageFolder


@overload
def embed(source: Any, backbone: str | Backbone = ..., **options: Any) -> Features: ...
@overload
def embed(source: Any, backbone: Sequence[str | Backbone], **options: Any) -> list[Features]: ...
def embed(  # type: ignore[misc]  # the options of the overloads are those named here
    source: Any,
    backbone: str | Backbone | Sequence[str | Backbone] = DEFAULT_BACKBONE,
    *,
    labels: Any = None,
    pooling: str = "avg",
    layer: str | None = None,
    views: int = 0,
    input_size: int | None = None,
    resize: str = "squash",
    interpolation: str = "bilinear",
    decode: str = "full",
    precision: str = "float32",
    fast: bool = False,
    weights: str | PathLike[str] = "imagenet",
    engine: str = "auto",
    cache: str | PathLike[str] | bool | None = None,
    on_error: str = "skip",
    batch_size: int | None = None,
    progress: bool = True,
) -> Features | list[Features]:
    """Embed images: one feature vector per picture, from the cache where it is there already.

    Parameters
    ----------
    source : str, path, sequence of paths, pandas.DataFrame, ImageFolder or array of pictures
        A folder (its sub-folders are the classes), one picture, a list of pictures, or a table
        with a column `path` and perhaps a column `label`. Or the pictures themselves, an array of
        shape (n, height, width) or (n, height, width, 1, 3 or 4): integers 0 to 255, floats 0 to
        1, or bool. Their rows are called "array[0]", "array[1]" and so on.
    backbone : str or Backbone, or a sequence of them, default="efficientnet_lite0"
        A network of the table (`featx backbones`), or one of your own (`Backbone.from_keras`);
        "pixels" gives the pictures themselves, of shape (size, size, 3), 0 to 255. For several of
        them each picture is read and decoded once. "resnet50+xception" joins the vectors of both,
        each brought to length 1.
    labels : sequence or array, optional
        The class of each picture, where the source has none: numbers (which become "0", "1" and
        so on), names, or one-hot rows of shape (n, classes).
    pooling : {"avg", "max", "flatten", "none"}, default="avg"
        How the last map becomes a vector; "none" keeps it, of shape (height, width, channels).
    layer : str, optional
        An inner layer to read instead of the last one before the classifier. Of several with "+"
        between, such as "conv4_block6_out+conv5_block3_out", the vectors are joined.
    views : int, default=0
        Augmented views of each picture to embed with it (mirrored, part of it, tilted, in another
        light), which classifiers learn from, too; see `Features.views`.
    input_size : int, optional
        Side of the square picture that the network sees, in pixels; by default its own.
    resize : {"squash", "crop", "pad"}, default="squash"
        Make a picture square by changing its proportions, by cutting out its centre (7/8 of the
        shorter side, as ImageNet is evaluated), or with black bars.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos"}, default="bilinear"
        The filter of the resizing, as Pillow defines it.
    decode : {"full", "scaled"}, default="full"
        "scaled" decodes a JPEG to 1/2, 1/4 or 1/8 of its size, and at least twice that of the
        square: several times faster for large photographs, at a feature cosine of about 0.9995.
    precision : {"float32", "bfloat16"}, default="float32"
        The numbers that the network computes in. "bfloat16" is two to six times faster on
        processors that have it (AVX512-BF16, AMX), at a feature cosine of about 0.9998; others
        use float32 and log a warning.
    fast : bool, default=False
        Both: decode="scaled" and precision="bfloat16".
    weights : str or path, default="imagenet"
        "imagenet", "random", a file, or a folder of files under Keras's names.
    engine : {"auto", "openvino", "keras"}, default="auto"
        What runs the network; the features are the same to 1e-5. "auto" is OpenVINO on CPUs,
        and Keras on a GPU or where KERAS_BACKEND names another backend than TensorFlow.
    cache : str, path or bool, optional
        A folder; by default FEATX_CACHE or the user's cache folder; False to keep no features
        (networks that were converted for OpenVINO are kept all the same).
    on_error : {"skip", "raise"}, default="skip"
        Leave a file that cannot be read out of `X` and list it in `outcomes`, or stop there.
    batch_size : int, optional
        Pictures that go through the network at once, by default what suits the engine; no
        feature depends on it.
    progress : bool, default=True
        Show a progress bar on stderr for work of more than a second.

    Returns
    -------
    Features
        Rows follow the sorted relative paths of a folder, or the order of a list or array. A list
        of Features, one for each backbone, if a sequence of backbones was given.

    Raises
    ------
    ImageSourceError
        There are no images, or none that can be read.
    ImageError
        An image cannot be read and `on_error` is "raise".
    OptionError
        An option has a value that it cannot have.
    WeightsError, UnknownBackboneError, UnknownLayerError, ConversionError, StorageError
        What their names say.
    """
    images = ImageFolder.of(source, labels)
    single = isinstance(backbone, str | Backbone)
    backbones: Any = [backbone] if single else _checked(backbone)
    check_choice("precision", precision, PRECISIONS)
    precision = settle_precision("bfloat16" if fast else precision, choose_engine(engine))
    plans = [
        plan(
            each,
            pooling=pooling,
            layer=layer,
            views=views,
            input_size=input_size,
            resize=resize,
            interpolation=interpolation,
            decode="scaled" if fast and decode in DECODES else decode,
            precision=precision,
            weights=weights,
            engine=engine,
        )
        for each in backbones
    ]
    features = embed_plans(
        images,
        plans,
        engine=engine,
        cache=cache,
        on_error=on_error,
        batch_size=batch_size,
        progress=progress,
    )
    return features[0] if single else features


def _checked(given: Any) -> list[str | Backbone]:
    if isinstance(given, list | tuple) and given:
        return list(given)
    raise OptionError(
        f"backbone is {given!r}: expected a name of `featx backbones`, "
        "Backbone.from_keras(model) for a network of your own, or a list of them"
    )
