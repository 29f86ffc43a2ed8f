"""`featx inspect`."""

from __future__ import annotations

import click

from featx.cli.flags import file_option, json_option
from featx.cli.help import command
from featx.cli.output import emit
from featx.files import written


@command(epilog="Example: featx inspect fruit.featx --card README.md")
@click.argument("model")
@file_option(
    "--card",
    "FILE.md",
    "Write a model card in Markdown too, under the usual headings.",
    suffixes=(".md",),
)
@json_option
def inspect(model: str, card: str | None, as_json: bool) -> int:
    """Say what a model file is without trusting it.

    Nothing in it is run. Classes, accuracy, recipe, versions, date, digest, and the types inside
    with those that are not known to be safe. The exit status is 1 for a file that is no sound
    model.
    """
    import featx

    found = featx.inspect(model)
    if card is not None:
        page = found.card()
        with written(card) as file:
            file.write_text(page, encoding="utf-8")
    emit(found.to_dict(), found.summary, as_json=as_json, card=card)
    return int(not found.is_model or bool(found.problems))
