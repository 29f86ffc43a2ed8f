"""`featx watch`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from featx.cli.flags import (
    answer_all_option,
    embedding_options,
    file_option,
    model_weights_option,
    probabilities_option,
    top_option,
)
from featx.cli.help import command, option
from featx.cli.output import complain, is_quiet, json_text, say, working
from featx.features.options import EngineOptions
from featx.text import printable

if TYPE_CHECKING:
    from featx import Watch


@command(epilog="Example: featx watch fruit.featx inbox/ --out labels.csv")
@click.argument("model")
@click.argument("folder")
@file_option(
    "--out",
    "FILE.csv",
    "The table that the pictures are added to, and by which they are known again.",
    suffixes=(".csv",),
    required=True,
)
@option(
    "--every",
    type=click.FloatRange(min=0, min_open=True),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the folder; more where a look takes long.",
)
@option("--once", is_flag=True, help="End when what is there now is labelled, as for cron.")
@top_option
@probabilities_option
@answer_all_option
@model_weights_option
@embedding_options(EngineOptions)
@option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print a JSON document for each picture, in a line.",
    group="Output",
)
def watch(
    model: str,
    folder: str,
    out: str,
    weights: str | None,
    as_json: bool,
    once: bool = False,
    **options: Any,
) -> None:
    """Label each picture that comes into a folder, in a table.

    Each is labelled once, when it is wholly written. The table is all that is remembered: begun
    again, the watch goes on where it ended. Ctrl-C ends it.
    """
    import featx

    with working():
        watched = featx.watch(featx.load(model, weights=weights), folder, out, once=once, **options)
    if not once and not is_quiet():
        complain(f"watching {printable(folder)}; Ctrl-C ends it")
    try:
        _show(watched, as_json)
    except KeyboardInterrupt:  # which is how it is ended
        watched.close()
    if not is_quiet():
        added = f"\nadded to {printable(out)}" if watched.tally.n_images else ""
        say(f"{watched.summary}{added}", err=as_json)


def _show(watched: Watch, as_json: bool) -> None:
    """Print a line for each picture, once it is in the table."""
    batches = watched.batches()
    while True:
        with working():
            predictions = next(batches, None)
        if predictions is None:
            return
        if as_json:
            say("\n".join(json_text(row) for row in predictions.rows))
        elif not is_quiet():
            say("\n".join("  ".join(cells) for cells in predictions.cells))
