"""`featx label`."""

from __future__ import annotations

from typing import Any

import click

from featx.cli.flags import backbone_option, embedding_options, json_option
from featx.cli.help import command, option
from featx.cli.output import emit, table, working
from featx.cli.sources import listed_alone, source_arguments
from featx.features.options import LABEL_RESIZE, LabelOptions
from featx.text import percent


@command(epilog="Example: featx label dog.jpg --top 3 --backbone resnet50")
@source_arguments
@option(
    "--top",
    default=3,
    show_default=True,
    type=click.IntRange(1, 1000),
    metavar="N",
    help="Labels for each picture.",
)
@backbone_option(joined=False)
@embedding_options(LabelOptions, resize=LABEL_RESIZE)
@json_option
def label(source: str | list[str], as_json: bool, **options: Any) -> None:
    """Say what pictures show, in the 1000 classes of ImageNet."""
    import featx

    with working():
        results = featx.label(listed_alone(source), **options)
    cells = []
    for result in results:
        named = [f"{each.name} {percent(each.probability)}" for each in result.labels]
        cells.append([result.path, ", ".join(named) or f"failed: {result.outcome.reason}"])
    documents = [result.to_dict() for result in results]
    emit(documents, table(["path", "labels"], cells), as_json=as_json)
