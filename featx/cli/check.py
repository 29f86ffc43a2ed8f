"""`featx check`."""

from __future__ import annotations

import sys
from typing import Any

import click

from featx.cli.flags import (
    backbone_option,
    embedding_options,
    file_option,
    json_option,
    labels_option,
    listed,
)
from featx.cli.help import command, option
from featx.cli.output import emit, working
from featx.features.options import CheckOptions


@command(epilog="Example: featx check photos/ --test test_photos/ --fail-on unreadable,leak")
@click.argument("folder")
@labels_option
@option(
    "--test",
    metavar="FOLDER",
    help="Pictures to test with: looked at, too, and compared with the others.",
    group="Pictures",
)
@option(
    "--fail-on",
    metavar="KIND,...",
    multiple=True,
    callback=lambda context, option, texts: [
        kind for text in texts for kind in listed(option.name, text)
    ],
    help="End with status 1 if there is a finding of these kinds; any means whichever.",
)
@file_option("--list", "FILE", "Write the paths to leave out, for --exclude of every command.")
@backbone_option()
@embedding_options(CheckOptions)
@json_option
def check(folder: str, fail_on: list[str], list: str | None, as_json: bool, **options: Any) -> None:
    """Say what is wrong with pictures before anything learns.

    Files that cannot be read, copies, wrong labels, odd pictures, unequal classes, shortcuts.
    FOLDER is as for `featx train`, or has pictures without classes. Nothing in it is changed.
    """
    import featx
    from featx.inspection.findings import check_kinds

    kinds = check_kinds(fail_on)
    with working():
        checked = featx.check(folder, **options)
        if list:
            checked.write_list(list)
    emit(checked.to_dict(), checked.summary, as_json=as_json, list=list)
    if checked.of(kinds):
        sys.exit(1)
