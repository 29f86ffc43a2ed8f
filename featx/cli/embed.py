"""`featx embed`."""

from __future__ import annotations

from typing import Any

from featx.cli.flags import (
    backbone_option,
    embedding_options,
    figure_option,
    file_option,
    json_option,
    labels_option,
)
from featx.cli.help import command
from featx.cli.output import complain, emit, save_plot, working
from featx.cli.sources import source_arguments
from featx.features.formats import FOLDER_SUFFIX, SUFFIXES, files_of
from featx.features.options import EmbedOptions


@command(epilog="Example: featx embed photos/ --backbone resnet50 --out photos.npz")
@source_arguments
@labels_option
@backbone_option()
@embedding_options(EmbedOptions)
@file_option(
    "--out",
    "FILE",
    f"Where to: a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}; or in "
    f"{FOLDER_SUFFIX}, for a folder that may be larger than memory. Also at an address, such as "
    "s3://bucket/photos.npz.",
    suffixes=(*SUFFIXES, FOLDER_SUFFIX),
    required=True,
    folder=True,
)
@figure_option("--map", "Draw the pictures in two dimensions, those that are alike close by")
@json_option
def embed(
    source: str | list[str], out: str, as_json: bool, map: str | None, **options: Any
) -> None:
    """Turn pictures into a feature matrix.

    PATH is a folder, an archive (.zip, .tar), a picture, a quoted pattern such as
    'photos/**/*.jpg', or a table of paths or of pictures. It may be at an address, such as
    s3://bucket/photos.
    """
    import featx

    with working():
        features = featx.embed(source, out=out, **options)
        if map and len(features) < 2:
            complain("warning: no map, which takes at least two pictures that can be read")
            map = None
        save_plot(map, features)
    _, *beside = files_of(out)
    sidecar = beside[0] if beside else None
    files = {"out": out, "sidecar": sidecar, "map": map}
    emit(features.to_dict(), features.summary, as_json=as_json, **files)
