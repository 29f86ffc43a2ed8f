"""`featx similar`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.flags import embedding_options, file_option, json_option
from featx.cli.help import command, option
from featx.cli.output import complain, emit, save_plot, table, working
from featx.cli.sources import source_arguments
from featx.features.options import RunOptions
from featx.files import PICTURES


@command(epilog="Example: featx similar new.jpg --among photos.npz --gallery similar.png")
@source_arguments
@option(
    "--among",
    metavar="FEATURES",
    required=True,
    help="Where to look: features, as `featx embed` writes them.",
)
@option(
    "-n",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    metavar="N",
    help="How many pictures to find for each.",
)
@option(
    "--exact",
    is_flag=True,
    help="Compare with every row, where there are more than 50,000, too.",
)
@file_option(
    "--gallery",
    "FILE.png",
    "Draw each picture before those that are most like it.",
    suffixes=PICTURES,
)
@option(
    "--weights",
    metavar="PATH",
    help="Weights of the features' network, if they have moved.",
    group="Network",
)
@embedding_options(RunOptions)
@json_option
def similar(
    source: str | list[str],
    among: str,
    gallery: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Find the pictures that are most like others.

    PATH is a picture, a folder of pictures, a table of paths, or a file of features. It is embedded
    by the network of the features; the path of one of their rows stands for this row.
    """
    import featx

    with working():
        found = featx.similar(source, among, n=options.pop("n", 10), **options)
        if gallery and not found.rows:
            complain("warning: nothing can be drawn, so that there is no gallery")
            gallery = None
        save_plot(gallery, found)
    text = "\n".join([table(found.header, found.cells, right=["similarity"]), found.summary])
    emit(found.to_dict(), text, as_json=as_json, gallery=gallery)
