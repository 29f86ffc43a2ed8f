"""`featx embed`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.flags import (
    backbone_option,
    embedding_options,
    file_option,
    json_option,
    labels_option,
)
from featx.cli.help import command
from featx.cli.output import emit, working
from featx.features.formats import SUFFIXES
from featx.features.options import EmbedOptions


@command(epilog="Example: featx embed photos/ --backbone resnet50 --out photos.npz")
@click.argument("folder")
@labels_option
@backbone_option()
@embedding_options(EmbedOptions)
@file_option(
    "--out",
    "FILE",
    f"Where to: a name that ends in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}.",
    suffixes=SUFFIXES,
    required=True,
)
@json_option
def embed(folder: str, out: str, as_json: bool, **options: Any) -> None:
    """Turn a folder of pictures into a feature matrix."""
    import featx

    with working():
        features = featx.embed(folder, **options)
        features.save(out)
    emit(features.to_dict(), features.summary, as_json=as_json, out=out)
