"""`featx.embed`: from images to a feature matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from typing import Any, Unpack, overload

from featx.backbones.backbone import Backbone
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, OptionError, warn_of_images
from featx.features.matrix import Features
from featx.features.options import EmbedOptions, SourceOptions, options_in, settle, takes
from featx.features.parts.folder import names_folder
from featx.features.parts.writing import PART_ROWS
from featx.features.piecewise import check_out, embed_into
from featx.features.request import Request, check_preprocess
from featx.features.run import run
from featx.features.saved import is_saved
from featx.images.division import Division
from featx.images.folder import ImageFolder
from featx.images.labels import Labels
from featx.images.source import ImageSource
from featx.images.stream import stream_images
from featx.images.table import is_table
from featx.storage.address import is_address
from featx.text import listed


@overload
def embed(
    source: ImageSource,
    backbone: str | Backbone = ...,
    *,
    labels: Labels = ...,
    out: str | PathLike[str] | None = ...,
    **options: Unpack[EmbedOptions],
) -> Features: ...
@overload
def embed(
    source: ImageSource,
    backbone: Sequence[str | Backbone],
    *,
    labels: Labels = ...,
    **options: Unpack[EmbedOptions],
) -> list[Features]: ...
@takes(EmbedOptions)
def embed(
    source: ImageSource,
    backbone: str | Backbone | Sequence[str | Backbone] = DEFAULT_BACKBONE,
    *,
    labels: Labels = None,
    out: str | PathLike[str] | None = None,
    **options: Unpack[EmbedOptions],
) -> Features | list[Features]:
    """Embed images: one feature vector per picture, from the cache where it is there already.

    Parameters
    ----------
    source : str, path, picture, iterable of these, pandas.DataFrame, ImageFolder or array
        A folder (its sub-folders are the classes), an archive of one (.zip, .tar, shards of
        WebDataset), a table with a column of pictures (.parquet, as Hugging Face writes them), one
        picture, a list of pictures, or a table
        with a column `path` and perhaps a column `label`, also as a file (.csv, .tsv, .parquet,
        .xlsx). A picture is a path,
        or is in memory: the bytes of a file, a file open in binary mode, an image of Pillow, or an
        array of shape (height, width) or (height, width, 1, 3 or 4), grey, RGB or RGBA: integers 0
        to 255, floats 0 to 1, or bool. Such are called "image[3]" by their position in the list. An
        array of many pictures has one more axis in front, and its rows are "array[0]", "array[1]"
        and so on.
        Pictures that OpenCV read are BGR, and nothing in an array says so: give
        `cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)`.
    backbone : str or Backbone, or a sequence of them, default="efficientnet_lite0"
        A network of the table (`featx backbones`), or one of your own (`Backbone.from_keras`);
        "pixels" gives the pictures themselves, of shape (size, size, 3), 0 to 255. For several of
        them each picture is read and decoded once. "resnet50+xception" joins the vectors of both,
        each brought to length 1.
    labels : sequence, array, pandas.DataFrame or path of a table, optional
        The class of each picture, where the source has none: numbers, truth values, names, or
        one-hot rows of shape (n, classes), which mean the number of the column. A table with the
        columns `path` and `label` says it of the pictures of a folder, in place of the folders'
        names; pictures without a row are left out.
    out : str or path, optional
        Where to save the features as well; see `Features.save`. Into a folder, "photos.features",
        they are written as they are embedded, some thousand pictures at a time, so that memory
        does not grow with their number, and what comes back is opened as `Features.load` does. A
        run that ended early goes on where it was: what is there is kept, and "cached", as long as
        the pictures, their labels and the recipe are the same; pictures that could not be read are
        tried again.
    **options : expanded
        Every option of embedding; see `featx.features.options.EmbedOptions`.

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
    UnknownBackboneError, UnknownLayerError
        There is no network or no layer of this name.
    WeightsError
        The weights are not there, cannot be fetched, or belong to another network.
    ConversionError
        `engine` is "openvino", and the network cannot be converted.
    StorageError
        The cache or `out` cannot be written.
    """
    _refuse_features(source)
    settled = settle(options)
    single = isinstance(backbone, str | Backbone)
    backbones: Any = [backbone] if single else backbone
    if not isinstance(backbones, list | tuple) or not backbones:
        raise OptionError(
            f"backbone is {backbone!r}: expected a name of `featx backbones`, "
            "Backbone.from_keras(model) or from_torch for a network of your own, or a list of them"
        )
    check_preprocess(backbones, settled["preprocess"])
    if out is not None:
        check_out(out, settled, len(backbones))
    requests = [Request.of(each, settled) for each in backbones]
    reading = {"labels": labels, **options_in(SourceOptions, settled)}
    if out is not None and names_folder(out):
        if not (isinstance(source, str) and is_address(source)):  # which is listed as it goes
            source = _listed(source, reading)
            reading = {}
        pieces = stream_images(source, size=PART_ROWS, **reading)
        features = [embed_into(out, pieces, requests[0], settled)]
    else:
        features = run(_listed(source, reading), requests, settled)
        if out is not None:
            features[0].save(out)
    warn_of_images(features[0].losses)
    return features[0] if single else features


def _listed(source: ImageSource, reading: Mapping[str, Any]) -> ImageFolder:
    """List images, and note that parts of a data set are embedded together."""
    images = ImageFolder.of(source, **reading)
    division = Division.of(images)
    if not division.where or images.parts is not None:
        return images
    note = f"{division.where} has parts of a data set, embedded together: "
    return replace(images, notes=(f"{note}{listed(division.parts)}", *images.notes))


def _refuse_features(source: object) -> None:
    """Raise an `ImageSourceError` for features; a table of them has the paths of its pictures."""
    if isinstance(source, Features):
        name = "the source"
    elif isinstance(source, str | PathLike) and is_saved(source) and not is_table(source):
        name = repr(fspath(source))
    else:
        return
    raise ImageSourceError(
        f"{name} holds features already: expected pictures; train, compare, evaluate, predict and "
        "similar take features, and `Features.save` writes them elsewhere"
    )
