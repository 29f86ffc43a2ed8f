"""`featx check`."""

from __future__ import annotations

import sys
from typing import Any

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
from featx.cli.report import own_command, short_name
from featx.cli.sources import source_arguments
from featx.features.options import CheckOptions
from featx.files import PAGES


@command(epilog="Example: featx check photos/ --test test_photos/ --fail-on unreadable,leak")
@source_arguments
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
@file_option(
    "--list",
    "FILE",
    "Write the paths to leave out, for --exclude of every command.",
    what="a list of paths",
)
@file_option("--report", "FILE.html", "Write a page that shows the findings.", suffixes=PAGES)
@backbone_option()
@embedding_options(CheckOptions)
@json_option
def check(
    source: str | list[str],
    fail_on: list[str],
    list: str | None,
    report: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what is wrong with pictures before anything learns.

    Files that cannot be read, copies, wrong labels, odd pictures, unequal classes, shortcuts.
    PATH is as for `featx train`, or pictures without classes. Nothing of it is changed.
    """
    import featx
    from featx.inspection.findings import check_kinds

    kinds = check_kinds(fail_on)
    with working():
        checked = featx.check(source, **options)
        if list:
            checked.write_list(list)
        if report:
            title = f"{short_name(source)}: what is wrong with the pictures"
            featx.write_check_report(report, checked, title=title, command=own_command())
    emit(checked.to_dict(), checked.summary, as_json=as_json, list=list, report=report)
    if checked.of(kinds):
        sys.exit(1)
